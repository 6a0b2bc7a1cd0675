//! All that miners may read in one line of the pool: jobs, search spaces, and what can't be read and may be
//! one of them.

use super::reading;
use crate::stratum::{
    Envelope, Extranonce1, Extranonce2Size, JobReading, PoolMethod, ReadingAgreement, Readings,
    SubscribeAnswer, elements,
};
use crate::verify::job::Extranonces;
use crate::verify::observations::PoolRefusal;

/// What a line means to miners. An ordinary line holds at most one job or one search space; an odd one as many
/// as miners differ.
#[derive(Debug, Default)]
pub(super) struct LineContent {
    /// The jobs, none of them twice.
    pub(super) jobs: Vec<JobReading>,
    /// The reason why a part of the line can't be read that may be a job.
    pub(super) unreadable_job: Option<String>,
    /// The answers to `mining.subscribe`.
    pub(super) subscribed: Spaces,
    /// The refusal to subscribe.
    pub(super) refusal: Option<PoolRefusal>,
    /// The search spaces of a `mining.set_extranonce`.
    pub(super) set: Spaces,
    /// Those of an answer that was not asked for: some miners look at no id.
    pub(super) foreign: Spaces,
}

/// The search spaces that miners may take from one line.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    /// None of them twice, that of most miners first.
    pub(super) readable: Vec<Extranonces>,
    /// The reason why miners may take another one.
    pub(super) doubt: Option<String>,
}

impl LineContent {
    /// Collects all readings. `subscribe` is the id of the request to subscribe, and `known` the search space
    /// in force.
    pub(super) fn of(readings: &Readings<'_>, subscribe: u64, known: Option<&Extranonces>) -> LineContent {
        let mut content = LineContent::default();
        for job in readings.jobs() {
            match job {
                Ok(job) => content.jobs.push(job),
                Err(why) => content.unreadable_job = Some(why.to_string()),
            }
        }
        if readings.may_hide_job() {
            let what = if readings.first().is_some() { "something behind a message" } else { "the line" };
            content.unreadable_job = Some(format!("{what} is no message, and looks like a job"));
        }
        for message in readings.messages() {
            let method = message.method();
            let is_set = |method: &str| PoolMethod::of(method) == Some(PoolMethod::SetExtranonce);
            if method.as_deref().is_some_and(is_set) {
                content.set.add(set_extranonce(&message, known));
            }
            if message.numeric_id() == Some(subscribe) && (method.is_none() || message.result.is_some()) {
                content.take_subscribed(&message);
            } else if let Some(Ok(answered)) = message.result.map(SubscribeAnswer::from_result) {
                content.foreign.add(Ok((answered, ReadingAgreement::All)));
            }
        }
        content
    }

    /// Whether there is an answer to `mining.subscribe`.
    pub(super) fn is_subscribed(&self) -> bool {
        !self.subscribed.is_empty() || self.refusal.is_some()
    }

    /// Takes one reading of the answer. An error beside a result does not matter to all miners.
    fn take_subscribed(&mut self, answer: &Envelope<'_>) {
        match answer.result.map(SubscribeAnswer::as_miners_read) {
            Some(Ok(answered)) => self.subscribed.add(Ok(answered)),
            Some(Err(why)) if !answer.has_error() => self.subscribed.add(Err(why.to_string())),
            Some(Err(_)) | None => {
                self.refusal.get_or_insert_with(|| reading::refusal(answer));
            }
        }
    }
}

impl Spaces {
    fn add(&mut self, space: Result<(SubscribeAnswer, ReadingAgreement), String>) {
        match space {
            Ok((SubscribeAnswer { extranonce1, extranonce2_size }, agreement)) => {
                if agreement == ReadingAgreement::Doubtful {
                    self.doubt = Some("its extranonce1 is no hex text that all miners read alike".to_owned());
                }
                if extranonce2_size.bytes() > Extranonce2Size::MAX_OF_MINERS {
                    self.doubt =
                        Some("its extranonce2 is longer than 8 bytes, of which miners send fewer".to_owned());
                }
                let space = Extranonces { extranonce1, extranonce2_size };
                if !self.readable.contains(&space) {
                    self.readable.push(space);
                }
            }
            Err(why) => self.doubt = Some(why),
        }
    }

    /// Whether the line says nothing of a search space.
    pub(super) fn is_empty(&self) -> bool {
        self.readable.is_empty() && self.doubt.is_none()
    }
}

/// Reads the params of `mining.set_extranonce`. Without a size the known one stays.
fn set_extranonce(
    message: &Envelope<'_>,
    known: Option<&Extranonces>,
) -> Result<(SubscribeAnswer, ReadingAgreement), String> {
    let params = message.params.and_then(|params| elements("params", params).ok());
    if let (Some([extranonce1]), Some(known)) = (params.as_deref(), known) {
        let extranonce1 = Extranonce1::from_json(extranonce1).map_err(|why| why.to_string())?;
        let extranonce2_size = known.extranonce2_size;
        return Ok((SubscribeAnswer { extranonce1, extranonce2_size }, ReadingAgreement::All));
    }
    SubscribeAnswer::of_set_extranonce(message.params).map_err(|why| why.to_string())
}
