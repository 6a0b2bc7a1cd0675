//! The analyzer without its thread and without the system's clock, for simulated days.

use std::sync::Arc;

use super::ExternalUpdate;
use super::session_tracker::SessionTracker;
use super::setup::Setup;
use super::snapshot::Snapshot;
use crate::net::Stamp;
use crate::record::SavedState;
use crate::tap::{Conversation, Direction, TapBytes};

/// An analyzer that takes bytes and times from its caller.
pub struct Replay {
    tracker: SessionTracker,
}

impl Replay {
    /// A replay that begins at `now`.
    pub fn new(setup: Setup, now: Stamp) -> Replay {
        Replay { tracker: SessionTracker::new(setup, now) }
    }

    /// Follows bytes that were forwarded.
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

    /// Takes an update from outside the conversations.
    pub fn external_update(&mut self, update: &ExternalUpdate) {
        self.tracker.external_update(update);
    }

    /// Ends a session.
    pub fn closed(&mut self, conversation: &Conversation) {
        self.tracker.close(conversation.id, conversation.opened);
    }

    /// Lets time pass. The analyzer's thread does so at each tick.
    pub fn tick(&mut self, now: Stamp) {
        self.tracker.tick(now);
    }

    /// The state that outlives a restart.
    pub fn state(&self) -> &SavedState {
        &self.tracker.accounting.state
    }

    /// Everything that is shown, as of `now`.
    pub fn snapshot(&mut self, now: Stamp) -> Snapshot {
        self.tracker.snapshot(now)
    }
}
