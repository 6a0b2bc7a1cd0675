//! The observations of a conversation: bounded facts, judged elsewhere.

use std::time::Duration;

use serde::Serialize;

use super::jobs::ObservedJobs;
use crate::clock::NtpTime;
use crate::stratum::{Difficulty, Reconnect, SubscribeAnswer, VersionMask};

#[derive(Debug, Default)]
pub struct Observations {
    pub subscribed: Option<Subscribed>,
    /// Other search spaces that miners may read in the pool's lines.
    pub other_spaces: Vec<SubscribeAnswer>,
    /// The reason why the search space of miners is uncertain.
    pub space_doubt: Option<String>,
    /// The pool's reason to reject subscribe.
    pub subscribe_refused: Option<PoolRefusal>,
    pub authorized: Authorized,
    /// The response time of authorize.
    pub authorize_took: Option<Duration>,
    /// The time at which authorize was sent, since the connection.
    pub authorize_sent: Option<Duration>,
    /// `None` if the pool rejected version rolling or did not answer.
    pub version_mask: Option<VersionMask>,
    pub difficulty: DifficultyAsked,
    pub jobs: ObservedJobs,
    /// The pool changed the extranonces by `mining.set_extranonce`, which was not subscribed to.
    pub extranonce_changed: bool,
    pub reconnect: Option<ObservedReconnect>,
    /// The messages that the pool wants to be shown. They are escaped where they are printed.
    pub messages: Vec<String>,
    /// Jobs whose line paused for a second.
    pub cut_jobs: u64,
    /// Another line came before the answers to configure and subscribe.
    pub is_first_line_other: bool,
    pub lines: u64,
    /// Lines that were not a Stratum message.
    pub unreadable: u64,
    /// The first of them, truncated.
    pub unreadable_sample: Option<String>,
    /// The longest line, in bytes.
    pub longest_line: usize,
    /// The most memory that a NerdMiner needs for a line, in bytes.
    pub largest_memory: usize,
}

/// The time of an event, by a monotonic clock and by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// The time since the connection.
    pub since: Duration,
    /// NTP time if it is known, else the system's.
    pub clock: NtpTime,
}

/// The answer to `mining.subscribe`.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribed {
    pub extranonces: SubscribeAnswer,
    pub took: Duration,
}

/// A rejection in the pool's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolRefusal {
    pub code: Option<i64>,
    pub reason: Option<String>,
}

/// The answer to `mining.authorize`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authorized {
    #[default]
    Unanswered,
    Accepted,
    Refused(PoolRefusal),
}

/// The share difficulty, and the pool's reaction to the suggestion.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DifficultyAsked {
    /// The difficulty before the suggestion.
    pub first: Option<Difficulty>,
    pub newest: Option<Difficulty>,
    /// The number of times it was set.
    pub count: u64,
    pub suggestion: Suggestion,
}

/// The pool's reaction to the suggested difficulty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suggestion {
    /// No suggestion was sent.
    #[default]
    Unmade,
    Ignored,
    /// The pool answered with an error.
    Refused,
    /// The difficulty fell, but not to the suggested one.
    Lowered,
    /// The difficulty fell to the suggested one or lower.
    Followed,
    /// The pool already asked for less.
    Needless,
}

/// A `client.reconnect` of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedReconnect {
    pub target: Reconnect,
    /// Whether it leads to another host.
    pub is_foreign: bool,
}
