//! `[failover]`: when Sluice leaves a pool, and when it returns.

use std::time::Duration;

use super::duration::{DAY, HOUR, MINUTE, SECOND};
use super::reader::Section;

/// `[failover]`.
#[derive(Debug, Clone, PartialEq)]
pub struct FailoverConfig {
    /// Time within which a pool must be reached for a miner, else the miner is disconnected; 100 ms to
    /// 5 min, default 10 s.
    pub connect_deadline: Duration,
    /// Time a pool has for its first answer before Sluice moves the miner to the next pool, within the
    /// same miner connection; more than 0, at most `connect_deadline`, default 5 s (or
    /// `connect_deadline`, if that is less).
    pub answer_timeout: Duration,
    /// Time without a line after which a pool counts as failed; 1 s to 1 d, default 180 s.
    pub silence_timeout: Duration,
    /// Time a pool has for its first job after it has accepted a miner's authorize, before Sluice moves on
    /// to the next pool; 100 ms to 1 h. Default 75 s, because public-pool makes a job once a minute, and
    /// the first miner to reconnect may have to wait for the next.
    pub first_job_timeout: Duration,
    /// Time a preferred pool must have been healthy before sessions return to it; up to 1 d, default
    /// 5 min.
    pub failback_after: Duration,
    /// First pause before a failed pool is retried; 10 ms to 1 h, default 1 s.
    pub backoff_min: Duration,
    /// Longest such pause; `backoff_min` to 1 d, default 60 s.
    pub backoff_max: Duration,
    /// Time between two checks of the pool that the next miner would get, while no miner uses it. The pools after it
    /// are checked a tenth as often. 100 ms to 1 d, default 30 s; `None` is never.
    pub idle_check: Option<Duration>,
}

impl Default for FailoverConfig {
    fn default() -> FailoverConfig {
        FailoverConfig {
            connect_deadline: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(5),
            silence_timeout: Duration::from_secs(180),
            first_job_timeout: Duration::from_secs(75),
            failback_after: Duration::from_secs(300),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            idle_check: Some(Duration::from_secs(30)),
        }
    }
}

pub(super) fn read(mut section: Section) -> FailoverConfig {
    let mut failover = FailoverConfig::default();
    let millisecond = Duration::from_millis(1);
    let connect_deadline = &mut failover.connect_deadline;
    section.duration("connect_deadline", connect_deadline, 100 * millisecond..=5 * MINUTE);
    failover.answer_timeout = failover.answer_timeout.min(*connect_deadline);
    section.duration("answer_timeout", &mut failover.answer_timeout, millisecond..=*connect_deadline);
    section.duration("silence_timeout", &mut failover.silence_timeout, SECOND..=DAY);
    section.duration("first_job_timeout", &mut failover.first_job_timeout, 100 * millisecond..=HOUR);
    section.duration("failback_after", &mut failover.failback_after, Duration::ZERO..=DAY);
    section.duration("backoff_min", &mut failover.backoff_min, 10 * millisecond..=HOUR);
    section.duration("backoff_max", &mut failover.backoff_max, 10 * millisecond..=DAY);
    section.duration_or_never("idle_check", &mut failover.idle_check, 100 * millisecond..=DAY);
    if failover.backoff_min > failover.backoff_max {
        let key = if section.is_set("backoff_min") { "backoff_min" } else { "backoff_max" };
        section.conflict(
            key,
            "is out of range: backoff_min must not be longer than backoff_max (default \"60s\")",
        );
    }
    failover
}
