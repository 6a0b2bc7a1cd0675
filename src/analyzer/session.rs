//! One miner's conversation, followed line by line.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::block::{BlockSeen, Facts};
use super::finding::{Event, Finding, JobSeen};
use super::hashes::Hashes;
use super::hashrate::WorkMeter;
use super::jobs::{Added, Jobs};
use super::judged_job::JudgedJob;
use super::lines::LineReader;
use super::order::Order;
use super::requests::{Asked, EarlyAnswer, Requests};
use super::rules::Pulse;
use super::share::{JudgedShare, PendingShare, outcome_of, shortened};
use super::verdicts::{Expectations, Expected};
use super::{Chunk, Conversation, Direction};
use crate::net::Stamp;
use crate::record::Outcome;
use crate::stratum::{
    ConfigureAnswer, ConfigureRequest, Difficulty, DifficultyTimeline, Envelope, Extranonce1,
    Extranonce2Size, Notify, Submit, SubscribeAnswer, Verdict, VersionMask, elements, first_text,
};

/// The most workers of one connection; farm proxies authorize many.
const MOST_WORKERS: usize = 1024;
/// The most addresses among their names that a block is searched for.
const MOST_ADDRESSES: usize = 16;
/// How long the request to an answer may be late.
const UNASKED: Duration = Duration::from_secs(2);
/// An opening that takes longer is none.
const OPENING: Duration = Duration::from_secs(60);
// = Duration::from_secs(2);

/// The state of one session. All of it is bounded.
pub(super) struct Session {
    pub(super) conversation: Arc<Conversation>,
    pub(super) opened: Stamp,
    pub(super) order: Order,
    up: LineReader,
    down: LineReader,
    requests: Requests,
    pub(super) user_agent: String,
    workers: Vec<Worker>,
    /// The addresses in the names that were given so far; `None` before the first name.
    expected: Option<Vec<Expected>>,
    expectations: Expectations,
    extranonce1: Option<Extranonce1>,
    extranonce2_size: Option<Extranonce2Size>,
    /// A `mining.set_extranonce` that holds from the next job on.
    next_extranonce: Option<(Extranonce1, Extranonce2Size)>,
    /// From an answer that nobody waits for.
    unasked_extranonce1: Option<(Extranonce1, Stamp)>,
    /// When the pool last said anything.
    heard: Option<Stamp>,
    version_mask: Option<VersionMask>,
    difficulties: DifficultyTimeline,
    /// When the pool set it last.
    pub(super) difficulty_set: Option<Stamp>,
    jobs: Jobs,
    pub(super) newest_job: Option<JudgedJob>,
    hashes: Hashes,
    pub(super) meter: WorkMeter,
    pub(super) tally: Tally,
}

/// A name that was authorized, or was to be.
#[derive(Debug)]
struct Worker {
    name: String,
    refused: bool,
}

/// A session's figures.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) unanswered: u64,
    pub(super) stale: u64,
    /// Sum of what was asked for, over accepted shares.
    pub(super) accepted_difficulty: f64,
    pub(super) best: f64,
    pub(super) last_share: Option<Stamp>,
}

impl Session {
    pub(super) fn new(conversation: Arc<Conversation>, opened: Stamp, expectations: Expectations) -> Session {
        Session {
            conversation,
            opened,
            order: Order::default(),
            up: LineReader::default(),
            down: LineReader::default(),
            requests: Requests::default(),
            user_agent: String::new(),
            workers: Vec::new(),
            expected: None,
            expectations,
            extranonce1: None,
            extranonce2_size: None,
            next_extranonce: None,
            unasked_extranonce1: None,
            heard: None,
            version_mask: None,
            difficulties: DifficultyTimeline::new(),
            difficulty_set: None,
            jobs: Jobs::default(),
            newest_job: None,
            hashes: Hashes::default(),
            meter: WorkMeter::new(opened),
            tally: Tally::default(),
        }
    }

