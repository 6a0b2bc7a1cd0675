//! How forwarding goes, for whoever shows it. Asked twice a second by one thread, never by a visitor
//! of the page: some of it is behind locks that a new session takes, too.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Services;
use crate::analyzer::Conversation;
use crate::limits::Counts;
use crate::upstream::{Rank, Standing};

/// A view of the running proxy.
#[derive(Debug, Clone)]
pub struct Observer {
    services: Arc<Services>,
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
    pub standing: Standing,
    /// Sessions that are with it now.
    pub sessions: usize,
    /// The shortest time since it last said something to one of them.
    pub heard_ago: Option<Duration>,
    /// Why it is out of rotation until a person clears it.
    pub blocked: Option<String>,
    /// How it failed last, and the time until it is tried again.
    pub trouble: Option<(String, Duration)>,
}

impl Observer {
    pub(super) fn new(services: Arc<Services>) -> Observer {
        Observer { services }
    }

    /// How many sessions there are now.
    pub fn sessions(&self) -> usize {
        self.services.registry.count()
    }

    /// What all sessions have carried.
    pub fn volume(&self) -> Volume {
        self.services.registry.volume()
    }

    /// Addresses, connections and bans.
    pub fn counts(&self) -> Counts {
        self.services.gatekeeper.counts(Instant::now())
    }

    /// A person says that the upstream at this place may be used again. `None` when there is none,
    /// `false` when it was not blocked.
    pub fn clear(&self, place: usize) -> Option<bool> {
        let upstreams = &self.services.upstreams;
        (place < upstreams.count()).then(|| upstreams.clear(Rank(place)))
    }

    /// The upstreams in the order of preference.
    pub fn upstreams(&self) -> Vec<UpstreamState> {
        let upstreams = &self.services.upstreams;
        let sessions = self.services.registry.all();
        let state = |place| {
            let with = || sessions.iter().filter(move |one| one.conversation.upstream() == Some(place));
            UpstreamState {
                name: upstreams.name(Rank(place)).to_owned(),
                standing: upstreams.standing(Rank(place)),
                sessions: with().count(),
                heard_ago: with().filter_map(|one| one.conversation.down.silent_for()).min(),
                blocked: upstreams.blocked(Rank(place)),
                trouble: upstreams.trouble(Rank(place)),
            }
        };
        (0..upstreams.count()).map(state).collect()
    }
}

impl Volume {
    pub(super) fn add(&mut self, conversation: &Conversation) {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        self.sessions += 1;
        self.bytes_up += count(&conversation.up.bytes);
        self.bytes_down += count(&conversation.down.bytes);
        self.chunks_up += count(&conversation.up.chunks);
        self.chunks_down += count(&conversation.down.chunks);
        self.dropped_copies += count(&conversation.dropped_copies);
    }
}
