//! One miner's conversation, followed line by line.

mod early;
mod miner;
mod pool;
mod seen_jobs;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::block::BlockFinder;
use super::current_work::{CurrentVerdicts, CurrentWork, JobGap};
use super::hashed_shares::HashedShares;
use super::hashrate::WorkMeter;
use super::job_store::JobStore;
use super::jobs::SessionJobs;
use super::known_jobs::KnownJobs;
use super::reorder_buffer::ReorderBuffer;
use super::requests::{OpenRequests, RequestKind};
use super::rules::SessionSample;
use super::session_event::{Event, SessionEvent};
use super::share::{JudgedShare, PendingShare, UnseenJob};
use super::verdicts::{ChainState, Expectations, Expected, PayoutState, WorkDoubt};
use super::work_proof::WorkProof;
use crate::net::Stamp;
use crate::record::ShareOutcome;
use crate::stratum::line_reader::{Line, LineReader, LongLines};
use crate::stratum::{Difficulty, DifficultyTimeline, Extranonce1, Extranonce2Size, Readings, VersionMask};
use crate::tap::{Conversation, Direction, TapBytes};
use crate::work::RecentHashes;
use early::EarlyJobs;
pub(super) use early::EarlyMemory;
use seen_jobs::SeenJobs;

/// The most workers of one connection; farm proxies authorize many.
const MOST_WORKERS: usize = 1024;
/// The most addresses among their names that a block is searched for.
const MOST_ADDRESSES: usize = 16;
/// How long the request to an answer may be late.
const UNASKED: Duration = Duration::from_secs(2);
/// A line that is unfinished for so long is none that is still on its way: packets that are lost come again
/// within seconds.
const UNFINISHED: Duration = Duration::from_secs(10);
/// An opening that takes longer is none.
const OPENING: Duration = Duration::from_secs(60);
/// A job for others, from before the pool knew the miner, is excused for so long after the miner has begun to mine.
/// Pools follow such a job with another one at once.
const EXCUSED: Duration = Duration::from_secs(10);
/// It is excused for only so long if the pool accepts a share for it, or if the session ends: by then the other job
/// would have come.
const EXCUSED_AT_LEAST: Duration = Duration::from_secs(2);
/// Why a line was not read.
const TOO_LONG: &str = "its line is longer than 1 MiB, or too many pools send long lines";

/// The state of one session. All of it is bounded.
pub(super) struct AnalyzedSession {
    pub(super) conversation: Arc<Conversation>,
    pub(super) opened: Stamp,
    pub(super) order: ReorderBuffer,
    up: LineReader,
    down: LineReader,
    requests: OpenRequests,
    pub(super) user_agent: String,
    workers: Vec<SessionWorker>,
    /// The addresses in the names that were given so far; `None` before the first name.
    expected: Option<Vec<Expected>>,
    expectations: Expectations,
    extranonce1: Option<Extranonce1>,
    extranonce2_size: Option<Extranonce2Size>,
    /// A `mining.set_extranonce` that holds from the next job on.
    next_extranonce: Option<(Extranonce1, Extranonce2Size)>,
    /// From an answer before the one that the miner waits for.
    foreign_extranonce1: Option<Extranonce1>,
    /// From an answer that nobody waits for.
    unasked_extranonce1: Option<(Extranonce1, Stamp)>,
    /// When the pool last said anything.
    heard: Option<Stamp>,
    /// When the pool's newest lines came, and how many came then.
    newest_lines: (Stamp, i64),
    /// The pool has accepted an authorize.
    is_accepted: bool,
    /// When the pool first accepted an authorize or a share.
    mining_since: Option<Stamp>,
    /// When the newest job came, readable or not.
    job_came: Option<Stamp>,
    version_mask: Option<VersionMask>,
    difficulties: DifficultyTimeline,
    /// When the pool set it last.
    pub(super) difficulty_set: Option<Stamp>,
    jobs: SessionJobs,
    /// Those that came before the search space was known.
    early_jobs: EarlyJobs,
    /// The message id of the newest subscribe.
    subscribe_id: Option<Box<str>>,
    /// The pool has answered the subscribe, so that jobs could be judged by now.
    is_subscribe_answered: bool,
    /// Why the search space is not sure: then no verdict on a job is.
    space_doubt: Option<WorkDoubt>,
    /// The miner has asked to be told of another extranonce1.
    takes_extranonce: bool,
    /// When the line began that has no end yet; `None` also when it was looked at.
    unfinished_since: Option<Stamp>,
    /// As many copies of what the pool sent were lost, as far as is known here.
    lost_copies: u64,
    seen_jobs: SeenJobs,
    /// Those of all sessions.
    known_jobs: KnownJobs,
    hashed_shares: HashedShares,
    /// Copies of what the pool sent that were lost; `None` if there were none.
    gap: Option<LostCopies>,
    work: CurrentWork,
    work_proof: WorkProof,
    hashes: RecentHashes,
    pub(super) meter: WorkMeter,
    pub(super) tally: Tally,
}

