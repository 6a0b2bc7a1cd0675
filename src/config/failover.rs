//! `[failover]`: when a pool is given up, and when it is taken again.

use std::time::Duration;

use super::reader::Section;

/// When a pool is given up, and when it is taken again.
#[derive(Debug, Clone, PartialEq)]
pub struct FailoverConfig {
    /// A miner for whom no upstream could be reached within this time is closed; 100 ms to 5 min,
    /// default 10 s.
    pub connect_deadline: Duration,
    /// A pool that was spoken to and gives no first answer within this time is left for the next
    /// one within the same miner connection; more than 0, at most `connect_deadline`, default 5 s
    /// (or `connect_deadline`, if that is less).
    pub answer_timeout: Duration,
    /// A pool that sends no line for so long counts as failed; 1 s to 1 d, default 180 s.
    pub silence_timeout: Duration,
    /// A pool that accepts a miner's authorize and sends no job within this time is left for the next
    /// one; 100 ms to 1 h, default 75 s: public-pool makes its jobs once a minute, and the first miner to
    /// come back may have to wait for the next one.
    pub first_job_timeout: Duration,
    /// A preferred pool must have been well for so long before sessions return to it; up to 1 d,
    /// default 5 min.
    pub failback_after: Duration,
    /// The first pause after a failure; 10 ms to 1 h, default 1 s.
    pub backoff_min: Duration,
    /// The longest pause; `backoff_min` to 1 d, default 60 s.
    pub backoff_max: Duration,
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
        }
    }
}

pub(super) fn read(mut section: Section) -> FailoverConfig {
    let default = FailoverConfig::default();
    let (millisecond, second) = (Duration::from_millis(1), Duration::from_secs(1));
    let (hour, day) = (3600 * second, 86_400 * second);
    let connect_deadline =
        section.duration("connect_deadline", default.connect_deadline, 100 * millisecond..=300 * second);
    let failover = FailoverConfig {
        connect_deadline,
        answer_timeout: section.duration(
            "answer_timeout",
            default.answer_timeout.min(connect_deadline),
            millisecond..=connect_deadline,
        ),
        silence_timeout: section.duration("silence_timeout", default.silence_timeout, second..=day),
        first_job_timeout: section.duration(
            "first_job_timeout",
            default.first_job_timeout,
            100 * millisecond..=hour,
        ),
        failback_after: section.duration("failback_after", default.failback_after, Duration::ZERO..=day),
        backoff_min: section.duration("backoff_min", default.backoff_min, 10 * millisecond..=hour),
        backoff_max: section.duration("backoff_max", default.backoff_max, 10 * millisecond..=day),
    };
    if failover.backoff_min > failover.backoff_max {
        let key = if section.is_set("backoff_min") { "backoff_min" } else { "backoff_max" };
        section.conflict(key, "is wrong: backoff_min must not be longer than backoff_max (default \"60s\")");
    }
    section.finish();
    failover
}
