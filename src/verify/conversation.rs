//! The miner's side of a conversation, without sockets and without a clock of its own: lines and
//! the passing of time go in, lines to be sent and what was found come out. It never submits.
//!
//! Configure and subscribe go out together. Authorize follows a pause after subscribe's answer, as a
//! NerdMiner's does: what comes before it was not made for the address. Then a difficulty is
//! suggested.

mod line;
mod reading;
mod work;

use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;

use self::line::{LineContent, Spaces};
use super::job::{Extranonces, Judging};
use super::nerdminer_check::tree_bytes;
use super::observations::{Authorized, Observations, Suggestion};
use super::settings::VerifySettings;
use super::timestamp::Timestamp;
use crate::stratum::{
    ConfigureAnswer, Envelope, JobReading, PoolMethod, Readings, RefusalCode, ResponseVerdict, VersionMask,
    first_text, refused,
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
/// The jobs that are kept until the search space is known. Pools send one or two before the answer to
/// subscribe.
const MAX_EARLY_JOBS: usize = 16;
/// A line that is unfinished for so long is none that is on its way.
const UNFINISHED: Duration = Duration::from_secs(1);

const CONFIGURE: u64 = 1;
const SUBSCRIBE: u64 = 2;
const AUTHORIZE: u64 = 3;
const SUGGEST: u64 = 4;

/// The miner's side.
#[derive(Debug)]
pub struct VerifyClient {
    worker: String,
    host: String,
    judging: Judging,
    most_drift: i64,
    is_brief: bool,
    found: Observations,
    outgoing: String,
    subscribe_sent: Duration,
    subscribe_answered: Option<Duration>,
    suggest_sent: Option<Duration>,
    /// The jobs that came before the answer to subscribe, each with all its readings.
    early: Vec<(Vec<JobReading>, Timestamp)>,
    /// The present job in all its readings.
    present: Vec<JobReading>,
    /// The search spaces before each `mining.set_extranonce`, which some miners ignore.
    earlier_spaces: Vec<Extranonces>,
}

impl VerifyClient {
    /// With the pool `host`, as in its URL. Something is to be sent at once.
    pub fn new(settings: &VerifySettings, host: &str, at: Timestamp) -> VerifyClient {
        let mut conversation = VerifyClient {
            worker: settings.worker(),
            host: host.to_owned(),
            judging: Judging { expected: settings.expected.clone(), expectations: settings.expectations() },
            most_drift: super::judge::most_drift(),
            is_brief: settings.is_brief,
            found: Observations::default(),
            outgoing: String::new(),
            subscribe_sent: at.since,
            subscribe_answered: None,
            suggest_sent: None,
            early: Vec::new(),
            present: Vec::new(),
            earlier_spaces: Vec::new(),
        };
        let rolling = json!([["version-rolling"], { "version-rolling.mask": "ffffffff" }]);
        conversation.request(CONFIGURE, "mining.configure", &rolling);
        let agent = concat!("sluice-verify/", env!("CARGO_PKG_VERSION"));
        conversation.request(SUBSCRIBE, "mining.subscribe", &json!([agent]));
        conversation
    }

    /// What is to be sent now; empty for nothing.
    pub fn take_outgoing(&mut self) -> String {
        std::mem::take(&mut self.outgoing)
    }

    /// Lets time pass.
    pub fn tick(&mut self, at: Timestamp) {
        let is_due = self.subscribe_answered.is_some_and(|answered| at.since >= answered + PAUSE);
        if is_due && self.found.authorize_sent.is_none() {
            self.found.authorize_sent = Some(at.since);
            let params = json!([self.worker, "x"]);
            self.request(AUTHORIZE, "mining.authorize", &params);
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
        let readings = Readings::of(line);
        if readings.first().is_none() {
            self.take_nonsense(line);
        }
        let known = self.found.subscribed.as_ref().map(|subscribed| &subscribed.extranonces);
        let content = LineContent::of(&readings, SUBSCRIBE, known);
        let known_space = known.cloned();
        for (place, message) in readings.messages().enumerate() {
            match message.method() {
                Some(method) => self.take_method(&message, &method, place == 0),
                None => self.take_answer(&message, at),
            }
        }
        let mut later = Spaces::default();
        if self.subscribe_answered.is_some() {
            later = content.subscribed;
        } else if content.is_subscribed() {
            self.take_subscribed(content.subscribed, content.refusal, at);
        }
        let is_other = |space: &Extranonces| known_space.as_ref() != Some(space);
        let mut offered = content.foreign.readable.iter().chain(&later.readable);
        if offered.any(is_other) {
            let why = "a second answer to mining.subscribe: miners may take either";
            self.found.jobs.add_unreadable(why);
        }
        if !content.set.is_empty() && self.found.subscribed.is_some() {
            self.found.extranonce_changed = true;
            self.change_spaces(content.set, at);
        }
        if let Some(why) = content.unreadable_job {
            self.found.jobs.add_unreadable(&why);
        }
        if !content.jobs.is_empty() {
            self.take_job(content.jobs, at);
        }
    }

    fn take_nonsense(&mut self, line: &[u8]) {
        self.found.unreadable += 1;
        if self.found.unreadable_sample.is_none() {
            let start = &line[..line.len().min(MOST_TEXT)];
            self.found.unreadable_sample = Some(String::from_utf8_lossy(start).into_owned());
        }
    }

    fn take_answer(&mut self, answer: &Envelope<'_>, at: Timestamp) {
        match answer.numeric_id() {
            Some(CONFIGURE) => {
                self.found.version_mask = ConfigureAnswer::from_result(answer.good_result()).version_rolling;
            }
            Some(AUTHORIZE) if self.found.authorized == Authorized::Unanswered => {
                self.take_authorized(answer, at);
            }
            Some(SUGGEST) => {
                let is_refused = answer.has_error() && !ResponseVerdict::of(answer).is_accepted();
                let suggestion = &mut self.found.difficulty.suggestion;
                if is_refused && *suggestion == Suggestion::Ignored {
                    *suggestion = Suggestion::Refused;
                }
            }
            _ => {}
        }
    }

    fn take_authorized(&mut self, answer: &Envelope<'_>, at: Timestamp) {
        self.found.authorize_took = self.found.authorize_sent.map(|sent| at.since.saturating_sub(sent));
        if !ResponseVerdict::of(answer).is_accepted() {
            self.found.authorized = Authorized::Refused(reading::refusal(answer));
            return;
        }
        self.found.authorized = Authorized::Accepted;
        self.suggest_sent = Some(at.since);
        let asked = &mut self.found.difficulty;
        let is_low = asked.newest.is_some_and(|asked| asked.value() <= SUGGESTED);
        asked.suggestion = if is_low { Suggestion::Needless } else { Suggestion::Ignored };
        self.request(SUGGEST, "mining.suggest_difficulty", &json!([SUGGESTED]));
    }

    /// Takes a message with a method. Questions are answered in the first reading of a line only.
    fn take_method(&mut self, message: &Envelope<'_>, method: &str, is_first: bool) {
        if self.subscribe_answered.is_none() {
            self.found.is_first_line_foreign = true;
        }
        match PoolMethod::of(method) {
            // They are collected from all readings of the line.
            Some(PoolMethod::Notify | PoolMethod::SetExtranonce) => {}
            Some(PoolMethod::Reconnect) => self.take_reconnect(message.params),
            _ if !is_first => {}
            Some(PoolMethod::SetDifficulty) => self.take_difficulty(message.params),
            Some(PoolMethod::SetVersionMask) => {
                let mask = first_text(message.params).and_then(|text| VersionMask::from_text(&text).ok());
                self.found.version_mask = mask.or(self.found.version_mask);
            }
            Some(PoolMethod::ShowMessage) => {
                let text = first_text(message.params).unwrap_or_default();
                if self.found.messages.len() < MOST_MESSAGES {
                    self.found.messages.push(text.chars().take(MOST_TEXT).collect());
                }
            }
            Some(PoolMethod::GetVersion) => {
                let version = concat!("\"sluice-verify/", env!("CARGO_PKG_VERSION"), "\"");
                self.answer(message, version);
            }
            Some(PoolMethod::Ping) => self.answer(message, "\"pong\""),
            None if message.has_id() => {
                let refusal = crate::stratum::StratumError::new(RefusalCode::Other, "Not supported.");
                self.outgoing.push_str(&refused(message.id(), &refusal, Default::default()));
            }
            None => {}
        }
    }

    fn take_difficulty(&mut self, params: Option<&RawValue>) {
        let Some(set) = reading::difficulty(params) else { return };
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

    fn take_reconnect(&mut self, params: Option<&RawValue>) {
        // The one that leads away matters most.
        if self.found.reconnect.as_ref().is_none_or(|known| !known.is_foreign) {
            self.found.reconnect = Some(reading::reconnect(params, &self.host));
        }
    }

    fn settle(&self) -> Duration {
        let answer = self.found.subscribed.as_ref().map_or(Duration::ZERO, |subscribed| subscribed.took);
        SETTLE.max(answer.saturating_mul(SETTLE_ANSWERS))
    }

    fn request(&mut self, id: u64, method: &str, params: &serde_json::Value) {
        self.outgoing.push_str(&format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n"));
    }

    fn answer(&mut self, message: &Envelope<'_>, result: &str) {
        if message.has_id() {
            self.outgoing.push_str(&crate::stratum::result(message.id(), result));
        }
    }
}

#[cfg(test)]
mod tests;
