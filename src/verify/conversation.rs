//! The miner's side of a conversation, without sockets and without a clock of its own: lines and
//! the passing of time go in, lines to be sent and what was found come out. It never submits.
//!
//! Configure and subscribe go out together. Authorize follows a pause after subscribe's answer, as a
//! NerdMiner's does: what comes before it was not made for the address. Then a difficulty is
//! suggested.

mod reading;
mod work;

use std::time::Duration;

use super::job::Judging;
use super::nerdminer_check::tree_bytes;
use super::observations::{Authorized, Observations, Suggestion};
use super::settings::{USER_AGENT, VerifySettings};
use super::timestamp::Timestamp;
use crate::stratum::{
    Client, ClientEvent, Difficulty, JobReading, Login, PoolMethod, Reconnect, ResponseVerdict,
    SubscribeAnswer,
};

/// What a NerdMiner suggests (wire reference, section 7.2).
pub const SUGGESTED: f64 = 0.000_15;

/// As a NerdMiner waits before it authorizes.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a pool has to follow the suggestion before the watch may end: at least this, and three
/// times what its first answer took.
const SETTLE: Duration = Duration::from_secs(1);
const SETTLE_ANSWERS: u32 = 3;
/// A brief watch has seen enough with a job so long after the first: one that comes sooner belongs
/// to a change of difficulty.
const NEXT_JOB: Duration = Duration::from_secs(1);
/// A pool's words are kept so far.
const MOST_MESSAGES: usize = 8;
const MOST_TEXT: usize = 200;
/// A line that is unfinished for so long is none that is on its way.
const UNFINISHED: Duration = Duration::from_secs(1);

/// The miner's side.
#[derive(Debug)]
pub struct VerifyClient {
    worker: String,
    host: String,
    judging: Judging,
    most_drift: i64,
    is_brief: bool,
    found: Observations,
    client: Client<Timestamp>,
    subscribe_sent: Duration,
    subscribe_answered: Option<Duration>,
    suggest_sent: Option<Duration>,
    /// The present job in all its readings.
    present: Vec<JobReading>,
    /// The search spaces before each `mining.set_extranonce`, which some miners ignore.
    earlier_spaces: Vec<SubscribeAnswer>,
}

impl VerifyClient {
    /// With the pool `host`, as in its URL. Something is to be sent at once.
    pub fn new(settings: &VerifySettings, host: &str, at: Timestamp) -> VerifyClient {
        let mut client = Client::new(USER_AGENT);
        client.configure();
        client.subscribe();
        VerifyClient {
            worker: settings.worker(),
            host: host.to_owned(),
            judging: Judging { expected: settings.expected.clone(), expectations: settings.expectations() },
            most_drift: super::judge::most_drift(),
            is_brief: settings.is_brief,
            found: Observations::default(),
            client,
            subscribe_sent: at.since,
            subscribe_answered: None,
            suggest_sent: None,
            present: Vec::new(),
            earlier_spaces: Vec::new(),
        }
    }

    /// What is to be sent now; empty for nothing.
    pub fn take_outgoing(&mut self) -> String {
        self.client.take_outgoing()
    }

    /// Lets time pass.
    pub fn tick(&mut self, at: Timestamp) {
        let is_due = self.subscribe_answered.is_some_and(|answered| at.since >= answered + PAUSE);
        if is_due && self.found.authorize_sent.is_none() {
            self.found.authorize_sent = Some(at.since);
            self.client.authorize(&Login::new(self.worker.as_str(), "x"));
        }
    }

    /// When time has to pass next, since the connection; `None` when only a line is waited for.
    pub fn next_tick(&self) -> Option<Duration> {
        match self.found.authorize_sent {
            None => self.subscribe_answered.map(|answered| answered + PAUSE),
            Some(_) => self.suggest_sent.map(|sent| sent + self.settle()),
        }
    }

    /// Whether there is nothing left to find out.
    pub fn is_enough(&self, at: Timestamp) -> bool {
        let found = &self.found;
        if found.subscribe_refused.is_some() || matches!(found.authorized, Authorized::Refused(_)) {
            return true;
        }
        let is_settled = self.suggest_sent.is_some_and(|sent| at.since >= sent + self.settle());
        let is_known = found.jobs.is_damned || (self.is_brief && found.jobs.telling_for() >= Some(NEXT_JOB));
        is_known && is_settled
    }

    /// What was found so far.
    pub fn found(&self) -> &Observations {
        &self.found
    }

    /// What was found.
    pub fn into_found(self) -> Observations {
        self.found
    }

