//! `sluice verify`: connects to a pool as a miner for a minute, without ever submitting a share, and
//! reports whom a block would pay, which chain the work is on, and how the pool behaves.
//!
//! | file | content |
//! |---|---|
//! | `settings` | the address, the expectations and the duration of a check |
//! | `conversation` | the miner's side: lines and time in, lines and observations out; no sockets |
//! | `watch` | the socket of a conversation, and every limit |
//! | `observations`, `jobs`, `job` | the facts |
//! | `judge` | the verdict good, bad or unknown, with its findings |
//! | `nerdminer_check` | the pool's compatibility with NerdMiners |
//! | `report` | everything about one pool |
//! | `text`, `table`, `json`, `phrases` | the output formats |

mod conversation;
mod job;
mod jobs;
mod json;
mod judge;
mod nerdminer_check;
mod observations;
mod phrases;
mod report;
mod settings;
mod table;
mod text;
mod watch;

use std::io;

pub use conversation::{SUGGESTED_DIFFICULTY, VerifyClient};
pub use job::ObservedJob;
pub use jobs::ObservedJobs;
pub use json::document;
pub use judge::{VerifyFinding, VerifyOutcome, Weight, judge};
pub use nerdminer_check::{NerdMinerCheck, best_in_a_day};
pub use observations::{
    Authorized, DifficultyAsked, Observations, ObservedReconnect, PoolRefusal, Subscribed, Suggestion,
    Timestamp,
};
pub use report::PoolReport;
pub use settings::VerifySettings;
pub use table::ReportTable;
pub use text::{ColorMode, ReportText};
pub use watch::{WatchEnd, WatchReport};

use crate::config;
use crate::util::stop::{Stop, Stopped};
use crate::util::thread::{SERVICE_STACK, spawn};

/// Checks one pool.
pub fn verify(pool: &config::UpstreamConfig, settings: &VerifySettings, stop: &Stop) -> PoolReport {
    PoolReport::new(pool, watch::watch(pool, settings, stop), settings)
}

/// Checks all pools at the same time. The reports are in the order of `pools`.
///
/// # Errors
/// A thread can't be started.
pub fn verify_all(
    pools: &[config::UpstreamConfig],
    settings: &VerifySettings,
    stop: &Stop,
) -> io::Result<Vec<PoolReport>> {
    let (done, reports) = crossbeam_channel::unbounded();
    for (index, pool) in pools.iter().enumerate() {
        let (pool, settings, stop, done) = (pool.clone(), settings.clone(), stop.clone(), done.clone());
        spawn(format!("verify-{index}"), SERVICE_STACK, move || {
            // The receiver is closed only when the program ends.
            done.send((index, verify(&pool, &settings, &stop))).or(Ok::<(), Stopped>(()))
        })?;
    }
    drop(done);
    let mut reports: Vec<(usize, PoolReport)> = reports.iter().collect();
    reports.sort_by_key(|(index, _)| *index);
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}

/// The worst outcome of the reports.
pub fn worst(reports: &[PoolReport]) -> VerifyOutcome {
    reports.iter().map(|report| report.outcome).max().unwrap_or(VerifyOutcome::Unknown)
}
