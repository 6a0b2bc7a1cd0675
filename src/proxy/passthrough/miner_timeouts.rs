//! Limits how long a miner may take to authorize, and between two messages.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::session::SessionGuard;
use crate::net::Stream;
use crate::proxy::{LogTopic, OnTimeout, Watch};
use crate::util::format::seconds;

/// Watches a miner's time limits.
pub(super) struct MinerWatch<'a> {
    guard: &'a SessionGuard,
    miner: Arc<Stream>,
    /// The handshake is over; only silence counts from here on.
    authorized: bool,
}

impl<'a> MinerWatch<'a> {
    pub(super) fn new(guard: &'a SessionGuard, miner: Arc<Stream>) -> MinerWatch<'a> {
        MinerWatch { guard, miner, authorized: false }
    }

    /// Sets the timeout of the next read.
    pub(super) fn arm(&mut self) {
        let time = self.read_timeout();
        // A socket that refuses this fails in the read as well.
        let _ = self.miner.set_read_timeout(time);
    }

    /// Whether the handshake is over. The analyzer notes it. Where the analyzer sees nothing or not all,
    /// bytes in both directions count as a finished handshake.
    fn is_authorized(&mut self) -> bool {
        if !self.authorized {
            let conversation = &self.guard.session.conversation;
            let is_blind = self.guard.services.to_analyzer.is_none()
                || conversation.dropped_copies.load(Ordering::Relaxed) > 0;
            self.authorized = conversation.authorized.load(Ordering::Relaxed)
                || (is_blind && conversation.up.has_begun() && conversation.down.has_begun());
        }
        self.authorized
    }

    fn silent_for(&self) -> Duration {
        let session = &self.guard.session;
        session.conversation.up.silent_for().unwrap_or_else(|| session.accepted_at.elapsed())
    }

    fn give_up(&self, why: &str, limit: Duration) -> OnTimeout {
        let text = format!("closed: it {why} ({})", seconds(limit));
        self.guard.log(LogTopic::Idle, &text);
        OnTimeout::End
    }
}

impl Watch for MinerWatch<'_> {
    fn on_timeout(&mut self) -> OnTimeout {
        if self.on_bytes() == OnTimeout::End {
            return OnTimeout::End;
        }
        match self.guard.services.listener_context.listen.idle_timeout {
            Some(limit) if self.is_authorized() && self.silent_for() >= limit => {
                self.give_up("sent nothing for the whole of listen.idle_timeout", limit)
            }
            _ => {
                self.arm();
                OnTimeout::Wait
            }
        }
    }

    /// A miner may keep sending without ever authorizing.
    fn on_bytes(&mut self) -> OnTimeout {
        if self.authorized {
            return OnTimeout::Wait;
        }
        let limit = self.guard.services.listener_context.listen.handshake_timeout;
        if self.is_authorized() {
            self.arm();
        } else if self.guard.session.accepted_at.elapsed() >= limit {
            return self.give_up("did not authorize within listen.handshake_timeout", limit);
        }
        OnTimeout::Wait
    }

    fn read_timeout(&mut self) -> Option<Duration> {
        let listen = &self.guard.services.listener_context.listen;
        let idle_left = listen.idle_timeout.map(|limit| limit.saturating_sub(self.silent_for()));
        let handshake_left = (!self.is_authorized())
            .then(|| listen.handshake_timeout.saturating_sub(self.guard.session.accepted_at.elapsed()));
        let left = [idle_left, handshake_left].into_iter().flatten().min();
        // Zero would mean "no timeout".
        left.map(|left| left.max(Duration::from_millis(1)))
    }
}
