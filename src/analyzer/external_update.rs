//! Updates from outside the miners' conversations: references, the pool's figures, reloads, a person's wishes.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::pool_reach::PoolReach;
use super::verdicts::Expectations;
use crate::config;
use crate::devices::DeviceReport;
use crate::pool_stats::PoolFigures;
use crate::reference;

/// Caps the queued updates. A farm's readings are the most frequent, a few dozen a second; they are taken every two seconds
/// at the latest.
pub(super) const MAX_QUEUED_UPDATES: usize = 256;

/// An update from outside the conversations.
#[derive(Debug, Clone)]
pub enum ExternalUpdate {
    /// The newest block of a reference.
    Tip(reference::Tip),
    /// The figures that the pool publishes.
    PoolStats(Arc<PoolFigures>),
    /// The result of a request to a device.
    Device(Arc<DeviceReport>),
    /// The pools as connecting and probing know them, by their numbers.
    Pools(Arc<[PoolReach]>),
    /// The policy of a reloaded configuration.
    Policy(Arc<ReloadedPolicy>),
    /// A reload has taken effect. Has the names of the sections that changed.
    Reloaded(Vec<&'static str>),
    /// A person has given a worker a name. An empty one takes it away.
    NameWorker { worker: String, name: String },
    /// A person wants a worker forgotten that is gone.
    ForgetWorker(String),
}

/// The part of the policy for jobs and shares that a reload can change.
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
    /// The policy of this configuration.
    pub fn new(config: &config::Config) -> ReloadedPolicy {
        ReloadedPolicy {
            rules: config.rules.clone(),
            expectations: Expectations::new(&config.payout, config.network),
            on_mismatch: config.payout.on_mismatch,
            on_wrong: config.chain.on_wrong,
        }
    }
}

/// The channel to the analyzer. If it is full, the sender drops the update: others will follow.
pub fn external_updates() -> (Sender<ExternalUpdate>, Receiver<ExternalUpdate>) {
    bounded(MAX_QUEUED_UPDATES)
}
