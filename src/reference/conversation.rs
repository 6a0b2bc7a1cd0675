//! The miner's side of a conversation with a pool that is only watched: lines go in, lines to be sent
//! and what the pool works on come out. No sockets; it never submits.
//!
//! It subscribes, and authorizes when that is answered.

use serde_json::json;

use crate::stratum::{
    Envelope, Extranonce1, Nbits, Notify, PoolMethod, PrevHash, ReadingAgreement, Readings, RefusalCode,
    ResponseVerdict, StratumError, SubscribeAnswer, elements, refused, result,
};
use crate::util::escape::line_text;
use crate::work::{Coinbase, Height};

/// Whom the pool is told when the configuration names nobody: the example address of BIP173, so that
/// nobody's own address is shown to a pool that nobody mines at. Solo pools want an address.
pub(super) const NOBODY: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.sluice-watch";

/// Of a pool's own words, in characters.
const MOST_TEXT: usize = 200;
const SEVERAL_WAYS: &str = "miners may read it in several ways";

const SUBSCRIBE: u64 = 1;
const AUTHORIZE: u64 = 2;

/// The miner's side.
#[derive(Debug)]
pub(super) struct ReferenceClient {
    user: Option<String>,
    outgoing: String,
    subscribed: Option<SubscribeAnswer>,
    /// The newest job that came before the extranonces did: older ones say nothing any more.
    early: Option<ReadJobs>,
    /// The reason why the search space can't be told any more.
    space_doubt: Option<String>,
    refused_user: Option<String>,
}

/// The jobs of a line, one for each way in which miners read it; or why nobody can tell.
type ReadJobs = Result<Vec<Notify>, String>;
/// A search space, and how far miners agree in it.
type SpaceReading = Result<(SubscribeAnswer, ReadingAgreement), String>;

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    /// It is no message.
    Nonsense,
    /// Something else than a job.
    Talk,
    Job {
        height: Height,
        prevhash: PrevHash,
        nbits: Nbits,
    },
    /// A job that can't be used, and why.
    UselessJob(String),
    /// There will be no jobs, and why.
    Refusal(String),
}

impl ReferenceClient {
    /// Something is to be sent at once.
    pub(super) fn new(user: Option<&str>) -> ReferenceClient {
        let mut conversation = ReferenceClient {
            user: user.map(str::to_owned),
            outgoing: String::new(),
            subscribed: None,
            early: None,
            space_doubt: None,
            refused_user: None,
        };
        let agent = concat!("sluice-watch/", env!("CARGO_PKG_VERSION"));
        conversation.request(SUBSCRIBE, "mining.subscribe", &json!([agent]));
        conversation
    }

    /// What is to be sent now; empty for nothing.
    pub(super) fn take_outgoing(&mut self) -> String {
        std::mem::take(&mut self.outgoing)
    }

    /// What the pool said against the user, with what can be done. Some send jobs all the same.
    pub(super) fn refused_user(&self) -> Option<&str> {
        self.refused_user.as_deref()
    }

    /// Takes one line of the pool, without its end.
    pub(super) fn take_line(&mut self, line: &[u8]) -> Heard {
        let readings = Readings::of(line);
        let mut heard = Heard::Nonsense;
        for (place, message) in readings.messages().enumerate() {
            match message.method() {
                Some(method) => self.take_method(&message, &method, place == 0),
                None => self.take_answer(&message),
            }
            heard = Heard::Talk;
        }
        if let Some(answered) = space_in(&readings, |message| {
            (message.method().is_none() && message.numeric_id() == Some(SUBSCRIBE))
                .then(|| answer_in(message))
        }) {
            if self.subscribed.is_none() {
                return self.take_subscribed(answered);
            }
        }
        if let Some(space) = space_in(&readings, |message| self.set_extranonce(message)) {
            match (space, &mut self.subscribed) {
                (Ok(space), Some(subscribed)) => (*subscribed, self.space_doubt) = (space, None),
                (Ok(_), None) => {}
                (Err(why), _) => self.space_doubt = Some(format!("its mining.set_extranonce: {why}")),
            }
        }
        match work_in(&readings) {
            Some(work) if self.subscribed.is_none() => self.early = Some(work),
            Some(work) => heard = self.take_work(work),
            None => {}
        }
        heard
    }

    fn take_answer(&mut self, answer: &Envelope<'_>) {
        if let (Some(AUTHORIZE), ResponseVerdict::Refused { reason, .. }) =
            (answer.numeric_id(), ResponseVerdict::of(answer))
        {
            let said = words(reason.as_deref());
            self.refused_user = Some(match &self.user {
                Some(user) => format!("it refuses the user {}{said}", line_text(user, MOST_TEXT)),
                None => format!("it refuses a user that it does not know{said}: set reference.user"),
            });
        }
    }

    fn take_subscribed(&mut self, answered: Result<SubscribeAnswer, String>) -> Heard {
        match answered {
            Err(why) => Heard::Refusal(format!("its answer to mining.subscribe is no use: {}", shown(&why))),
            Ok(answered) => {
                self.subscribed = Some(answered);
                let params = json!([self.user.as_deref().unwrap_or(NOBODY), "x"]);
                self.request(AUTHORIZE, "mining.authorize", &params);
                self.early.take().map_or(Heard::Talk, |work| self.take_work(work))
            }
        }
    }

