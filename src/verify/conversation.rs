//! The miner's side of a conversation, without sockets and without a clock of its own. Lines and time go
//! in; lines to send and observations come out. It never submits a share.
//!
//! The client sends configure and subscribe together, authorize a pause after the answer to subscribe, as a
//! NerdMiner does, and then a suggested difficulty. Jobs before authorize were not made for the address.

mod work;

use std::time::Duration;

use super::job::JobPolicy;
use super::nerdminer_check::json_memory;
use super::observations::{Authorized, Observations, ObservedReconnect, PoolRefusal, Suggestion, Timestamp};
use super::settings::{USER_AGENT, VerifySettings};
use crate::stratum::{
    Client, ClientEvent, Difficulty, JobReading, Login, PoolMethod, Reconnect, ResponseVerdict,
    SubscribeAnswer,
};

/// The difficulty that a NerdMiner suggests (wire reference, section 7.2).
pub const SUGGESTED_DIFFICULTY: f64 = 0.000_15;

/// The pause before authorize, as in the NerdMiner firmware.
const AUTHORIZE_DELAY: Duration = Duration::from_millis(200);
/// The time a pool has to follow the suggestion before the watch may end: at least this, and three
/// times its first response time.
const MIN_SETTLE_TIME: Duration = Duration::from_secs(1);
const SETTLE_RESPONSE_TIMES: u32 = 3;
/// A brief watch ends with a job this long after the first. An earlier job belongs to a change of
/// difficulty.
const MIN_TIME_TO_NEXT_JOB: Duration = Duration::from_secs(1);
/// Caps the messages of a pool that are kept, and their length in characters.
const MAX_MESSAGES: usize = 8;
const MAX_TEXT_CHARS: usize = 200;
/// An unfinished line that has not changed for this long counts as complete.
const UNFINISHED_AFTER: Duration = Duration::from_secs(1);

/// The miner's side of a conversation.
#[derive(Debug)]
pub struct VerifyClient {
    worker: String,
    host: String,
    policy: JobPolicy,
    max_drift: i64,
    is_brief: bool,
    observations: Observations,
    client: Client<Timestamp>,
    subscribe_sent: Duration,
    subscribe_answered: Option<Duration>,
    suggest_sent: Option<Duration>,
    /// The current job in all its readings.
    present: Vec<JobReading>,
    /// The current job does not pay the address, and came between the authorize and its answer.
    is_present_crossing: bool,
    /// The search spaces before each `mining.set_extranonce`, which some miners ignore.
    earlier_spaces: Vec<SubscribeAnswer>,
}

impl VerifyClient {
    /// Starts a conversation with the pool `host`, as in its URL. The first lines are ready to send.
    pub fn new(settings: &VerifySettings, host: &str, at: Timestamp) -> VerifyClient {
        let mut client = Client::new(USER_AGENT);
        client.configure();
        client.subscribe();
        VerifyClient {
            worker: settings.worker(),
            host: host.to_owned(),
            policy: JobPolicy { expected: settings.expected.clone(), expectations: settings.expectations() },
            max_drift: super::judge::max_drift(),
            is_brief: settings.is_brief,
            observations: Observations::default(),
            client,
            subscribe_sent: at.since,
            subscribe_answered: None,
            suggest_sent: None,
            present: Vec::new(),
            is_present_crossing: false,
            earlier_spaces: Vec::new(),
        }
    }

    /// Takes the lines to send now. Empty if there are none.
    pub fn take_outgoing(&mut self) -> String {
        self.client.take_outgoing()
    }

    /// Advances the time.
    pub fn tick(&mut self, at: Timestamp) {
        let is_due = self.subscribe_answered.is_some_and(|answered| at.since >= answered + AUTHORIZE_DELAY);
        if is_due && self.observations.authorize_sent.is_none() {
            self.observations.authorize_sent = Some(at.since);
            self.client.authorize(&Login::new(self.worker.as_str(), "x"));
        }
        if self.crossing_ends().is_some_and(|end| at.since >= end) {
            self.rejudge_crossing(at);
        }
    }

