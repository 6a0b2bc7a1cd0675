//! What is heard beside the miners' conversations: other views of the chain, and the pool's books.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::verdicts::Expectations;
use crate::config;
use crate::pool_stats::PoolFigures;
use crate::reference;

/// News come every few seconds at most, and are taken twice a second.
pub(super) const MAX_QUEUED_UPDATES: usize = 256;

/// News from outside.
#[derive(Debug, Clone)]
pub enum ExternalUpdate {
    /// What a reference works on.
    Tip(reference::Tip),
    /// What the pool publishes.
    PoolStats(Arc<PoolFigures>),
    /// Whether any pool of the list can be used.
    PoolsUsable(bool),
    /// The configuration was read again.
    Policy(Arc<ReloadedPolicy>),
}

/// What jobs and shares are judged by, as far as it can change while the program runs.
#[derive(Debug, Clone)]
pub struct ReloadedPolicy {
    pub rules: config::RulesConfig,
    pub expectations: Expectations,
    /// `payout.on_mismatch`
    pub on_mismatch: config::OnViolation,
    /// `chain.on_wrong`
    pub on_wrong: config::OnViolation,
}

impl ReloadedPolicy {
    /// Of this configuration.
    pub fn new(config: &config::Config) -> ReloadedPolicy {
        ReloadedPolicy {
            rules: config.rules.clone(),
            expectations: Expectations::new(&config.payout, config.network),
            on_mismatch: config.payout.on_mismatch,
            on_wrong: config.chain.on_wrong,
        }
    }
}

/// The way to the analyzer. Who finds it full drops the news: there will be others.
pub fn external_updates() -> (Sender<ExternalUpdate>, Receiver<ExternalUpdate>) {
    bounded(MAX_QUEUED_UPDATES)
}