/// Copies of what the pool sent were lost, perhaps several times.
#[derive(Debug, Clone, Copy)]
struct LostCopies {
    /// For the first time since a share for a job behind such a loss; `None` until they are lost again.
    first: Option<Stamp>,
    newest: Stamp,
    /// When the first job came since then that every miner should read.
    followed_at: Option<Stamp>,
}

/// What all sessions share.
type SharedBySessions = (LongLines, EarlyMemory, (KnownJobs, HashedShares), JobStore);

/// A name that was authorized, or was to be.
#[derive(Debug)]
struct SessionWorker {
    name: String,
    refused: bool,
}

/// A session's figures.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    /// The pool had its time.
    pub(super) unanswered: u64,
    /// What the pool said is not known: the session ended first, or copies were not analysed.
    pub(super) unknown: u64,
    pub(super) stale: u64,
    /// Sum of what was asked for, over accepted shares.
    pub(super) accepted_difficulty: f64,
    pub(super) best: f64,
    pub(super) last_share: Option<Stamp>,
}

impl AnalyzedSession {
    pub(super) fn new(
        conversation: Arc<Conversation>,
        opened: Stamp,
        expectations: Expectations,
        (long_lines, early_memory, (known_jobs, hashed_shares), store): SharedBySessions,
    ) -> AnalyzedSession {
        AnalyzedSession {
            requests: OpenRequests::new(conversation.role),
            conversation,
            opened,
            order: ReorderBuffer::default(),
            up: LineReader::default(),
            down: LineReader::of_pool(long_lines),
            user_agent: String::new(),
            workers: Vec::new(),
            expected: None,
            expectations,
            extranonce1: None,
            extranonce2_size: None,
            next_extranonce: None,
            foreign_extranonce1: None,
            unasked_extranonce1: None,
            heard: None,
            newest_lines: (opened, 0),
            is_accepted: false,
            mining_since: None,
            job_came: None,
            version_mask: None,
            difficulties: DifficultyTimeline::new(),
            difficulty_set: None,
            jobs: SessionJobs::new(store),
            early_jobs: EarlyJobs::new(early_memory),
            subscribe_id: None,
            is_subscribe_answered: false,
            space_doubt: None,
            takes_extranonce: false,
            unfinished_since: None,
            lost_copies: 0,
            seen_jobs: SeenJobs::default(),
            known_jobs,
            hashed_shares,
            gap: None,
            work: CurrentWork::default(),
            work_proof: WorkProof::of(Difficulty::MILLION_HASHES),
            hashes: RecentHashes::default(),
            meter: WorkMeter::new(opened),
            tally: Tally::default(),
        }
    }

    /// A share that ends a doubt must have at least this difficulty.
    pub(super) fn ask_for_proof(&mut self, least: Difficulty) {
        self.work_proof = WorkProof::of(least);
    }

    /// It was followed before, and everything that was known of it is lost: the next bytes may begin in the
    /// middle of a line.
    pub(super) fn resume(&mut self, at: Stamp) {
        self.up.gap();
        self.down.gap();
        self.missed(at);
    }

    /// The jobs of all sessions take too much.
    pub(super) fn forget_jobs(&mut self) {
        self.jobs.make_room();
    }

