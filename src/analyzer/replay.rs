//! The analyzer without its thread and without the machine's clock, for simulated days.

use std::sync::Arc;

use super::ExternalUpdate;
use super::consumer::Setup;
use super::session_tracker::SessionTracker;
use super::snapshot::Snapshot;
use crate::net::Stamp;
use crate::record::SavedState;
use crate::tap::{Conversation, Direction, TapBytes};

/// Follows what it is told, when it is told that it was.
pub struct Replay {
    tracker: SessionTracker,
}

impl Replay {
    /// Begins at this time.
    pub fn new(setup: Setup, now: Stamp) -> Replay {
        Replay { tracker: SessionTracker::new(setup, now) }
    }

    /// Bytes were forwarded.
    pub fn forwarded(
        &mut self,
        conversation: &Arc<Conversation>,
        direction: Direction,
        bytes: &[u8],
        at: Stamp,
    ) {
        let chunk =
            TapBytes { direction, bytes: bytes.into(), readable_at: at, sent_at: at, after_gap: false };
        self.tracker.read(conversation, &chunk);
    }

    /// There are update from outside.
    pub fn update(&mut self, update: &ExternalUpdate) {
        self.tracker.update(update);
    }

    /// The session is over.
    pub fn closed(&mut self, conversation: &Conversation) {
        self.tracker.close(conversation.id, conversation.opened);
    }

    /// Time has passed. The thread says so twice a second.
    pub fn tick(&mut self, now: Stamp) {
        self.tracker.tick(now);
    }

    /// What outlives a restart.
    pub fn state(&self) -> &SavedState {
        &self.tracker.accounting.state
    }

    /// What there is to see.
    pub fn snapshot(&mut self, now: Stamp) -> Snapshot {
        self.tracker.snapshot(now)
    }
}
