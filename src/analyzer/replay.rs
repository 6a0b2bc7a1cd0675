//! The analyzer without its thread and without the machine's clock, for simulated days.

use std::sync::Arc;

use super::ExternalUpdate;
use super::session_tracker::SessionTracker;
use super::setup::Setup;
use super::snapshot::Snapshot;
use crate::net::Stamp;
use crate::record::SavedState;
use crate::tap::{Conversation, Direction, TapBytes};

/// Follows what it is told, when it is told that it was.
pub struct Replay {
    follower: SessionTracker,
}

impl Replay {
    /// Begins at this time.
    pub fn new(setup: Setup, now: Stamp) -> Replay {
        Replay { follower: SessionTracker::new(setup, now) }
    }

    /// Bytes were forwarded.
    pub fn said(&mut self, conversation: &Arc<Conversation>, direction: Direction, bytes: &[u8], at: Stamp) {
        let chunk =
            TapBytes { direction, bytes: bytes.into(), readable_at: at, sent_at: at, after_gap: false };
        self.follower.read(conversation, &chunk);
    }

    /// There are news from outside.
    pub fn heard(&mut self, news: &ExternalUpdate) {
        self.follower.external_update(news);
    }

    /// The session is over.
    pub fn closed(&mut self, conversation: &Conversation) {
        self.follower.closed(conversation.id, conversation.opened);
    }

    /// Time has passed. The thread says so twice a second.
    pub fn tick(&mut self, now: Stamp) {
        self.follower.tick(now);
    }

    /// What outlives a restart.
    pub fn state(&self) -> &SavedState {
        &self.follower.ledger.state
    }

    /// What there is to see.
    pub fn snapshot(&mut self, now: Stamp) -> Snapshot {
        self.follower.snapshot(now)
    }
}
