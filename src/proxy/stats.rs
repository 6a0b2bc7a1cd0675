//! Figures of the running proxy for the status.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limits::ConnectionCounts;
use crate::tap::Conversation;
use crate::upstream::{PoolStatus, UpstreamId, Upstreams};

/// Figures of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyStats {
    /// Connected miners, those that have sent nothing yet included.
    pub sessions: usize,
    pub volume: Volume,
    /// Addresses, connections and bans.
    pub counts: ConnectionCounts,
    /// The pools by their numbers, those that are not listed any more included.
    pub upstreams: Vec<UpstreamState>,
}

/// Totals of all sessions since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    pub sessions: u64,
    pub bytes_up: u64,
    pub bytes_down: u64,
    /// Reads that brought something, which is nearly always one message each.
    pub chunks_up: u64,
    pub chunks_down: u64,
    /// Copies dropped because the analyzer's queue was full.
    pub dropped_copies: u64,
}

/// The state of an upstream as connecting and probing know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamState {
    /// Host and port, as configured.
    pub name: String,
    /// The URL, as configured.
    pub url: String,
    /// The template of the names that the pool knows miners by, in aggregate mode.
    pub user: String,
    /// The number of pools that are preferred to it. `None` if it is not listed any more.
    pub rank: Option<usize>,
    pub standing: PoolStatus,
    /// The sessions on this pool now.
    pub sessions: usize,
    /// The shortest time since the pool last sent something to one of them.
    pub heard_ago: Option<Duration>,
    /// The reason that it is out of rotation until a person clears it.
    pub blocked: Option<String>,
    /// The last failure, and the time until the next try.
    pub trouble: Option<(String, Duration)>,
    /// Whether it failed because it accepts miners and sends no job.
    pub gives_no_work: bool,
}

impl UpstreamState {
    /// Collects the state of one pool. The mode knows who is on it.
    pub(crate) fn of(
        upstreams: &Upstreams,
        upstream: UpstreamId,
        sessions: usize,
        heard_ago: Option<Duration>,
    ) -> UpstreamState {
        let configured = upstreams.configured(upstream);
        UpstreamState {
            name: upstreams.name(upstream).to_string(),
            url: configured.to_string(),
            user: configured.user.clone(),
            rank: upstreams.rank(upstream),
            standing: upstreams.standing(upstream),
            sessions,
            heard_ago,
            blocked: upstreams.blocked(upstream),
            trouble: upstreams.trouble(upstream),
            gives_no_work: upstreams.gives_no_work(upstream) && !upstreams.turns_miners_away(upstream),
        }
    }
}

impl Volume {
    /// Adds one session.
    pub(crate) fn add(&mut self, conversation: &Conversation) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.sessions += 1;
        self.bytes_up += count(&conversation.up.bytes);
        self.bytes_down += count(&conversation.down.bytes);
        self.chunks_up += count(&conversation.up.chunks);
        self.chunks_down += count(&conversation.down.chunks);
        self.dropped_copies += count(&conversation.dropped_copies);
    }
}
