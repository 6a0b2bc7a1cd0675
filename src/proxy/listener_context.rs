//! Shared by all sessions while they are admitted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::peer_log::LogTopic;
use crate::config::ListenConfig;
use crate::limits::{Abuse, Gatekeeper, LogLimiter, RateLimitConfig};
use crate::util::format::seconds;

/// Caps the time for a PROXY header and a TLS handshake together.
const MAX_HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The access control of the listeners and the limiter of log lines about peers. Nothing in it is locked
/// between a read and its send.
#[derive(Debug)]
pub struct ListenerContext {
    pub listen: ListenConfig,
    pub gatekeeper: Arc<Gatekeeper>,
    pub(crate) log_limiter: LogLimiter<LogTopic>,
}

impl ListenerContext {
    pub fn new(listen: &ListenConfig, limits: &RateLimitConfig) -> ListenerContext {
        ListenerContext {
            listen: listen.clone(),
            gatekeeper: Gatekeeper::new(&listen.allow, listen.max_miners, limits),
            log_limiter: LogLimiter::default(),
        }
    }

    /// The deadline for the PROXY header and the TLS handshake of a connection that was accepted at this
    /// time.
    pub fn handshake_deadline(&self, accepted_at: Instant) -> Instant {
        accepted_at + MAX_HANDSHAKE_TIME.min(self.listen.handshake_timeout)
    }

    /// Counts an abuse against a miner's address, and logs the ban if that leads to one.
    pub fn report_abuse(&self, miner: SocketAddr, abuse: Abuse) {
        if let Some(ban) = self.gatekeeper.report_abuse(miner.ip(), Instant::now()) {
            self.log_peer(
                miner,
                LogTopic::Banned,
                &format_args!("banned for {}, because of {abuse}", seconds(ban)),
            );
        }
    }
}
