//! Figures of the running proxy, for the status.

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

/// What sessions have carried since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    pub sessions: u64,
    pub bytes_up: u64,
    pub bytes_down: u64,
    /// Reads that brought something; a message each, nearly always.
    pub chunks_up: u64,
    pub chunks_down: u64,
    /// Copies that found the analyzer's queue full.
    pub dropped_copies: u64,
}

/// An upstream, as dialling and probing know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamState {
    /// Host and port, as configured.
    pub name: String,
    /// As configured.
    pub url: String,
    /// The template of the names that it knows miners by, in aggregate mode.
    pub user: String,
    /// How many are preferred to it; `None` for one that is not listed any more.
    pub rank: Option<usize>,
    pub standing: PoolStatus,
    /// Sessions that are with it now.
    pub sessions: usize,
    /// The shortest time since it last said something to one of them.
    pub heard_ago: Option<Duration>,
    /// Why it is out of rotation until a person clears it.
    pub blocked: Option<String>,
    /// How it failed last, and the time until it is tried again.
    pub trouble: Option<(String, Duration)>,
    /// It failed because it accepts miners and sends no job.
    pub gives_no_work: bool,
}

impl UpstreamState {
    /// What dialling and probing know; who is with it the mode must say.
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
    /// One session more.
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