    /// Takes one line of the pool, without its end.
    pub fn take_line(&mut self, line: &[u8], at: Timestamp) {
        self.found.lines += 1;
        if line.len() > self.found.longest_line {
            self.found.longest_line = line.len();
            self.found.largest_tree = self.found.largest_tree.max(tree_bytes(line));
        }
        for event in self.client.take_line(line, at) {
            if event == ClientEvent::Unreadable {
                self.take_nonsense(line);
            }
            self.take_event(event, at);
        }
    }

    fn take_event(&mut self, event: ClientEvent<Timestamp>, at: Timestamp) {
        match event {
            ClientEvent::Called { method, reply } => {
                self.found.is_first_line_foreign |= self.subscribe_answered.is_none();
                let is_question = matches!(method, Some(PoolMethod::GetVersion | PoolMethod::Ping) | None);
                reply.iter().filter(|_| is_question).for_each(|reply| self.client.reply(reply));
            }
            ClientEvent::Configured(answer) => self.found.version_mask = answer.version_rolling,
            ClientEvent::VersionMask(mask) => self.found.version_mask = Some(mask),
            ClientEvent::Subscribed(spaces) => self.take_subscribed(spaces, at),
            ClientEvent::SubscribeRefused(verdict) => {
                self.found.subscribe_refused.get_or_insert_with(|| reading::refusal(verdict));
            }
            ClientEvent::Authorized(verdict) if self.found.authorized == Authorized::Unanswered => {
                self.take_authorized(verdict, at);
            }
            ClientEvent::SuggestionRefused => {
                let suggestion = &mut self.found.difficulty.suggestion;
                if *suggestion == Suggestion::Ignored {
                    *suggestion = Suggestion::Refused;
                }
            }
            ClientEvent::ExtranonceSet(spaces) if self.found.subscribed.is_none() => {
                self.take_early_spaces(spaces)
            }
            ClientEvent::UnaskedSpaces(spaces) => self.take_unasked(&spaces),
            ClientEvent::ExtranonceSet(spaces) if self.found.subscribed.is_some() => {
                self.found.extranonce_changed = true;
                self.change_spaces(spaces, at);
            }
            ClientEvent::Difficulty(difficulty) => self.take_difficulty(difficulty),
            ClientEvent::Reconnect(reconnect) => self.take_reconnect(reconnect),
            ClientEvent::Message(text) if self.found.messages.len() < MOST_MESSAGES => {
                self.found.messages.push(text.chars().take(MOST_TEXT).collect());
            }
            ClientEvent::Job(job, at) => self.take_job(job, at),
            ClientEvent::Unreadable
            | ClientEvent::SubscribeAnswered { .. }
            | ClientEvent::Authorized(_)
            | ClientEvent::ExtranonceSet(_)
            | ClientEvent::Message(_) => {}
        }
    }

    fn take_nonsense(&mut self, line: &[u8]) {
        self.found.unreadable += 1;
        if self.found.unreadable_sample.is_none() {
            let start = &line[..line.len().min(MOST_TEXT)];
            self.found.unreadable_sample = Some(String::from_utf8_lossy(start).into_owned());
        }
    }

    fn take_authorized(&mut self, verdict: ResponseVerdict, at: Timestamp) {
        self.found.authorize_took = self.found.authorize_sent.map(|sent| at.since.saturating_sub(sent));
        if !verdict.is_accepted() {
            self.found.authorized = Authorized::Refused(reading::refusal(verdict));
            return;
        }
        self.found.authorized = Authorized::Accepted;
        self.suggest_sent = Some(at.since);
        let asked = &mut self.found.difficulty;
        let is_low = asked.newest.is_some_and(|asked| asked.value() <= SUGGESTED);
        asked.suggestion = if is_low { Suggestion::Needless } else { Suggestion::Ignored };
        self.client.suggest_difficulty(SUGGESTED);
    }

    fn take_difficulty(&mut self, set: Difficulty) {
        let asked = &mut self.found.difficulty;
        asked.count += 1;
        let before = asked.newest.replace(set);
        if self.suggest_sent.is_none() || asked.first.is_none() {
            asked.first = Some(set);
        }
        if self.suggest_sent.is_some() {
            asked.suggestion = reading::suggestion_after(asked.suggestion, before, set);
        }
    }

    fn take_reconnect(&mut self, reconnect: Reconnect) {
        // The one that leads away matters most.
        if self.found.reconnect.as_ref().is_none_or(|known| !known.is_foreign) {
            self.found.reconnect = Some(reading::reconnect(reconnect, &self.host));
        }
    }

    fn settle(&self) -> Duration {
        let answer = self.found.subscribed.as_ref().map_or(Duration::ZERO, |subscribed| subscribed.took);
        SETTLE.max(answer.saturating_mul(SETTLE_ANSWERS))
    }
}

#[cfg(test)]
mod tests;