    /// Follows what was forwarded together.
    pub(super) fn read(&mut self, chunk: &Chunk, each: &mut impl FnMut(Finding)) {
        if chunk.direction == Direction::Down {
            self.heard = Some(chunk.readable_at);
        }
        let mut reader = std::mem::take(match chunk.direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        });
        if chunk.after_gap {
            reader.gap();
            if chunk.direction == Direction::Down {
                for asked in self.requests.lost_answers() {
                    self.give_up(asked, Outcome::Unknown, each);
                }
            }
        }
        reader.read(&chunk.bytes, |line| {
            each(Finding::Message(chunk.direction));
            match Envelope::read(line) {
                Err(_) => {
                    if chunk.direction == Direction::Up {
                        self.conversation.garbage.fetch_add(1, Ordering::Relaxed);
                    }
                    each(Finding::Unreadable);
                }
                Ok(message) => match chunk.direction {
                    Direction::Up => self.miner_said(&message, chunk, each),
                    Direction::Down => self.pool_said(&message, line, chunk, each),
                },
            }
        });
        match chunk.direction {
            Direction::Up => self.up = reader,
            Direction::Down => self.down = reader,
        }
        self.publish();
    }

    /// Lines that were too long, since the session began.
    pub(super) fn too_long(&self) -> u64 {
        self.up.too_long + self.down.too_long
    }

    fn facts(&self) -> Facts {
        Facts {
            session: self.conversation.id,
            miner: self.conversation.miner(),
            user_agent: self.user_agent.clone(),
            upstream: self.conversation.upstream(),
        }
    }

    /// Gives up shares that were not answered in time.
    pub(super) fn expire(&mut self, timeout: Duration, now: Stamp, each: &mut impl FnMut(Finding)) {
        // After lost copies the answer may have been among them. Those who lose them count them at
        // once; the gap itself shows only with the next copy.
        let is_whole = self.conversation.dropped_copies.load(Ordering::Relaxed) == 0;
        let outcome = if is_whole { Outcome::Unanswered } else { Outcome::Unknown };
        for asked in self.requests.expire(timeout, now) {
            self.give_up(asked, outcome.clone(), each);
        }
        self.publish();
        self.change_extranonce1(now, each);
    }

    /// The session is over: what is open stays so.
    pub(super) fn close(&mut self, each: &mut impl FnMut(Finding)) {
        for asked in self.requests.take_all() {
            self.give_up(asked, Outcome::Unknown, each);
        }
        each(Finding::Closed(self.conversation.id));
    }

    /// How it stands, for rules that watch time pass.
    pub(super) fn pulse(&self, now: Stamp) -> Pulse<'_> {
        let seconds = |since: Stamp| now.since(since).unwrap_or_default().as_secs_f64();
        Pulse {
            session: self.conversation.id,
            upstream: self.conversation.upstream(),
            worker: self.worker(),
            miner: self.conversation.miner().ip(),
            hash_rate: self.meter.one_hour(now),
            difficulty: self.difficulty().value(),
            accepted: self.tally.accepted,
            watched: seconds(self.opened),
            pool_silent: self.heard.map(seconds),
            unanswered: self.requests.shares(),
            share_silent: self.tally.last_share.map(seconds),
            extranonce2_size: self.extranonce2_size,
            version_mask: self.version_mask,
        }
    }

    /// An answer that nobody waits for. The copy of its request may still come; an extranonce1 for
    /// which none comes was changed without being asked for.
    fn unasked(&mut self, message: &Envelope<'_>, at: Stamp) {
        let Some(Ok(answer)) = message.result.map(SubscribeAnswer::from_result) else { return };
        if self.extranonce1.as_ref().is_some_and(|known| *known != answer.extranonce1) {
            self.unasked_extranonce1 = Some((answer.extranonce1, at));
        }
    }

    fn change_extranonce1(&mut self, now: Stamp, each: &mut impl FnMut(Finding)) {
        let is_due = |(_, at): &(Extranonce1, Stamp)| now.since(*at).is_some_and(|age| age > UNASKED);
        if !self.unasked_extranonce1.as_ref().is_some_and(is_due) {
            return;
        }
        let (Some((to, at)), Some(from)) = (self.unasked_extranonce1.take(), self.extranonce1.clone()) else {
            return;
        };
        let (session, upstream) = (self.conversation.id, self.conversation.upstream());
        each(Finding::Event(Event::ExtranonceChanged { session, upstream, from, to }, at));
    }

    /// The worker's name: the first that was authorized.
    pub(super) fn worker(&self) -> &str {
        self.workers.iter().find(|worker| !worker.refused).map_or("", |worker| &worker.name)
    }

    /// The search space that the pool gave.
    pub(super) fn extranonce(&self) -> (Option<&Extranonce1>, Option<Extranonce2Size>) {
        (self.extranonce1.as_ref(), self.extranonce2_size)
    }

    /// What the pool asks for now.
    pub(super) fn difficulty(&self) -> Difficulty {
        self.difficulties.current()
    }

    fn publish(&self) {
        self.conversation.unanswered.store(self.requests.shares(), Ordering::Release);
    }

    fn miner_said(&mut self, message: &Envelope<'_>, chunk: &Chunk, each: &mut impl FnMut(Finding)) {
        let asked = match message.method().as_deref() {
            None => return,
            Some("mining.subscribe") => {
                self.user_agent = shortened(&first_text(message.params).unwrap_or_default());
                Asked::Subscribe
            }
            Some("mining.authorize") => {
                self.conversation.authorized.store(true, Ordering::Relaxed);
                let worker = shortened(&first_text(message.params).unwrap_or_default());
                self.expect(&worker);
                Asked::Authorize { worker }
            }
            Some("mining.configure") => {
                Asked::Configure { mask: ConfigureRequest::from_params(message.params).version_rolling }
            }
            Some("mining.submit") => {
                each(Finding::Submitted);
                let share = self.share(message, chunk.readable_at);
                if let Some(block) = BlockSeen::of(&share, &self.facts()) {
                    each(Finding::Block(Box::new(block)));
                }
                Asked::Submit(Box::new(share))
            }
            Some(_) => Asked::Other,
        };
        if let Some(lost) = self.requests.make_way(message.id()) {
            self.give_up(lost, Outcome::Unknown, each);
        }
        match self.requests.ask(message.id(), asked, chunk.readable_at, chunk.sent_at) {
            Ok(()) => {}
            Err((asked, Some(answer))) => self.answered_early(asked, &answer, chunk.sent_at, each),
            Err((asked, None)) => self.give_up(asked, Outcome::Unknown, each),
        }
    }

    fn share(&mut self, message: &Envelope<'_>, at: Stamp) -> PendingShare {
        let submit = match Submit::from_params(message.params) {
            Ok(submit) => submit,
            Err(error) => {
                let worker = shortened(&first_text(message.params).unwrap_or_default());
                return PendingShare::unreadable(worker, message.id(), at, error.to_string());
            }
        };
        let job = self.jobs.get(&submit.job_id);
        let range = self.difficulties.range(&submit.job_id);
        let mut share = PendingShare::new(submit, message.id(), at, job, range, self.version_mask);
        share.is_repeated = share.rebuilt.as_ref().is_some_and(|rebuilt| !self.hashes.is_new(rebuilt.hash));
        if let Some(proven) = share.proven() {
            self.meter.add(proven, at);
        }
        self.tally.best = self.tally.best.max(share.difficulty().filter(|d| d.is_finite()).unwrap_or(0.0));
        self.tally.last_share = Some(at);
        share
    }

    fn pool_said(
        &mut self,
        message: &Envelope<'_>,
        line: &[u8],
        chunk: &Chunk,
        each: &mut impl FnMut(Finding),
    ) {
        match message.method().as_deref() {
            None => match self.requests.answer(message.id()) {
                Some((asked, asked_at)) => {
                    self.answered(asked, message, asked_at, chunk.readable_at, each);
                }
                None => {
                    self.unasked(message, chunk.readable_at);
                    self.requests.keep(message.id(), chunk.readable_at, line);
                }
            },
            Some("mining.notify") => self.job(message, chunk.readable_at, each),
            Some("mining.set_difficulty") => {
                let first =
                    message.params.and_then(|params| elements("params", params).ok()?.first().copied());
                if let Some(difficulty) = first.and_then(|raw| Difficulty::from_json(raw).ok()) {
                    self.difficulties.set_difficulty(difficulty);
                    self.difficulty_set = Some(chunk.readable_at);
                    let (session, upstream) = (self.conversation.id, self.conversation.upstream());
                    let event = Event::DifficultySet { session, upstream, difficulty };
                    each(Finding::Event(event, chunk.readable_at));
                }
            }
            Some("client.reconnect") => {
                let host = first_text(message.params).map_or_else(String::new, |host| shortened(&host));
                let (session, upstream) = (self.conversation.id, self.conversation.upstream());
                each(Finding::Event(Event::Redirected { session, upstream, host }, chunk.readable_at));
            }
            Some("mining.set_extranonce") => {
                if let Some((extranonce1, size)) = read_extranonce(message) {
                    self.next_extranonce = Some((extranonce1, size));
                }
            }
            Some("mining.set_version_mask") => {
                let mask = first_text(message.params).and_then(|text| VersionMask::from_text(&text).ok());
                if let Some(mask) = mask {
                    self.version_mask = Some(mask);
                }
            }
            Some(_) => {}
        }
    }

    fn job(&mut self, message: &Envelope<'_>, at: Stamp, each: &mut impl FnMut(Finding)) {
        let Ok(notify) = Notify::from_params(message.params) else {
            each(Finding::Unreadable);
            return;
        };
        if let Some((extranonce1, size)) = self.next_extranonce.take() {
            // From this job on (NiceHash; wire reference, section 2.6).
            self.jobs.kill_all(at);
            (self.extranonce1, self.extranonce2_size) = (Some(extranonce1), Some(size));
        }
        let (Some(extranonce1), Some(size)) = (&self.extranonce1, self.extranonce2_size) else { return };
        self.difficulties.notify(notify.job_id.clone());
        let gap = self.jobs.newest().and_then(|job| at.since(job.received_at));
        let assigned = self.difficulties.current();
        let nbits = notify.nbits;
        let Added { job, coinbase, clean } = self.jobs.add(notify, extranonce1, size, assigned, at);
        let workers = self.expected.as_deref();
        // A pool that has not yet answered who the miner is may not know it: its job can pay anybody.
        let is_new = at.since(self.opened).is_some_and(|age| age < OPENING);
        let early = self.workers.is_empty() && is_new;
        let mut judged = JudgedJob::new(nbits, clean, coinbase, workers, &self.expectations);
        if early {
            judged.payout.excuse();
        }
        let seen = JobSeen::new(&self.conversation, job, gap, &judged);
        self.newest_job = Some(judged);
        let block_age = self.jobs.block_age(at);
        each(Finding::Job(Box::new(JobSeen { block_age, early, ..seen })));
    }

    /// The miner says who it is; pools answer with a job that pays that name.
    fn expect(&mut self, worker: &str) {
        let expected = self.expected.get_or_insert_with(Vec::new);
        if let Some(new) = Expected::of_worker(worker) {
            if expected.len() < MOST_ADDRESSES && !expected.contains(&new) {
                expected.push(new);
            }
        }
    }

    fn answered(
        &mut self,
        asked: Asked,
        message: &Envelope<'_>,
        asked_at: Stamp,
        answered_at: Stamp,
        each: &mut impl FnMut(Finding),
    ) {
        match asked {
            Asked::Subscribe => {
                if let Some(Ok(answer)) = message.result.map(SubscribeAnswer::from_result) {
                    if self.extranonce1.as_ref().is_some_and(|known| *known != answer.extranonce1) {
                        self.jobs.kill_all(answered_at);
                    }
                    self.unasked_extranonce1 = None;
                    self.extranonce1 = Some(answer.extranonce1);
                    self.extranonce2_size = Some(answer.extranonce2_size);
                }
            }
            Asked::Configure { mask } => {
                let granted = ConfigureAnswer::from_result(message.result).version_rolling;
                // BIP310: the answer is a subset of what was asked for; ckpool's is not always.
                self.version_mask = granted.zip(mask).map(|(granted, asked)| granted.intersection(asked));
            }
            Asked::Authorize { worker } => {
                let verdict = Verdict::of(message);
                let refused = !verdict.is_accepted();
                let (session, upstream) = (self.conversation.id, self.conversation.upstream());
                let event = match outcome_of(verdict) {
                    Outcome::Rejected { reason, .. } => {
                        Event::AuthorizeRefused { session, upstream, worker: worker.clone(), reason }
                    }
                    _ => Event::Authorized { upstream, worker: worker.clone() },
                };
                each(Finding::Event(event, answered_at));
                if self.workers.len() < MOST_WORKERS && self.workers.iter().all(|known| known.name != worker)
                {
                    self.workers.push(Worker { name: worker, refused });
                }
            }
            Asked::Submit(share) => {
                // A near pool answers before the sending thread has looked at the clock.
                let after =
                    answered_at.since(asked_at).or_else(|| answered_at.since(share.at)).unwrap_or_default();
                self.judged(*share, outcome_of(Verdict::of(message)), Some(after), each);
            }
            Asked::Other => {}
        }
    }

    fn answered_early(
        &mut self,
        asked: Asked,
        answer: &EarlyAnswer,
        asked_at: Stamp,
        each: &mut impl FnMut(Finding),
    ) {
        if let Ok(message) = Envelope::read(&answer.line) {
            self.answered(asked, &message, asked_at, answer.at, each);
        }
    }

    fn give_up(&mut self, asked: Asked, outcome: Outcome, each: &mut impl FnMut(Finding)) {
        if let Asked::Submit(share) = asked {
            self.judged(*share, outcome, None, each);
        }
    }

    fn judged(
        &mut self,
        share: PendingShare,
        outcome: Outcome,
        answered_after: Option<Duration>,
        each: &mut impl FnMut(Finding),
    ) {
        match outcome {
            Outcome::Accepted => {
                self.tally.accepted += 1;
                self.tally.accepted_difficulty += share.assigned.map_or(0.0, Difficulty::value);
            }
            Outcome::Rejected { .. } => self.tally.rejected += 1,
            Outcome::Unanswered | Outcome::Unknown => self.tally.unanswered += 1,
        }
        self.tally.stale += u64::from(share.stale);
        let Facts { session, miner, user_agent, upstream } = self.facts();
        each(Finding::Judged(Box::new(JudgedShare {
            session,
            miner,
            user_agent,
            extranonce1: share.extranonce1.clone().or_else(|| self.extranonce1.clone()),
            upstream,
            share,
            outcome,
            answered_after,
        })));
    }
}

/// The two params of `mining.set_extranonce`.
fn read_extranonce(message: &Envelope<'_>) -> Option<(Extranonce1, Extranonce2Size)> {
    let params = elements("params", message.params?).ok()?;
    let extranonce1 = Extranonce1::from_json(params.first()?).ok()?;
    let size = Extranonce2Size::from_json(params.get(1)?).ok()?;
    Some((extranonce1, size))
}