    /// The time of the next [`tick`](VerifyClient::tick), since the connection. `None` if only a line can
    /// change anything.
    pub fn next_tick(&self) -> Option<Duration> {
        match self.observations.authorize_sent {
            None => self.subscribe_answered.map(|answered| answered + AUTHORIZE_DELAY),
            Some(_) => {
                let settled = self.suggest_sent.map(|sent| sent + self.settle());
                settled.into_iter().chain(self.crossing_ends()).min()
            }
        }
    }

    /// Tells whether everything is known.
    pub fn is_complete(&self, at: Timestamp) -> bool {
        let observations = &self.observations;
        if observations.subscribe_refused.is_some()
            || matches!(observations.authorized, Authorized::Refused(_))
        {
            return true;
        }
        let is_settled = self.suggest_sent.is_some_and(|sent| at.since >= sent + self.settle());
        let is_known = observations.jobs.is_ruled_out
            || (self.is_brief && observations.jobs.telling_for() >= Some(MIN_TIME_TO_NEXT_JOB));
        is_known && is_settled
    }

    /// The observations so far.
    pub fn observations(&self) -> &Observations {
        &self.observations
    }

    /// Ends the conversation at this time. A pool that has not answered the authorize by now has read it all the same.
    pub fn into_observations(mut self, at: Timestamp) -> Observations {
        if self.observations.authorized == Authorized::Unanswered {
            self.rejudge_crossing(at);
        }
        self.observations
    }

    /// Takes one line of the pool, without its line end.
    pub fn take_line(&mut self, line: &[u8], at: Timestamp) {
        self.observations.lines += 1;
        if line.len() > self.observations.longest_line {
            self.observations.longest_line = line.len();
            self.observations.largest_memory = self.observations.largest_memory.max(json_memory(line));
        }
        for event in self.client.take_line(line, at) {
            if event == ClientEvent::Unreadable {
                self.take_unreadable(line);
            }
            self.take_event(event, at);
        }
    }

    fn take_event(&mut self, event: ClientEvent<Timestamp>, at: Timestamp) {
        match event {
            ClientEvent::Called { method, reply } => {
                self.observations.is_first_line_other |= self.subscribe_answered.is_none();
                let is_question = matches!(method, Some(PoolMethod::GetVersion | PoolMethod::Ping) | None);
                reply.iter().filter(|_| is_question).for_each(|reply| self.client.reply(reply));
            }
            ClientEvent::Configured(granted) => self.observations.version_mask = granted,
            ClientEvent::VersionMask(mask) => self.observations.version_mask = Some(mask),
            ClientEvent::Subscribed(spaces) => self.take_subscribed(spaces, at),
            ClientEvent::SubscribeRefused(verdict) => {
                self.observations.subscribe_refused.get_or_insert_with(|| rejection(verdict));
            }
            ClientEvent::Authorized(verdict) if self.observations.authorized == Authorized::Unanswered => {
                self.take_authorized(verdict, at);
            }
            ClientEvent::SuggestionRefused => {
                let suggestion = &mut self.observations.difficulty.suggestion;
                if *suggestion == Suggestion::Ignored {
                    *suggestion = Suggestion::Refused;
                }
            }
            ClientEvent::ExtranonceSet(spaces) if self.observations.subscribed.is_none() => {
                self.take_early_spaces(spaces)
            }
            ClientEvent::UnaskedSpaces(spaces) => self.take_unasked(&spaces),
            ClientEvent::ExtranonceSet(spaces) if self.observations.subscribed.is_some() => {
                self.observations.extranonce_changed = true;
                self.change_spaces(spaces, at);
            }
            ClientEvent::Difficulty(difficulty) => self.take_difficulty(difficulty),
            ClientEvent::Reconnect(reconnect) => self.take_reconnect(reconnect),
            ClientEvent::Message(text) if self.observations.messages.len() < MAX_MESSAGES => {
                self.observations.messages.push(text.chars().take(MAX_TEXT_CHARS).collect());
            }
            ClientEvent::Job(job, at) => self.take_job(job, at),
            ClientEvent::Unreadable
            | ClientEvent::SubscribeAnswered { .. }
            | ClientEvent::Authorized(_)
            | ClientEvent::ExtranonceSet(_)
            | ClientEvent::Message(_) => {}
        }
    }

