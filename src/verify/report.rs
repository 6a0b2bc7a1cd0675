//! The report on one pool.

use std::time::Duration;

use super::judge::{VerifyFinding, VerifyOutcome, Weight, judge};
use super::nerdminer_check::NerdMinerCheck;
use super::settings::VerifySettings;
use super::watch::WatchReport;
use crate::clock::ClockState;
use crate::config;

/// The hash rate for which the extranonce2's room is given: about a Bitaxe, in hashes per second.
const REFERENCE_HASH_RATE: f64 = 1e12;

#[derive(Debug)]
pub struct PoolReport {
    /// The pool's URL.
    pub pool: String,
    pub outcome: VerifyOutcome,
    /// The findings; deciding ones come first.
    pub findings: Vec<VerifyFinding>,
    /// `None` if the pool never answered.
    pub nerdminer: Option<NerdMinerCheck>,
    pub watched: WatchReport,
    pub settings: VerifySettings,
    /// The jobs' times were compared with NTP time rather than the system's clock.
    pub is_ntp: bool,
}

impl PoolReport {
    /// Judges the observations.
    pub fn new(pool: &config::UpstreamConfig, watched: WatchReport, settings: &VerifySettings) -> PoolReport {
        let (outcome, mut findings) = judge(&watched, settings);
        if pool.tls.as_ref().is_some_and(|tls| tls.insecure_skip_verify) && watched.dial.is_some() {
            let text = "the certificate was not verified: anybody on the network path could have changed all of this";
            findings.push(VerifyFinding {
                id: "tls.unverified",
                weight: Weight::Note,
                text: text.to_owned(),
            });
        }
        PoolReport {
            pool: pool.to_string(),
            outcome,
            findings,
            nerdminer: NerdMinerCheck::of(&watched.observations),
            watched,
            settings: settings.clone(),
            is_ntp: matches!(settings.clock.state(), ClockState::Synchronised { .. }),
        }
    }

    /// The time until the first job: from authorize, or from the connection if the job came before that.
    pub fn first_job(&self) -> Option<Duration> {
        let observations = &self.watched.observations;
        let first = observations.jobs.first()?;
        let asked = observations.authorize_sent.filter(|_| first.is_named).unwrap_or_default();
        Some(first.at.since.saturating_sub(asked))
    }

    /// The time in seconds for which one job has work for a miner of 1 TH/s that rolls the extranonce2 and
    /// the nonce only.
    pub fn extranonce_room(&self) -> Option<f64> {
        let subscribed = self.watched.observations.subscribed.as_ref()?;
        let bits = 8 * subscribed.extranonces.extranonce2_size.bytes() + 32;
        Some(2_f64.powi(i32::try_from(bits).unwrap_or(i32::MAX)) / REFERENCE_HASH_RATE)
    }
}
