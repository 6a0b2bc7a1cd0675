//! The inputs that the analyzer is started with.

use std::time::Duration;

use crossbeam_channel::Receiver;

use super::pools::UpstreamNames;
use super::verdicts::Expectations;
use super::{Enforcement, ExternalUpdate};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::notify::Notifier;
use crate::record::{EventRow, Recorder, SavedFiles};
use crate::stratum::Difficulty;

/// The least time without a share before a device counts as stalled. Devices restart within this time.
const DEVICE_STALL: Duration = Duration::from_secs(600);

/// The analyzer's inputs besides the copies.
pub struct Setup {
    pub analysis: config::AnalysisConfig,
    pub expectations: Expectations,
    pub rules: config::RulesConfig,
    /// `failover.silence_timeout`
    pub silence: Duration,
    /// `failover.first_job_timeout`
    pub first_job: Duration,
    /// The findings that block a pool. `None`: they only raise alerts.
    pub enforcement: Option<Enforcement>,
    pub clock: Clock,
    pub recorder: Option<Recorder>,
    /// The sender of alerts to people.
    pub notifier: Option<Notifier>,
    /// The state and the histories as they were loaded at the start.
    pub saved: SavedFiles,
    /// The newest events of earlier runs, newest first.
    pub events: Vec<EventRow>,
    pub upstreams: UpstreamNames,
    /// Updates from outside the conversations. `None`: there are none.
    pub external_updates: Option<Receiver<ExternalUpdate>>,
    /// The account that the pool's figures are about. `None`: all accounts.
    pub account: Option<String>,
    /// The least difficulty of a share that ends a doubt: a hash made for another job reaches it once in a million
    /// shares. Lower only where shares must be cheap, as in a simulation.
    pub least_proof: Difficulty,
    /// The least time without a share before a device counts as stalled. Shorter only in a simulation.
    pub least_stall: Duration,
    /// The time between two readings of a device.
    pub device_interval: Duration,
    /// Whether this analyzer reports the restarts of the program's threads. Only one analyzer of a program does.
    pub reports_restarts: bool,
}

impl Setup {
    /// A setup with the system's clock, no records, and otherwise the defaults of the configuration.
    pub fn plain(analysis: &config::AnalysisConfig) -> Setup {
        Setup::of(&Config { analysis: analysis.clone(), ..Config::with_upstreams(Vec::new()) })
    }

    /// The setup of this configuration, with the system's clock and no records.
    pub fn of(config: &Config) -> Setup {
        Setup {
            analysis: config.analysis.clone(),
            expectations: Expectations::new(&config.payout, config.network),
            rules: config.rules.clone(),
            silence: config.failover.silence_timeout,
            first_job: config.failover.first_job_timeout,
            enforcement: None,
            clock: Clock::system(),
            recorder: None,
            notifier: None,
            saved: SavedFiles::default(),
            events: Vec::new(),
            upstreams: config.upstreams.iter().collect(),
            external_updates: None,
            account: config.pool_stats.as_ref().and_then(|stats| stats.account(&config.payout)),
            least_proof: Difficulty::MILLION_HASHES,
            least_stall: DEVICE_STALL,
            device_interval: config.devices.interval,
            reports_restarts: false,
        }
    }
}
