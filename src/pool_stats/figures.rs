//! What a pool says, in one form for all.

use std::fmt;
use std::time::Duration;

use crate::clock::NtpTime;

/// What the pool published at one moment. What it does not publish is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolFigures {
    /// When it was asked.
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

/// A hash rate as the pool reckons it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedHashRate {
    /// Hashes per second.
    pub per_second: f64,
    /// The time it is reckoned over; `None` when the pool does not say.
    pub window: Option<Duration>,
}

/// An answer that can't be used: not the document that was expected, or with an absurd value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerError {
    /// The field, or the whole.
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
    /// Nothing is known yet.
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
