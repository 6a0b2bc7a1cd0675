//! The miner's side of a connection to a pool that is only watched, without I/O: received lines go in; lines to
//! send and the pool's jobs come out. It subscribes, authorizes when the pool has answered, and never submits.

use crate::stratum::{
    Client, ClientEvent, JobLine, Login, Nbits, Notify, PoolMethod, PrevHash, ReadingAgreement,
    ResponseVerdict, SearchSpaces, SubscribeAnswer,
};
use crate::util::escape::line_text;
use crate::work::{Coinbase, Height};

/// The user name if the configuration has none. Solo pools want an address, so it is the example address of BIP173:
/// no real address is shown to a pool that is not mined on.
pub(super) const EXAMPLE_USER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.sluice-watch";

/// Keeps a pool's own words in a message short.
const MAX_QUOTED_CHARS: usize = 200;
const AMBIGUOUS: &str = "miners may read it in several ways";

#[derive(Debug)]
pub(super) struct ReferenceClient {
    user: Option<String>,
    client: Client<()>,
    subscription: Option<SubscribeAnswer>,
    /// Why the current extranonces are unknown.
    extranonce_error: Option<String>,
    user_error: Option<String>,
}

/// The meaning of a line from the pool.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PoolEvent {
    /// Not a message.
    Unreadable,
    /// A message other than a job.
    OtherMessage,
    Job {
        height: Height,
        prevhash: PrevHash,
        nbits: Nbits,
    },
    /// An unusable job, and the reason.
    UnusableJob(String),
    /// The pool rejected the subscription, so that it will send no jobs; and the reason.
    NoJobs(String),
}

impl ReferenceClient {
    /// Creates a client whose first request is ready to be sent.
    pub(super) fn new(user: Option<&str>) -> ReferenceClient {
        let mut client = Client::new(concat!("sluice-watch/", env!("CARGO_PKG_VERSION")));
        client.subscribe();
        let user = user.map(str::to_owned);
        ReferenceClient { user, client, subscription: None, extranonce_error: None, user_error: None }
    }

    /// The lines to send now; empty if there are none.
    pub(super) fn take_outgoing(&mut self) -> String {
        self.client.take_outgoing()
    }

    /// Why the pool rejected the user, and what to do. Some pools send jobs all the same.
    pub(super) fn user_error(&self) -> Option<&str> {
        self.user_error.as_deref()
    }

    /// Reads one line of the pool, without its line end.
    pub(super) fn take_line(&mut self, line: &[u8]) -> PoolEvent {
        let mut reported = PoolEvent::OtherMessage;
        for event in self.client.take_line(line, ()) {
            reported = self.take_event(event).unwrap_or(reported);
        }
        reported
    }

    /// Handles one event of a line. `None` if it does not change what is reported of the line.
    fn take_event(&mut self, event: ClientEvent<()>) -> Option<PoolEvent> {
        match event {
            ClientEvent::Unreadable => return Some(PoolEvent::Unreadable),
            ClientEvent::Called { method, reply: Some(reply) } => match method {
                // client.reconnect is ignored: the configured address is watched, wherever the pool sends its miners.
                Some(PoolMethod::Reconnect | PoolMethod::Notify | PoolMethod::SetExtranonce) => {}
                _ => self.client.reply(&reply),
            },
            ClientEvent::Authorized(ResponseVerdict::Refused { reason, .. }) => {
                let reason = quoted(reason.as_deref());
                self.user_error = Some(match &self.user {
                    Some(user) => {
                        format!("it refuses the user {}{reason}", line_text(user, MAX_QUOTED_CHARS))
                    }
                    None => format!("it refuses a user that it does not know{reason}: set reference.user"),
                });
            }
            ClientEvent::Subscribed(spaces) => match agreed_answer(spaces) {
                Ok(space) => {
                    self.subscription = Some(space);
                    self.client.authorize(&Login::new(self.user.as_deref().unwrap_or(EXAMPLE_USER), "x"));
                }
                Err(why) => return Some(subscribe_error(&why)),
            },
            ClientEvent::SubscribeRefused(ResponseVerdict::Refused { reason, .. }) => {
                return Some(subscribe_error(&format!("refused{}", quoted(reason.as_deref()))));
            }
            ClientEvent::ExtranonceSet(spaces) => match (agreed_answer(spaces), &mut self.subscription) {
                (Ok(space), Some(subscription)) => (*subscription, self.extranonce_error) = (space, None),
                (Ok(_), None) => {}
                (Err(why), _) => self.extranonce_error = Some(format!("its mining.set_extranonce: {why}")),
            },
            ClientEvent::Job(line, ()) if self.subscription.is_some() => {
                return Some(self.take_job_line(line));
            }
            _ => {}
        }
        None
    }

    /// Decodes a job in each way that miners may read it. The results must agree.
    fn take_job_line(&self, line: JobLine) -> PoolEvent {
        let is_doubtful = line.readings.iter().any(|reading| reading.agreement == ReadingAgreement::Doubtful);
        let doubt = is_doubtful.then(|| AMBIGUOUS.to_owned());
        if let Some(why) = line.unreadable.or(doubt).or_else(|| self.extranonce_error.clone()) {
            return PoolEvent::UnusableJob(escaped(&why));
        }
        let mut events = line.readings.iter().map(|reading| self.take_job(&reading.job));
        let first = events.next().unwrap_or(PoolEvent::OtherMessage);
        if events.all(|other| other == first) { first } else { PoolEvent::UnusableJob(AMBIGUOUS.to_owned()) }
    }

    fn take_job(&self, job: &Notify) -> PoolEvent {
        let Some(SubscribeAnswer { extranonce1, extranonce2_size }) = &self.subscription else {
            return PoolEvent::OtherMessage;
        };
        let coinbase = match Coinbase::of_job(job, extranonce1, *extranonce2_size) {
            Ok(coinbase) => coinbase,
            Err(why) => return PoolEvent::UnusableJob(escaped(&why.to_string())),
        };
        match coinbase.height() {
            Ok(height) => PoolEvent::Job { height, prevhash: job.prevhash, nbits: job.nbits },
            Err(why) => PoolEvent::UnusableJob(escaped(&why.to_string())),
        }
    }
}

/// The extranonces on which all readings of a line agree.
fn agreed_answer(spaces: SearchSpaces) -> Result<SubscribeAnswer, String> {
    let is_doubtful = spaces.is_doubtful();
    let SearchSpaces { mut readable, unreadable } = spaces;
    match (readable.pop(), unreadable) {
        (Some((space, _)), None) if readable.is_empty() && !is_doubtful => Ok(space),
        (None, Some(why)) => Err(why.to_string()),
        _ => Err(AMBIGUOUS.to_owned()),
    }
}

fn subscribe_error(why: &str) -> PoolEvent {
    PoolEvent::NoJobs(format!("its answer to mining.subscribe is unusable: {}", escaped(why)))
}

/// The pool's reason in parentheses; empty if it gave none.
fn quoted(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" (\"{}\")", escaped(reason)))
}

fn escaped(text: &str) -> String {
    line_text(text, MAX_QUOTED_CHARS)
}

#[cfg(test)]
mod tests;