    fn take_unreadable(&mut self, line: &[u8]) {
        self.observations.unreadable += 1;
        if self.observations.unreadable_sample.is_none() {
            let start = &line[..line.len().min(MAX_TEXT_CHARS)];
            self.observations.unreadable_sample = Some(String::from_utf8_lossy(start).into_owned());
        }
    }

    fn take_authorized(&mut self, verdict: ResponseVerdict, at: Timestamp) {
        self.observations.authorize_took =
            self.observations.authorize_sent.map(|sent| at.since.saturating_sub(sent));
        if !verdict.is_accepted() {
            self.observations.authorized = Authorized::Refused(rejection(verdict));
            return;
        }
        self.observations.authorized = Authorized::Accepted;
        self.suggest_sent = Some(at.since);
        let asked = &mut self.observations.difficulty;
        let is_low = asked.newest.is_some_and(|asked| asked.value() <= SUGGESTED_DIFFICULTY);
        asked.suggestion = if is_low { Suggestion::Needless } else { Suggestion::Ignored };
        self.client.suggest_difficulty(SUGGESTED_DIFFICULTY);
    }

    fn take_difficulty(&mut self, set: Difficulty) {
        let asked = &mut self.observations.difficulty;
        asked.count += 1;
        let before = asked.newest.replace(set);
        if self.suggest_sent.is_none() || asked.first.is_none() {
            asked.first = Some(set);
        }
        if self.suggest_sent.is_some() {
            asked.suggestion = suggestion_after(asked.suggestion, before, set);
        }
    }

    fn take_reconnect(&mut self, reconnect: Reconnect) {
        // A redirect to another host matters most.
        if self.observations.reconnect.as_ref().is_none_or(|known| !known.is_foreign) {
            let is_foreign = !reconnect.is_to(&self.host);
            self.observations.reconnect = Some(ObservedReconnect { target: reconnect, is_foreign });
        }
    }

    fn settle(&self) -> Duration {
        let answer =
            self.observations.subscribed.as_ref().map_or(Duration::ZERO, |subscribed| subscribed.took);
        MIN_SETTLE_TIME.max(answer.saturating_mul(SETTLE_RESPONSE_TIMES))
    }
}

/// The reaction to the suggestion after a difficulty was set. `before` is the difficulty it replaces.
fn suggestion_after(known: Suggestion, before: Option<Difficulty>, set: Difficulty) -> Suggestion {
    // Some pools round to one significant digit.
    let is_suggested = (SUGGESTED_DIFFICULTY * 0.5..=SUGGESTED_DIFFICULTY * 1.5).contains(&set.value());
    match (known, before) {
        (Suggestion::Followed | Suggestion::Needless, _) => known,
        (_, Some(before)) if set == before => known,
        _ if is_suggested => Suggestion::Followed,
        (_, None) if set.value() < SUGGESTED_DIFFICULTY => Suggestion::Needless,
        (_, Some(before)) if set < before => Suggestion::Lowered,
        _ => known,
    }
}

fn rejection(verdict: ResponseVerdict) -> PoolRefusal {
    match verdict {
        ResponseVerdict::Accepted => PoolRefusal::default(),
        ResponseVerdict::Refused { code, reason } => {
            PoolRefusal { code, reason: reason.map(|reason| reason.chars().take(MAX_TEXT_CHARS).collect()) }
        }
    }
}

#[cfg(test)]
mod tests;
