//! The figures of a pool, in one form for all APIs.

use std::fmt;
use std::time::Duration;

use crate::clock::NtpTime;

/// The figures at one moment. A figure that the pool does not publish is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolFigures {
    /// When they were requested.
    pub at: NtpTime,
    pub hash_rate: Option<PublishedHashRate>,
    /// The sum of the difficulties of all shares it has credited so far.
    pub accepted_difficulty_total: Option<f64>,
    /// When it got the last share, in seconds since 1970.
    pub last_share: Option<i64>,
    pub workers: Option<u64>,
    /// The best share's difficulty.
    pub best: Option<f64>,
}

/// A hash rate as the pool estimates it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedHashRate {
    /// Hashes per second.
    pub per_second: f64,
    /// The time over which it is estimated; `None` if the pool does not say.
    pub window: Option<Duration>,
}

/// An unusable answer: not the expected document, or with an absurd value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerError {
    /// The field, or the whole answer.
    pub what: String,
    pub why: &'static str,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.why)
    }
}

impl std::error::Error for AnswerError {}

impl PoolFigures {
    /// Figures without any value.
    pub(super) fn empty(at: NtpTime) -> PoolFigures {
        PoolFigures {
            at,
            hash_rate: None,
            accepted_difficulty_total: None,
            last_share: None,
            workers: None,
            best: None,
        }
    }
}
