//! The miner's side of a connection to a pool, without I/O. The caller makes requests and passes in the pool's lines.
//! The caller gets events, and the lines that it must send.
//!
//! Every line is read in every way in which miners read it. Jobs that come before the search space is known wait for
//! it.

mod event;

use serde_json::value::RawValue;

pub use self::event::{ClientEvent, JobLine, SearchSpaces};
use super::answer::{self, RefusalCode, StratumError};
use super::configure::granted_version_mask;
use super::difficulty::Difficulty;
use super::extranonce::Extranonce2Size;
use super::job_reading::ReadingAgreement;
use super::json_field::first_text;
use super::login::Login;
use super::message::Envelope;
use super::method::PoolMethod;
use super::readings::Readings;
use super::reconnect::Reconnect;
use super::request;
use super::subscribe::SubscribeAnswer;
use super::verdict::ResponseVerdict;
use super::version::VersionMask;

/// The most jobs that wait. Pools send one or two before the answer to subscribe.
const MAX_EARLY_JOBS: usize = 16;
/// The most bytes of waiting jobs, without the newest: as many as the readings of one line can have.
const MAX_EARLY_BYTES: usize = 2 * 1024 * 1024;

/// One connection. `T` is a time of the caller's clock, which is kept with waiting jobs.
#[derive(Debug)]
pub struct Client<T> {
    agent: String,
    outgoing: String,
    /// All requests in order. The first one has the id 1.
    requests: Vec<Request>,
    /// The pool has accepted the subscribe.
    is_subscribed: bool,
    /// The extranonce2 size in force, for a `mining.set_extranonce` without one.
    size: Option<Extranonce2Size>,
    /// The jobs that wait for the answer to the subscribe: the oldest ones, and always the newest.
    early: Vec<(JobLine, T)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Configure,
    Subscribe,
    Authorize,
    SuggestDifficulty,
}

impl<T: Copy> Client<T> {
    /// A new connection. `agent` is the program's name as pools see it.
    pub fn new(agent: &str) -> Client<T> {
        Client {
            agent: agent.to_owned(),
            outgoing: String::new(),
            requests: Vec::new(),
            is_subscribed: false,
            size: None,
            early: Vec::new(),
        }
    }

    /// Asks for version rolling.
    pub fn configure(&mut self) {
        let id = self.request(Request::Configure);
        self.outgoing.push_str(&request::configure_line(id, None));
    }

    /// Subscribes, which asks for a search space.
    pub fn subscribe(&mut self) {
        let id = self.request(Request::Subscribe);
        self.outgoing.push_str(&request::subscribe_line(id, &self.agent));
    }

    /// Authorizes the miner.
    pub fn authorize(&mut self, login: &Login) {
        let id = self.request(Request::Authorize);
        self.outgoing.push_str(&login.authorize_line(id));
    }

    /// Suggests a difficulty.
    pub fn suggest_difficulty(&mut self, difficulty: f64) {
        let id = self.request(Request::SuggestDifficulty);
        self.outgoing.push_str(&request::suggest_difficulty_line(id, difficulty));
    }

    /// Answers a request of the pool with a line, such as that of [`ClientEvent::Called`].
    pub fn reply(&mut self, line: &str) {
        self.outgoing.push_str(line);
    }

    /// Takes out the lines that must be sent now; empty for none.
    pub fn take_outgoing(&mut self) -> String {
        std::mem::take(&mut self.outgoing)
    }

    /// Takes one line of the pool without its newline, which came at `at`. Returns its events: first calls and
    /// answers in the order of the readings, then the search spaces of all readings, then the jobs.
    pub fn take_line(&mut self, line: &[u8], at: T) -> Vec<ClientEvent<T>> {
        let readings = Readings::of(line);
        let mut events = Vec::new();
        if readings.first().is_none() {
            events.push(ClientEvent::Unreadable);
        }
        let mut spaces = LineSearchSpaces::default();
        for (index, message) in readings.messages().enumerate() {
            let method = message.pool_method();
            if !message.is_answer() || method == Some(PoolMethod::Notify) {
                self.called(&message, method, index == 0, &mut spaces, &mut events);
            }
            // Some pools repeat the method in an answer.
            if message.is_answer() || message.result.is_some() {
                self.answered(&message, &mut spaces, &mut events);
            }
        }
        self.take_search_spaces(spaces, &mut events);
        match JobLine::of(&readings) {
            Some(job) if self.is_subscribed => events.push(ClientEvent::Job(job, at)),
            Some(job) => self.keep_early(job, at, &mut events),
            None => {}
        }
        events
    }

    /// Keeps a job until the answer to the subscribe. Jobs that are dropped to make room lose their readings.
    fn keep_early(&mut self, job: JobLine, at: T, events: &mut Vec<ClientEvent<T>>) {
        let room = MAX_EARLY_BYTES.saturating_sub(job.bytes());
        let bytes = |jobs: &[(JobLine, T)]| jobs.iter().map(|(job, _)| job.bytes()).sum::<usize>();
        while self.early.len() >= MAX_EARLY_JOBS || bytes(&self.early) > room {
            let Some((job, at)) = self.early.pop() else { break };
            let why = "it came before the answer to mining.subscribe, like many";
            let unreadable = job.unreadable.or_else(|| Some(why.to_owned()));
            events.push(ClientEvent::Job(JobLine { readings: Vec::new(), unreadable }, at));
        }
        self.early.push((job, at));
    }

    fn request(&mut self, request: Request) -> u64 {
        self.requests.push(request);
        self.requests.len() as u64
    }