    /// Jobs are judged by these from now on, and the present one once more.
    pub(super) fn expect_by(&mut self, expectations: Expectations) {
        self.work.again(self.expected.as_deref(), &expectations);
        self.expectations = expectations;
    }

    /// Follows what was forwarded together.
    pub(super) fn read(&mut self, chunk: &TapBytes, each: &mut impl FnMut(SessionEvent)) {
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
                self.lost_copies = self.conversation.down.dropped.load(Ordering::Relaxed);
                self.missed(chunk.readable_at);
                for asked in self.requests.lost_answers() {
                    self.give_up(asked, ShareOutcome::Unknown, each);
                }
            }
        }
        reader.read_all(&chunk.bytes, |line| match line {
            Line::Whole(line) => {
                each(SessionEvent::Message(chunk.direction));
                match chunk.direction {
                    Direction::Up => self.miner_line(line, chunk, each),
                    Direction::Down => self.pool_line(line, chunk, each),
                }
            }
            Line::TooLong if chunk.direction == Direction::Down => {
                self.unread(TOO_LONG, b"", chunk.readable_at, each);
            }
            Line::TooLong => {}
        });
        match chunk.direction {
            Direction::Up => self.up = reader,
            Direction::Down => {
                self.down = reader;
                if self.down.unfinished().is_empty() {
                    self.unfinished_since = None;
                } else if chunk.bytes.contains(&b'\n') {
                    self.unfinished_since = Some(chunk.readable_at);
                } else {
                    self.unfinished_since.get_or_insert(chunk.readable_at);
                }
            }
        }
        self.publish();
    }

    fn miner_line(&mut self, line: &[u8], chunk: &TapBytes, each: &mut impl FnMut(SessionEvent)) {
        let readings = Readings::of(line);
        match readings.first() {
            Some(message) => self.miner_said(&message, chunk, each),
            None => {
                self.conversation.garbage.fetch_add(1, Ordering::Relaxed);
                each(SessionEvent::Unreadable);
            }
        }
    }

    /// A time of its own for each of the pool's lines, in their order: many can come at once.
    fn line_came(&mut self, at: Stamp) -> Stamp {
        let (known, count) = &mut self.newest_lines;
        *count = if *known == at { *count + 1 } else { 0 };
        *known = at;
        at.shifted(*count)
    }

    /// Lines that were too long, since the session began.
    pub(super) fn too_long(&self) -> u64 {
        self.up.too_long + self.down.too_long
    }

    fn facts(&self) -> BlockFinder {
        BlockFinder {
            session: self.conversation.id,
            miner: self.conversation.miner(),
            user_agent: self.user_agent.clone(),
            upstream: self.conversation.upstream(),
        }
    }

    /// Gives up shares that were not answered in time.
    pub(super) fn expire(&mut self, timeout: Duration, now: Stamp, each: &mut impl FnMut(SessionEvent)) {
        // After lost copies the answer may have been among them. Those who lose them count them at
        // once; the gap itself shows only with the next copy.
        let is_whole = self.conversation.dropped_copies.load(Ordering::Relaxed) == 0;
        let outcome = if is_whole { ShareOutcome::Unanswered } else { ShareOutcome::Unknown };
        let expired = self.requests.expire(timeout, now);
        self.take_settled(each);
        for asked in expired {
            self.give_up(asked, outcome.clone(), each);
        }
        self.publish();
        self.look_at_unfinished_line(now, each);
        // The last copies may be among them, and no further one come to show the gap.
        let lost_copies = self.conversation.down.dropped.load(Ordering::Relaxed);
        if lost_copies > self.lost_copies {
            self.lost_copies = lost_copies;
            self.missed(now);
        }
        let oldest = self.requests.oldest_share();
        let age = oldest.map(|at| now.since(at).unwrap_or_default());
        self.conversation.clock.set_oldest_unanswered(age);
        self.conversation.clock.looked();
        self.change_extranonce1(now, each);
        self.end_excuse(now, each);
    }

    /// Judges jobs anew that came before the pool knew the miner, if the miner seems to stay with them. After
    /// something that was lost or could not be read nobody knows that: the right job may be among it.
    fn end_excuse(&mut self, now: Stamp, each: &mut impl FnMut(SessionEvent)) {
        if self.is_excuse_over(now) && self.work.has_early() && self.work.unread_since().is_none() {
            self.judge_excused(now, each);
        }
    }

    /// Whether the pool has had its time to give the miner a job of its own.
    fn is_excuse_over(&self, now: Stamp) -> bool {
        let (since, excused) = self.mining_since.map_or((self.opened, OPENING), |since| (since, EXCUSED));
        now.since(since).is_some_and(|age| age >= excused)
    }

    /// As [`AnalyzedSession::end_excuse`], if no other job has come although the miner has mined for a while. A
    /// pool that ends each session early would be excused for ever.
    fn end_excuse_early(&mut self, now: Stamp, each: &mut impl FnMut(SessionEvent)) {
        let has_mined = self.mining_since.and_then(|since| now.since(since));
        let lost_copies = self.conversation.down.dropped.load(Ordering::Relaxed);
        if has_mined.is_some_and(|time| time >= EXCUSED_AT_LEAST)
            && self.work.is_all_excused()
            && lost_copies <= self.lost_copies
        {
            self.judge_excused(now, each);
        }
    }

    fn judge_excused(&mut self, now: Stamp, each: &mut impl FnMut(SessionEvent)) {
        for job in self.work.end_excuse(self.expected.as_deref(), &self.expectations) {
            each(SessionEvent::Rejudged(Box::new(job), now));
        }
    }

    /// A NerdMiner takes what has come within a second for a line, also without an end (wire reference,
    /// section 1.4).
    fn look_at_unfinished_line(&mut self, now: Stamp, each: &mut impl FnMut(SessionEvent)) {
        let is_due = |since: Stamp| now.since(since).is_some_and(|age| age >= UNFINISHED);
        if !self.unfinished_since.is_some_and(is_due) {
            return;
        }
        self.unfinished_since = None;
        let rest = self.down.unfinished().to_vec();
        let readings = Readings::of(&rest);
        if readings.may_hide_job() || !readings.jobs().is_empty() {
            self.unread("its line has no end", &rest, now, each);
        }
    }

    /// The session is over: what is open stays so.
    pub(super) fn close(&mut self, now: Stamp, each: &mut impl FnMut(SessionEvent)) {
        let open = self.requests.take_all();
        self.take_settled(each);
        for asked in open {
            self.give_up(asked, ShareOutcome::Unknown, each);
        }
        self.end_excuse_early(now, each);
        each(SessionEvent::Closed(self.conversation.id));
    }

    /// How long no job has come, looked at twice a second.
    pub(super) fn job_gap(&mut self, now: Stamp, stale_job: Duration) -> Option<JobGap> {
        self.work.gap(now, stale_job)
    }

    /// How bad it is what its miner works on; `None` before the pool has sent any.
    pub(super) fn badness(&self, now: Stamp, stale_job: Duration) -> Option<(PayoutState, ChainState)> {
        self.work.badness(now, stale_job)
    }

    /// The verdicts on what its miner works on, as they can still be relied on.
    pub(super) fn verdicts(&self, now: Stamp, stale_job: Duration) -> Option<CurrentVerdicts> {
        self.work.verdicts(now, stale_job)
    }

    /// Whether the pool accepts shares for jobs that nobody could read, looked at twice a second.
    pub(super) fn accepts_unseen(&mut self, accepts: bool) {
        self.work.accepts_unseen(accepts);
    }

    /// Until when those are good, unless the pool sends more.
    pub(super) fn verdicts_until(&self, stale_job: Duration) -> Option<Stamp> {
        self.work.good_until(stale_job)
    }

    /// How it stands, for rules that watch time pass.
    pub(super) fn pulse(&self, now: Stamp, jobs: Option<JobGap>) -> SessionSample<'_> {
        let seconds = |since: Stamp| now.since(since).unwrap_or_default().as_secs_f64();
        SessionSample {
            session: self.conversation.id,
            role: self.conversation.role,
            upstream: self.conversation.upstream(),
            worker: self.worker(),
            miner: self.conversation.miner().ip(),
            hash_rate: self.meter.one_hour(now),
            difficulty: self.difficulty().value(),
            accepted: self.tally.accepted,
            watched: seconds(self.opened),
            pool_silent: self.heard.map(seconds),
            waits_for_work: self.is_accepted && self.job_came.is_none(),
            job_silent: self.job_came.map(seconds),
            unanswered: self.requests.shares(),
            share_silent: self.tally.last_share.map(seconds),
            jobs,
            unread: self.work.in_doubt_since(now).map(|(doubt, since)| (doubt, seconds(since))),
            extranonce2_size: self.extranonce2_size,
            version_mask: self.version_mask,
            payout: self.work.payout(),
        }
    }

    fn change_extranonce1(&mut self, now: Stamp, each: &mut impl FnMut(SessionEvent)) {
        let is_due = |(_, at): &(Extranonce1, Stamp)| now.since(*at).is_some_and(|age| age > UNASKED);
        if !self.unasked_extranonce1.as_ref().is_some_and(is_due) {
            return;
        }
        let (Some((to, at)), Some(from)) = (self.unasked_extranonce1.take(), self.extranonce1.clone()) else {
            return;
        };
        // Some miners take it, others don't.
        self.space_doubt = Some(WorkDoubt::Ambiguous);
        self.work.unread(WorkDoubt::Ambiguous, at);
        let (session, upstream) = (self.conversation.id, self.conversation.upstream());
        each(SessionEvent::Event(Event::ExtranonceChanged { session, upstream, from, to }, at));
    }

    /// Notes the pool's verdict on a name. One that was refused and is accepted later counts from then on. A
    /// refusal takes nothing back: some pools refuse to be asked twice about a name that they know.
    fn note_worker(&mut self, name: &str, refused: bool) {
        if let Some(known) = self.workers.iter_mut().find(|known| known.name == name) {
            known.refused &= refused;
        } else if self.workers.len() < MOST_WORKERS {
            self.workers.push(SessionWorker { name: name.to_owned(), refused });
        }
    }

    /// The worker's name: the first that the pool has accepted, by its answer or by accepting a share of it.
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
        if self.requests.shares() == 0 {
            self.conversation.clock.set_oldest_unanswered(None);
        }
    }

    /// The copy of a share's job can come after the share's own, on a busy machine: by its stamp it was there.
    fn look_for_job_again(&self, share: &mut PendingShare) {
        let id = share.submit.as_ref().map(|submit| &submit.job_id).filter(|_| share.unseen_job.is_some());
        if id.and_then(|id| self.jobs.get(id)).is_some_and(|job| job.received_at <= share.at) {
            share.unseen_job = None;
        }
    }

    fn give_up(&mut self, asked: RequestKind, outcome: ShareOutcome, each: &mut impl FnMut(SessionEvent)) {
        if let RequestKind::Submit(share) = asked {
            self.judged(*share, outcome, None, each);
        }
    }

    fn judged(
        &mut self,
        mut share: PendingShare,
        outcome: ShareOutcome,
        answered_after: Option<Duration>,
        each: &mut impl FnMut(SessionEvent),
    ) {
        self.look_for_job_again(&mut share);
        if outcome == ShareOutcome::Accepted && share.unseen_job == Some(UnseenJob::Unread) {
            self.work.unread(WorkDoubt::Unread, share.at);
        }
        match outcome {
            ShareOutcome::Accepted => {
                self.tally.accepted += 1;
                self.tally.accepted_difficulty += share.assigned.map_or(0.0, Difficulty::value);
                self.mining_since.get_or_insert(share.at);
                if self.worker().is_empty() {
                    self.note_worker(&share.worker, false);
                }
                if self.expected.is_none() {
                    self.expect(&share.worker);
                }
                if share.unseen_job.is_none() {
                    self.end_excuse_early(share.at, each);
                }
            }
            ShareOutcome::Rejected { .. } => self.tally.rejected += 1,
            ShareOutcome::Unanswered => self.tally.unanswered += 1,
            ShareOutcome::Unknown => self.tally.unknown += 1,
        }
        self.tally.stale += u64::from(share.stale);
        let BlockFinder { session, miner, user_agent, upstream } = self.facts();
        each(SessionEvent::Judged(Box::new(JudgedShare {
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

#[cfg(test)]
mod tests;
