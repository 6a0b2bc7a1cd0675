//! Figures of the running proxy for the status.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::ConnectionCounts;
use crate::tap::Conversation;
use crate::upstream::UpstreamState;

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
