//! The events in a pool's line for a client.

use crate::stratum::difficulty::Difficulty;
use crate::stratum::job_reading::{JobReading, ReadingAgreement};
use crate::stratum::json_field::FieldError;
use crate::stratum::method::PoolMethod;
use crate::stratum::readings::Readings;
use crate::stratum::reconnect::Reconnect;
use crate::stratum::subscribe::SubscribeAnswer;
use crate::stratum::verdict::ResponseVerdict;
use crate::stratum::version::VersionMask;

/// An event in a line.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent<T> {
    /// The line is no message that any miner reads.
    Unreadable,
    /// The pool called a method; `None` for one that no miner knows. `reply` is the usual reply if the pool asked for
    /// one.
    Called {
        method: Option<PoolMethod>,
        reply: Option<String>,
    },
    /// The answer to the configure: the version bits that may be rolled; `None` if the pool refuses.
    Configured(Option<VersionMask>),
    /// An answer to the subscribe in one reading. It accepts if its result is a list or an object and it has no
    /// error.
    SubscribeAnswered {
        is_accepted: bool,
    },
    /// The first answer that accepts the subscribe, in all its readings.
    Subscribed(SearchSpaces),
    /// The pool refuses the subscribe.
    SubscribeRefused(ResponseVerdict),
    /// The answer to an authorize.
    Authorized(ResponseVerdict),
    /// An error as the answer to a suggested difficulty. Many pools give no answer, or an odd one.
    SuggestionRefused,
    /// An answer with another id, or a second one, that some miners take for the answer to the subscribe.
    UnaskedSpaces(SearchSpaces),
    /// A `mining.set_extranonce`, in all its readings. It may come before the answer to the subscribe.
    ExtranonceSet(SearchSpaces),
    Difficulty(Difficulty),
    VersionMask(VersionMask),
    Reconnect(Reconnect),
    /// A text for people.
    Message(String),
    /// A job and the time when it came.
    Job(JobLine, T),
}

/// The job of one line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobLine {
    /// The distinct readings of the job.
    pub readings: Vec<JobReading>,
    /// The reason why the line may hold another job for some miners, which cannot be read.
    pub unreadable: Option<String>,
}

/// The search spaces that miners may take from one line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchSpaces {
    /// The distinct spaces with the agreement of miners, that of most miners first.
    pub readable: Vec<(SubscribeAnswer, ReadingAgreement)>,
    /// The reason why a reading gives no space.
    pub unreadable: Option<FieldError>,
}

impl JobLine {
    /// All jobs of a line; `None` for a line without a job.
    pub(super) fn of(readings: &Readings<'_>) -> Option<JobLine> {
        let mut line = JobLine::default();
        for job in readings.jobs() {
            match job {
                Ok(job) => line.readings.push(job),
                Err(why) => line.unreadable = Some(why.to_string()),
            }
        }
        if readings.may_hide_job() {
            let what = if readings.first().is_some() { "something behind a message" } else { "the line" };
            line.unreadable = Some(format!("{what} is no message, and looks like a job"));
        }
        (line != JobLine::default()).then_some(line)
    }

    /// The memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.readings.iter().map(JobReading::bytes).sum()
    }
}

impl SearchSpaces {
    pub(super) fn add(&mut self, space: Result<(SubscribeAnswer, ReadingAgreement), FieldError>) {
        match space {
            Ok((space, agreement)) => match self.readable.iter_mut().find(|(known, _)| *known == space) {
                Some((_, known)) => *known = agreement.max(*known),
                None => self.readable.push((space, agreement)),
            },
            Err(why) => self.unreadable = Some(why),
        }
    }

    /// The space that most miners take.
    pub fn first(&self) -> Option<&SubscribeAnswer> {
        self.readable.first().map(|(space, _)| space)
    }

    /// The search spaces, without their readings.
    pub fn spaces(&self) -> impl Iterator<Item = &SubscribeAnswer> {
        self.readable.iter().map(|(space, _)| space)
    }

    /// Returns whether some miners read one of the spaces differently.
    pub fn is_doubtful(&self) -> bool {
        self.readable.iter().any(|(_, agreement)| *agreement == ReadingAgreement::Doubtful)
    }
}
