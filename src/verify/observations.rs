//! What a conversation has brought to light: facts only, bounded, judged elsewhere.

use std::time::Duration;

use super::jobs::JobsSeen;
use crate::stratum::{Difficulty, SubscribeAnswer, VersionMask};

/// What a conversation has brought to light.
#[derive(Debug, Default)]
pub struct Observations {
    pub subscribed: Option<Subscribed>,
    /// Other search spaces that miners may read in what the pool said.
    pub other_spaces: Vec<SubscribeAnswer>,
    /// The reason why nobody can tell which search space miners use.
    pub space_doubt: Option<String>,
    /// Why the pool did not let the miner subscribe.
    pub subscribe_refused: Option<PoolRefusal>,
    pub authorized: Authorized,
    /// How long the answer to authorize took.
    pub authorize_took: Option<Duration>,
    /// When authorize was sent, since the connection.
    pub authorize_sent: Option<Duration>,
    /// `None` when version rolling was refused or not answered.
    pub version_mask: Option<VersionMask>,
    pub difficulty: DifficultyAsked,
    pub jobs: JobsSeen,
    /// Set when the extranonces were changed by `mining.set_extranonce`, which nobody asked for.
    pub extranonce_changed: bool,
    pub reconnect: Option<ReconnectSeen>,
    /// What the pool wanted to be shown, escaped where it is printed.
    pub messages: Vec<String>,
    /// Lines, jobs as far as they had come, that paused for a second.
    pub cut_jobs: u64,
    /// Something else came before the answers to configure and subscribe.
    pub is_first_line_foreign: bool,
    pub lines: u64,
    /// Lines that were no message.
    pub unreadable: u64,
    /// The first of them, shortened.
    pub unreadable_sample: Option<String>,
    /// The longest line, in bytes.
    pub longest_line: usize,
    /// The most memory that a NerdMiner needs to read a line, in bytes.
    pub largest_tree: usize,
}

/// The answer to `mining.subscribe`.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribed {
    pub extranonces: SubscribeAnswer,
    pub took: Duration,
}

/// A refusal as the pool put it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolRefusal {
    pub code: Option<i64>,
    pub reason: Option<String>,
}

/// What became of `mining.authorize`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authorized {
    #[default]
    Unanswered,
    Accepted,
    Refused(PoolRefusal),
}

/// The share difficulty, and what the pool made of a suggestion.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DifficultyAsked {
    /// Before the suggestion.
    pub first: Option<Difficulty>,
    pub newest: Option<Difficulty>,
    /// How often it was set.
    pub count: u64,
    pub suggestion: Suggestion,
}

/// What became of the suggestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Suggestion {
    /// It was never made.
    #[default]
    Unmade,
    Ignored,
    /// Answered by an error.
    Refused,
    /// The difficulty fell, but not so far.
    Lowered,
    /// The difficulty became what was suggested, or lower.
    Followed,
    /// The pool asks for less anyway.
    Needless,
}

/// `client.reconnect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconnectSeen {
    /// `None` for the same one.
    pub host: Option<String>,
    pub port: Option<String>,
    pub is_foreign: bool,
}

impl Suggestion {
    /// A stable word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Suggestion::Unmade => "unmade",
            Suggestion::Ignored => "ignored",
            Suggestion::Refused => "refused",
            Suggestion::Lowered => "lowered",
            Suggestion::Followed => "followed",
            Suggestion::Needless => "needless",
        }
    }
}
