//! Findings that block a pool besides raising an alert.

use crossbeam_channel::Sender;

use super::session_event::JobSeen;
use super::verdicts::{ChainState, PayoutState};
use crate::config::OnViolation;

/// A request to block an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcementRequest {
    /// The upstream's index in the configured order.
    pub upstream: usize,
    /// One sentence.
    pub description: String,
}

/// The findings that block a pool, and the channel for the requests.
#[derive(Debug, Clone)]
pub struct Enforcement {
    /// `payout.on_mismatch`
    pub on_mismatch: OnViolation,
    /// `chain.on_wrong`
    pub on_wrong: OnViolation,
    pub requests: Sender<EnforcementRequest>,
}

impl Enforcement {
    /// Sends a request for each bad job: a session may have connected to the pool just before it was blocked.
    pub(super) fn job(&self, job: &JobSeen) {
        let Some(upstream) = job.upstream else { return };
        let address = job.payout.expected.as_ref().map_or("", |expected| &expected.address);
        let is_unpaid = matches!(job.payout.state, PayoutState::Mismatch | PayoutState::Short);
        let description = if self.on_mismatch == OnViolation::Block && is_unpaid {
            format!("a block would pay {:.2} % to {address}", job.payout.percent)
        } else if self.on_wrong == OnViolation::Block && job.chain.state == ChainState::Wrong {
            format!("its work is not that of Bitcoin's {}", job.chain.network)
        } else {
            return;
        };
        // If the channel is full, requests for earlier jobs are waiting in it.
        let _ = self.requests.try_send(EnforcementRequest { upstream, description });
    }
}
