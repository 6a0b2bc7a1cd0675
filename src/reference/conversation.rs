//! The miner's side of a conversation with a pool that is only watched: lines go in, lines to be sent
//! and what the pool works on come out. No sockets; it never submits.
//!
//! It subscribes, and authorizes when that is answered.

use crate::stratum::{
    Client, ClientEvent, JobLine, Login, Nbits, Notify, PoolMethod, PrevHash, ReadingAgreement,
    ResponseVerdict, SearchSpaces, SubscribeAnswer,
};
use crate::util::escape::line_text;
use crate::work::{Coinbase, Height};

/// Whom the pool is told when the configuration names nobody: the example address of BIP173, so that
/// nobody's own address is shown to a pool that nobody mines at. Solo pools want an address.
pub(super) const NOBODY: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.sluice-watch";

/// Of a pool's own words, in characters.
const MOST_TEXT: usize = 200;
const SEVERAL_WAYS: &str = "miners may read it in several ways";

/// The miner's side.
#[derive(Debug)]
pub(super) struct ReferenceClient {
    user: Option<String>,
    client: Client<()>,
    subscribed: Option<SubscribeAnswer>,
    /// The reason why the search space can't be told any more.
    space_doubt: Option<String>,
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

impl ReferenceClient {
    /// Something is to be sent at once.
    pub(super) fn new(user: Option<&str>) -> ReferenceClient {
        let mut client = Client::new(concat!("sluice-watch/", env!("CARGO_PKG_VERSION")));
        client.subscribe();
        let user = user.map(str::to_owned);
        ReferenceClient { user, client, subscribed: None, space_doubt: None, refused_user: None }
    }

    /// What is to be sent now; empty for nothing.
    pub(super) fn take_outgoing(&mut self) -> String {
        self.client.take_outgoing()
    }

    /// What the pool said against the user, with what can be done. Some send jobs all the same.
    pub(super) fn refused_user(&self) -> Option<&str> {
        self.refused_user.as_deref()
    }

    /// Takes one line of the pool, without its end.
    pub(super) fn take_line(&mut self, line: &[u8]) -> Heard {
        let mut heard = Heard::Talk;
        for event in self.client.take_line(line, ()) {
            heard = self.take_event(event).unwrap_or(heard);
        }
        heard
    }

    /// Takes one thing that a line says. `None` when nothing follows for what is told of the line.
    fn take_event(&mut self, event: ClientEvent<()>) -> Option<Heard> {
        match event {
            ClientEvent::Unreadable => return Some(Heard::Nonsense),
            ClientEvent::Called { method, reply: Some(reply) } => match method {
                // Where a pool wants its miners is not where it works: it is watched where it was named.
                Some(PoolMethod::Reconnect | PoolMethod::Notify | PoolMethod::SetExtranonce) => {}
                _ => self.client.reply(&reply),
            },
            ClientEvent::Authorized(ResponseVerdict::Refused { reason, .. }) => {
                let said = words(reason.as_deref());
                self.refused_user = Some(match &self.user {
                    Some(user) => format!("it refuses the user {}{said}", line_text(user, MOST_TEXT)),
                    None => format!("it refuses a user that it does not know{said}: set reference.user"),
                });
            }
            ClientEvent::Subscribed(spaces) => match certain(spaces) {
                Ok(space) => {
                    self.subscribed = Some(space);
                    self.client.authorize(&Login::new(self.user.as_deref().unwrap_or(NOBODY), "x"));
                }
                Err(why) => return Some(no_jobs(&why)),
            },
            ClientEvent::SubscribeRefused(ResponseVerdict::Refused { reason, .. }) => {
                return Some(no_jobs(&format!("refused{}", words(reason.as_deref()))));
            }
            ClientEvent::ExtranonceSet(spaces) => match (certain(spaces), &mut self.subscribed) {
                (Ok(space), Some(subscribed)) => (*subscribed, self.space_doubt) = (space, None),
                (Ok(_), None) => {}
                (Err(why), _) => self.space_doubt = Some(format!("its mining.set_extranonce: {why}")),
            },
            ClientEvent::Job(line, ()) if self.subscribed.is_some() => return Some(self.take_work(line)),
            _ => {}
        }
        None
    }

    /// Takes a job in all its readings: what they agree in.
    fn take_work(&self, line: JobLine) -> Heard {
        let is_doubtful = line.readings.iter().any(|reading| reading.agreement == ReadingAgreement::Doubtful);
        let doubt = is_doubtful.then(|| SEVERAL_WAYS.to_owned());
        if let Some(why) = line.unreadable.or(doubt).or_else(|| self.space_doubt.clone()) {
            return Heard::UselessJob(shown(&why));
        }
        let mut heard = line.readings.iter().map(|reading| self.take_job(&reading.job));
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
}

/// The search space in which all readings of a line agree.
fn certain(spaces: SearchSpaces) -> Result<SubscribeAnswer, String> {
    let is_doubtful = spaces.is_doubtful();
    let SearchSpaces { mut readable, unreadable } = spaces;
    match (readable.pop(), unreadable) {
        (Some((space, _)), None) if readable.is_empty() && !is_doubtful => Ok(space),
        (None, Some(why)) => Err(why.to_string()),
        _ => Err(SEVERAL_WAYS.to_owned()),
    }
}

fn no_jobs(why: &str) -> Heard {
    Heard::Refusal(format!("its answer to mining.subscribe is no use: {}", shown(why)))
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