    /// Takes a message with a method. Questions are answered in the first reading of a line only. Jobs and
    /// search spaces are taken from all readings together.
    fn take_method(&mut self, message: &Envelope<'_>, method: &str, is_first: bool) {
        match PoolMethod::of(method) {
            _ if !is_first => {}
            Some(PoolMethod::GetVersion) => {
                self.answer(message, concat!("\"sluice-watch/", env!("CARGO_PKG_VERSION"), "\""));
            }
            Some(PoolMethod::Ping) => self.answer(message, "\"pong\""),
            // Where a pool wants its miners is not where it works: it is watched where it was named.
            Some(PoolMethod::Reconnect | PoolMethod::Notify | PoolMethod::SetExtranonce) => {}
            _ if message.has_id() => {
                let refusal = StratumError::new(RefusalCode::Other, "Not supported.");
                self.outgoing.push_str(&refused(message.id(), &refusal, Default::default()));
            }
            _ => {}
        }
    }

    /// Takes a job in all its readings: what they agree in.
    fn take_work(&self, work: ReadJobs) -> Heard {
        let jobs = match (work, &self.space_doubt) {
            (Err(why), _) => return Heard::UselessJob(shown(&why)),
            (Ok(_), Some(doubt)) => return Heard::UselessJob(shown(doubt)),
            (Ok(jobs), None) => jobs,
        };
        let mut heard = jobs.iter().map(|job| self.take_job(job));
        let first = heard.next().unwrap_or(Heard::Talk);
        if heard.all(|other| other == first) { first } else { Heard::UselessJob(SEVERAL_WAYS.to_owned()) }
    }

    fn take_job(&self, job: &Notify) -> Heard {
        let Some(SubscribeAnswer { extranonce1, extranonce2_size }) = &self.subscribed else {
            return Heard::Talk;
        };
        let coinbase = match Coinbase::of_job(job, extranonce1, *extranonce2_size) {
            Ok(coinbase) => coinbase,
            Err(why) => return Heard::UselessJob(shown(&why.to_string())),
        };
        match coinbase.height() {
            Ok(height) => Heard::Job { height, prevhash: job.prevhash, nbits: job.nbits },
            Err(why) => Heard::UselessJob(shown(&why.to_string())),
        }
    }

    /// The search space of a `mining.set_extranonce`. Without a size the known one stays.
    fn set_extranonce(&self, message: &Envelope<'_>) -> Option<SpaceReading> {
        if PoolMethod::of(&message.method()?) != Some(PoolMethod::SetExtranonce) {
            return None;
        }
        let params = message.params.and_then(|params| elements("params", params).ok());
        Some(match (params.as_deref(), &self.subscribed) {
            (Some([extranonce1]), Some(known)) => Extranonce1::from_json(extranonce1)
                .map(|extranonce1| (SubscribeAnswer { extranonce1, ..known.clone() }, ReadingAgreement::All))
                .map_err(|why| why.to_string()),
            _ => SubscribeAnswer::of_set_extranonce(message.params).map_err(|why| why.to_string()),
        })
    }

    fn request(&mut self, id: u64, method: &str, params: &serde_json::Value) {
        self.outgoing.push_str(&format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n"));
    }

    fn answer(&mut self, message: &Envelope<'_>, answer: &str) {
        if message.has_id() {
            self.outgoing.push_str(&result(message.id(), answer));
        }
    }
}

/// The jobs of all readings of a line; `None` for a line that has none. An error for one that can't be read for
/// certain.
fn work_in(readings: &Readings<'_>) -> Option<ReadJobs> {
    if readings.may_hide_job() {
        return Some(Err("something that looks like a job is no message".to_owned()));
    }
    let jobs = readings.jobs();
    let certain = jobs.into_iter().map(|job| match job {
        Ok(reading) if reading.agreement == ReadingAgreement::Doubtful => Err(SEVERAL_WAYS.to_owned()),
        Ok(reading) => Ok(reading.job),
        Err(why) => Err(why.to_string()),
    });
    let certain: Result<Vec<Notify>, String> = certain.collect();
    if certain.as_ref().is_ok_and(Vec::is_empty) { None } else { Some(certain) }
}

/// The search space in which all readings of a line agree; `None` when `read` finds none in any.
fn space_in<'a>(
    readings: &'a Readings<'_>,
    read: impl Fn(&Envelope<'a>) -> Option<SpaceReading>,
) -> Option<Result<SubscribeAnswer, String>> {
    let mut spaces = readings.messages().filter_map(|message| read(&message));
    let first = spaces.next()?;
    let is_certain = spaces.all(|other| other == first);
    Some(match first {
        Ok((_, ReadingAgreement::Doubtful)) => Err(SEVERAL_WAYS.to_owned()),
        Ok(_) if !is_certain => Err(SEVERAL_WAYS.to_owned()),
        Ok((space, _)) => Ok(space),
        Err(why) => Err(why),
    })
}

/// The search space in an answer to subscribe. An error beside a good result does not matter.
fn answer_in(answer: &Envelope<'_>) -> SpaceReading {
    match (answer.result.map(SubscribeAnswer::as_miners_read), ResponseVerdict::of(answer)) {
        (Some(Ok(answered)), _) => Ok(answered),
        (Some(Err(why)), _) if !answer.has_error() => Err(why.to_string()),
        (_, ResponseVerdict::Refused { reason, .. }) => Err(format!("refused{}", words(reason.as_deref()))),
        (_, ResponseVerdict::Accepted) => Err(String::from("an answer without a result")),
    }
}

/// A stranger's words in a sentence, or nothing.
fn words(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" (\"{}\")", shown(reason)))
}

fn shown(text: &str) -> String {
    line_text(text, MOST_TEXT)
}

#[cfg(test)]
mod tests;