    /// The request that an answer belongs to, by its id.
    fn request_of(&self, answer: &Envelope<'_>) -> Option<Request> {
        let index = answer.numeric_id()?.checked_sub(1)?;
        self.requests.get(usize::try_from(index).ok()?).copied()
    }

    /// Handles a message with a method. Values are taken from the reading of most miners, but search spaces and
    /// redirections from every reading. The caller takes jobs from every reading, too.
    fn called(
        &self,
        message: &Envelope<'_>,
        method: Option<PoolMethod>,
        is_first: bool,
        spaces: &mut LineSearchSpaces,
        events: &mut Vec<ClientEvent<T>>,
    ) {
        let reply = if is_first && message.has_id() { Some(self.usual_reply(message, method)) } else { None };
        events.push(ClientEvent::Called { method, reply });
        let params = message.params;
        match method {
            Some(PoolMethod::SetExtranonce) => {
                let set = SubscribeAnswer::of_set_extranonce(params, self.size);
                spaces.set.get_or_insert_default().add(set);
            }
            Some(PoolMethod::Reconnect) => {
                events.push(ClientEvent::Reconnect(Reconnect::from_params(params)));
            }
            _ if !is_first => {}
            Some(PoolMethod::SetDifficulty) => {
                events.extend(Difficulty::from_params(params).ok().map(ClientEvent::Difficulty));
            }
            Some(PoolMethod::SetVersionMask) => {
                events.extend(VersionMask::from_params(params).map(ClientEvent::VersionMask));
            }
            Some(PoolMethod::ShowMessage) => {
                events.push(ClientEvent::Message(first_text(params).unwrap_or_default()));
            }
            Some(PoolMethod::Notify | PoolMethod::GetVersion | PoolMethod::Ping) | None => {}
        }
    }

    fn usual_reply(&self, message: &Envelope<'_>, method: Option<PoolMethod>) -> String {
        match method {
            Some(PoolMethod::GetVersion) => {
                answer::result_line(message.id(), &serde_json::Value::from(self.agent.as_str()).to_string())
            }
            Some(PoolMethod::Ping) => answer::result_line(message.id(), "\"pong\""),
            _ => {
                let refusal = StratumError::new(RefusalCode::Other, "Not supported.");
                answer::refuse_line(message.id(), &refusal, Default::default())
            }
        }
    }

    fn answered(
        &self,
        answer: &Envelope<'_>,
        spaces: &mut LineSearchSpaces,
        events: &mut Vec<ClientEvent<T>>,
    ) {
        let request = self.request_of(answer);
        match request {
            Some(Request::Configure) => {
                events.push(ClientEvent::Configured(granted_version_mask(answer.good_result())));
            }
            Some(Request::Subscribe) => {
                let is_list = |result: &RawValue| result.get().starts_with(['[', '{']);
                let is_accepted = answer.good_result().is_some_and(is_list);
                events.push(ClientEvent::SubscribeAnswered { is_accepted });
                match answer.result.map(SubscribeAnswer::as_miners_read) {
                    // An error beside a good result does not matter.
                    Some(read) if read.is_ok() || !answer.has_error() => {
                        spaces.subscribed.get_or_insert_default().add(read);
                    }
                    _ => _ = spaces.refusal.get_or_insert_with(|| ResponseVerdict::of(answer)),
                }
            }
            Some(Request::Authorize) => events.push(ClientEvent::Authorized(ResponseVerdict::of(answer))),
            Some(Request::SuggestDifficulty)
                if answer.has_error() && !ResponseVerdict::of(answer).is_accepted() =>
            {
                events.push(ClientEvent::SuggestionRefused);
            }
            Some(Request::SuggestDifficulty) | None => {}
        }
        if request != Some(Request::Subscribe) {
            if let Some(space) = answer.result.and_then(|result| SubscribeAnswer::from_result(result).ok()) {
                spaces.unasked.get_or_insert_default().add(Ok((space, ReadingAgreement::All)));
            }
        }
    }

    fn take_search_spaces(&mut self, spaces: LineSearchSpaces, events: &mut Vec<ClientEvent<T>>) {
        let LineSearchSpaces { subscribed, refusal, unasked, set } = spaces;
        let (first, again) = if self.is_subscribed { (None, subscribed) } else { (subscribed, None) };
        events.extend(unasked.into_iter().chain(again).map(ClientEvent::UnaskedSpaces));
        match (first, refusal) {
            (Some(spaces), _) => {
                self.is_subscribed = true;
                self.size = spaces.first().map(|space| space.extranonce2_size);
                events.push(ClientEvent::Subscribed(spaces));
                let waiting = std::mem::take(&mut self.early);
                events.extend(waiting.into_iter().map(|(job, at)| ClientEvent::Job(job, at)));
            }
            (None, Some(refusal)) if !self.is_subscribed => {
                events.push(ClientEvent::SubscribeRefused(refusal));
            }
            (None, _) => {}
        }
        if let Some(spaces) = set {
            if self.is_subscribed {
                self.size = spaces.first().map(|space| space.extranonce2_size).or(self.size);
            }
            events.push(ClientEvent::ExtranonceSet(spaces));
        }
    }
}

/// The search spaces in the readings of one line.
#[derive(Default)]
struct LineSearchSpaces {
    subscribed: Option<SearchSpaces>,
    refusal: Option<ResponseVerdict>,
    unasked: Option<SearchSpaces>,
    set: Option<SearchSpaces>,
}

#[cfg(test)]
mod tests;
