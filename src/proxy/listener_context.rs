//! What all sessions share while they are let in and received.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::peer_log::{LogTopic, say};
use crate::config::ListenConfig;
use crate::limits::{Abuse, Gatekeeper, LogLimiter, RateLimitConfig};
use crate::util::span::seconds;

/// The most that a PROXY header and a TLS handshake may take together.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);

/// Whom to let in, and what may be said about them. Nothing in it is locked between a read and its
/// send.
#[derive(Debug)]
pub struct ListenerContext {
    pub listen: ListenConfig,
    pub gatekeeper: Gatekeeper,
    pub(crate) quiet: LogLimiter,
}

impl ListenerContext {
    pub fn new(listen: &ListenConfig, limits: &RateLimitConfig) -> ListenerContext {
        ListenerContext {
            listen: listen.clone(),
            gatekeeper: Gatekeeper::new(&listen.allow, listen.max_miners, limits),
            quiet: LogLimiter::new(),
        }
    }

    /// Until when one that was accepted then must have arrived.
    pub fn arrival_deadline(&self, accepted_at: Instant) -> Instant {
        accepted_at + ARRIVAL_LIMIT.min(self.listen.handshake_timeout)
    }

    /// Counts an abuse against a miner's address, and says so when that gets it banned.
    pub fn report_abuse(&self, miner: SocketAddr, abuse: Abuse) {
        if let Some(ban) = self.gatekeeper.report_abuse(miner.ip(), abuse, Instant::now()) {
            say(
                self,
                miner,
                LogTopic::Banned,
                &format_args!("banned for {}, because of {abuse}", seconds(ban)),
            );
        }
    }
}
