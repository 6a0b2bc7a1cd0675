//! The miner's side of a conversation with a pool that is only watched: lines go in, lines to be sent
//! and what the pool works on come out. No sockets; it never submits.
//!
//! It subscribes, and authorizes when that is answered.

use serde_json::json;
use serde_json::value::RawValue;

use crate::stratum::{
    Envelope, Extranonce1, Extranonce2Size, Nbits, Notify, PrevHash, Refusal, RefusalCode, SubscribeAnswer,
    Verdict, elements, refused, result,
};
use crate::util::escape::line_text;
use crate::work::{Coinbase, Height};

/// Whom the pool is told when the configuration names nobody: the example address of BIP173, so that
/// nobody's own address is shown to a pool that nobody mines at. Solo pools want an address.
pub(super) const NOBODY: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.sluice-watch";

/// Of a pool's own words, in characters.
const MOST_TEXT: usize = 200;

const SUBSCRIBE: u64 = 1;
const AUTHORIZE: u64 = 2;

/// The miner's side.
#[derive(Debug)]
pub(super) struct Conversation {
    user: Option<String>,
    outgoing: String,
    subscribed: Option<SubscribeAnswer>,
    /// A job that came before the extranonces did.
    early: Option<Notify>,
    refused_user: Option<String>,
}

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

impl Conversation {
    /// Something is to be sent at once.
    pub(super) fn new(user: Option<&str>) -> Conversation {
        let mut conversation = Conversation {
            user: user.map(str::to_owned),
            outgoing: String::new(),
            subscribed: None,
            early: None,
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
        match Envelope::read(line) {
            Err(_) => Heard::Nonsense,
            Ok(message) => match message.method() {
                Some(method) => self.take_method(&message, &method),
                None => self.take_answer(&message),
            },
        }
    }

    fn take_answer(&mut self, answer: &Envelope<'_>) -> Heard {
        match answer.numeric_id() {
            Some(SUBSCRIBE) if self.subscribed.is_none() => self.take_subscribed(answer),
            Some(AUTHORIZE) => {
                if let Verdict::Refused { reason, .. } = Verdict::of(answer) {
                    let said = words(reason.as_deref());
                    self.refused_user = Some(match &self.user {
                        Some(user) => format!("it refuses the user {}{said}", line_text(user, MOST_TEXT)),
                        None => format!("it refuses a user that it does not know{said}: set reference.user"),
                    });
                }
                Heard::Talk
            }
            _ => Heard::Talk,
        }
    }

    fn take_subscribed(&mut self, answer: &Envelope<'_>) -> Heard {
        let answered = match answer.good_result() {
            Some(result) => SubscribeAnswer::from_result(result).map_err(|why| why.to_string()),
            None => match Verdict::of(answer) {
                Verdict::Refused { reason, .. } => Err(format!("refused{}", words(reason.as_deref()))),
                Verdict::Accepted => Err(String::from("an answer without a result")),
            },
        };
        match answered {
            Err(why) => Heard::Refusal(format!("its answer to mining.subscribe is no use: {}", shown(&why))),
            Ok(answered) => {
                self.subscribed = Some(answered);
                let params = json!([self.user.as_deref().unwrap_or(NOBODY), "x"]);
                self.request(AUTHORIZE, "mining.authorize", &params);
                self.early.take().map_or(Heard::Talk, |job| self.take_job(job))
            }
        }
    }

    fn take_method(&mut self, message: &Envelope<'_>, method: &str) -> Heard {
        match method {
            "mining.notify" => match Notify::from_params(message.params) {
                Ok(job) => return self.take_job(job),
                Err(why) => return Heard::UselessJob(shown(&why.to_string())),
            },
            "mining.set_extranonce" => self.take_extranonces(message.params),
            "client.get_version" => {
                self.answer(message, concat!("\"sluice-watch/", env!("CARGO_PKG_VERSION"), "\""));
            }
            "mining.ping" => self.answer(message, "\"pong\""),
            // Where a pool wants its miners is not where it works: it is watched where it was named.
            "client.reconnect" => {}
            _ if message.has_id() => {
                let refusal = Refusal::new(RefusalCode::Other, "Not supported.");
                self.outgoing.push_str(&refused(message.id(), &refusal, Default::default()));
            }
            _ => {}
        }
        Heard::Talk
    }

    fn take_job(&mut self, job: Notify) -> Heard {
        let Some(SubscribeAnswer { extranonce1, extranonce2_size }) = &self.subscribed else {
            self.early = Some(job);
            return Heard::Talk;
        };
        let coinbase = match Coinbase::of_job(&job, extranonce1, *extranonce2_size) {
            Ok(coinbase) => coinbase,
            Err(why) => return Heard::UselessJob(shown(&why.to_string())),
        };
        match coinbase.height() {
            Ok(height) => Heard::Job { height, prevhash: job.prevhash, nbits: job.nbits },
            Err(why) => Heard::UselessJob(shown(&why.to_string())),
        }
    }

    fn take_extranonces(&mut self, params: Option<&RawValue>) {
        let elements = params.and_then(|params| elements("params", params).ok()).unwrap_or_default();
        let extranonce1 = elements.first().and_then(|raw| Extranonce1::from_json(raw).ok());
        let size = elements.get(1).and_then(|raw| Extranonce2Size::from_json(raw).ok());
        let (Some(subscribed), Some(extranonce1)) = (&mut self.subscribed, extranonce1) else { return };
        subscribed.extranonce1 = extranonce1;
        subscribed.extranonce2_size = size.unwrap_or(subscribed.extranonce2_size);
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

/// A stranger's words in a sentence, or nothing.
fn words(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" (\"{}\")", shown(reason)))
}

fn shown(text: &str) -> String {
    line_text(text, MOST_TEXT)
}

#[cfg(test)]
mod tests;
