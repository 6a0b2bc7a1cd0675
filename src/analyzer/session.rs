//! One conversation, followed line by line.

mod jobs;
mod miner;
mod pool;
mod search_space;
mod timers;
mod waiting_jobs;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::current_work::{CurrentWork, JobGap};
use super::hashrate::WorkMeter;
use super::job_ids::{RecentJobIds, UpstreamJobIds};
use super::job_store::JobStore;
use super::jobs::SessionJobs;
use super::known_hashes::KnownHashes;
use super::reorder_buffer::ReorderBuffer;
use super::requests::{OpenRequests, RequestKind};
use super::rules::SessionSample;
use super::session_event::{EventKind, ProtocolEvent, SessionEvent};
use super::share::{JudgedShare, PendingShare, UnseenJob};
use super::verdicts::{Expectations, WorkDoubt};
use super::work_proof::WorkProof;
use crate::net::Stamp;
use crate::record::ShareOutcome;
use crate::stratum::line_reader::{Line, LineReader, LongLines};
use crate::stratum::{
    Difficulty, DifficultyTimeline, Extranonce1, Extranonce2Size, PrevHash, Readings, VersionMask,
};
use crate::tap::{Conversation, Direction, SessionId, TapBytes};
use crate::work::RecentHashes;
use waiting_jobs::{WaitingJobs, WaitingMemory};

/// The most worker names that are kept of one connection. Farm proxies authorize many.
const MAX_WORKERS: usize = 1024;
/// A connection that takes longer to begin mining is judged as if it had begun.
const MAX_OPENING: Duration = Duration::from_secs(60);
/// The reason for a line that was not read.
const TOO_LONG: &str = "its line is longer than 1 MiB, or too many pools send long lines";

/// The state of one session. All of it is bounded.
pub(super) struct AnalyzedSession {
    pub(super) conversation: Arc<Conversation>,
    pub(super) opened: Stamp,
    pub(super) order: ReorderBuffer,
    up: LineReader,
    down: LineReader,
    requests: OpenRequests,
    pub(super) user_agent: Arc<str>,
    workers: Vec<SessionWorker>,
    expectations: Expectations,
    extranonce1: Option<Extranonce1>,
    extranonce2_size: Option<Extranonce2Size>,
    /// A `mining.set_extranonce` that holds from the next job on.
    next_extranonce: Option<(Extranonce1, Extranonce2Size)>,
    /// The extranonce1 of an unasked answer that came before the answer to the miner's subscribe.
    first_unasked_extranonce1: Option<Extranonce1>,
    /// Another extranonce1, from an answer to no known request.
    unasked_extranonce1: Option<(Extranonce1, Stamp)>,
    last_pool_bytes_at: Option<Stamp>,
    /// The time of the pool's newest lines, and how many lines came at that time.
    newest_lines: (Stamp, i64),
    /// The pool has accepted an authorize.
    is_authorized: bool,
    /// The time when the pool first accepted an authorize or a share.
    mining_since: Option<Stamp>,
    /// The newest job's block, and the pool session that carried it. `None` if a job may have been missed since.
    newest_block: Option<(PrevHash, Option<SessionId>)>,
    /// The time of the newest job, readable or not.
    last_job_at: Option<Stamp>,
    version_mask: Option<VersionMask>,
    difficulties: DifficultyTimeline,
    /// The time when the pool last set the difficulty.
    pub(super) difficulty_set: Option<Stamp>,
    jobs: SessionJobs,
    /// Jobs that came before the search space was known.
    waiting_jobs: WaitingJobs,
    subscribe_id: Option<Box<str>>,
    /// The pool has answered the subscribe, so jobs can be judged.
    is_subscribe_answered: bool,
    /// The reason why the search space is uncertain. It makes every verdict on a job uncertain too.
    space_doubt: Option<WorkDoubt>,
    /// The miner has asked for `mining.set_extranonce`.
    takes_extranonce: bool,
    /// The time when the pool's unfinished line began; `None` also after it was examined.
    unfinished_since: Option<Stamp>,
    /// Lost copies of the pool's bytes that this session has taken into account.
    lost_copies: u64,
    job_ids: RecentJobIds,
    shared: Arc<SharedState>,
    /// The lost copies of the pool's bytes. `None` if there were none.
    gap: Option<LostCopies>,
    pub(super) work: CurrentWork,
    work_proof: WorkProof,
    hashes: RecentHashes,
    pub(super) meter: WorkMeter,
    pub(super) counts: SessionCounts,
    /// The events that the accounting has not taken yet.
    pub(super) events: Vec<SessionEvent>,
}

/// Lost copies of the pool's bytes, perhaps lost several times.
#[derive(Debug, Clone, Copy)]
struct LostCopies {
    /// The first loss since a share for a job behind an earlier one. `None` until copies are lost again.
    first: Option<Stamp>,
    newest: Stamp,
    /// The time when the first job came since then that every miner should read.
    followed_at: Option<Stamp>,
}

/// The memory that all sessions share.
#[derive(Debug, Default)]
pub(super) struct SharedState {
    long_lines: LongLines,
    waiting_memory: WaitingMemory,
    upstream_job_ids: UpstreamJobIds,
    /// Hashes of shares that aggregate mode has already computed.
    pub(super) known_hashes: KnownHashes,
    /// The contents of all sessions' jobs.
    pub(super) job_store: JobStore,
}

/// A worker name that the miner authorized or tried to authorize.
#[derive(Debug)]
struct SessionWorker {
    name: Arc<str>,
    refused: bool,
}

/// The share counts of one session.
#[derive(Debug, Default, Clone)]
pub(super) struct SessionCounts {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    /// Shares that the pool did not answer in time.
    pub(super) unanswered: u64,
    /// Shares whose answer is not known: the session ended first, or copies were lost.
    pub(super) unknown: u64,
    pub(super) stale: u64,
    /// The sum of the assigned difficulties of accepted shares.
    pub(super) accepted_difficulty: f64,
    pub(super) best: f64,
    pub(super) last_share: Option<Stamp>,
}

impl AnalyzedSession {
    pub(super) fn new(
        conversation: Arc<Conversation>,
        opened: Stamp,
        expectations: Expectations,
        shared: Arc<SharedState>,
    ) -> AnalyzedSession {
        AnalyzedSession {
            requests: OpenRequests::new(conversation.role),
            conversation,
            opened,
            order: ReorderBuffer::default(),
            up: LineReader::default(),
            down: LineReader::of_pool(shared.long_lines.clone()),
            user_agent: Arc::default(),
            workers: Vec::new(),
            expectations,
            extranonce1: None,
            extranonce2_size: None,
            next_extranonce: None,
            first_unasked_extranonce1: None,
            unasked_extranonce1: None,
            last_pool_bytes_at: None,
            newest_lines: (opened, 0),
            is_authorized: false,
            mining_since: None,
            newest_block: None,
            last_job_at: None,
            version_mask: None,
            difficulties: DifficultyTimeline::new(),
            difficulty_set: None,
            jobs: SessionJobs::new(shared.job_store.clone()),
            waiting_jobs: WaitingJobs::new(shared.waiting_memory.clone()),
            subscribe_id: None,
            is_subscribe_answered: false,
            space_doubt: None,
            takes_extranonce: false,
            unfinished_since: None,
            lost_copies: 0,
            job_ids: RecentJobIds::default(),
            shared,
            gap: None,
            work: CurrentWork::default(),
            work_proof: WorkProof::of(Difficulty::MILLION_HASHES),
            hashes: RecentHashes::default(),
            meter: WorkMeter::new(opened),
            counts: SessionCounts::default(),
            events: Vec::new(),
        }
    }

    /// Sets the least difficulty of a share that ends a doubt.
    pub(super) fn set_proof_difficulty(&mut self, least: Difficulty) {
        self.work_proof = WorkProof::of(least);
    }

    /// Prepares to follow a session again after everything known of it was lost. Its next bytes may begin in the
    /// middle of a line.
    pub(super) fn resume(&mut self, at: Stamp) {
        self.up.gap();
        self.down.gap();
        self.copies_lost(at);
    }

    /// Forgets jobs because those of all sessions take too much memory.
    pub(super) fn forget_jobs(&mut self) {
        self.jobs.keep_newest_if_small();
    }

    /// Judges future jobs by these expectations, and the present jobs again.
    pub(super) fn set_expectations(&mut self, expectations: &Expectations) {
        self.expectations.reconfigure(expectations);
        self.work.rejudge(&self.expectations);
    }

    /// Follows bytes that were forwarded together.
    pub(super) fn read(&mut self, chunk: &TapBytes) {
        if chunk.direction == Direction::Down {
            self.last_pool_bytes_at = Some(chunk.readable_at);
        }
        let mut reader = std::mem::take(match chunk.direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        });
        if chunk.after_gap {
            reader.gap();
            if chunk.direction == Direction::Down {
                self.lost_copies = self.conversation.down.dropped.load(Ordering::Relaxed);
                self.copies_lost(chunk.readable_at);
                for kind in self.requests.answers_lost() {
                    self.give_up(kind, ShareOutcome::Unknown);
                }
            }
        }
        reader.read_all(&chunk.bytes, |line| match line {
            Line::Whole(line) => {
                self.events.push(SessionEvent::Message(chunk.direction));
                match chunk.direction {
                    Direction::Up => self.miner_line(line, chunk),
                    Direction::Down => self.pool_line(line, chunk),
                }
            }
            Line::TooLong if chunk.direction == Direction::Down => {
                self.unread(TOO_LONG, b"", chunk.readable_at);
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

    fn miner_line(&mut self, line: &[u8], chunk: &TapBytes) {
        let readings = Readings::of(line);
        match readings.first() {
            Some(message) => self.miner_message(&message, chunk),
            None => {
                self.conversation.unreadable_lines.fetch_add(1, Ordering::Relaxed);
                self.events.push(SessionEvent::Unreadable);
            }
        }
    }

    /// Returns a distinct time for each line of the pool, in their order: many can come at once.
    fn stamp_of_line(&mut self, at: Stamp) -> Stamp {
        let (known, count) = &mut self.newest_lines;
        *count = if *known == at { *count + 1 } else { 0 };
        *known = at;
        at.shifted(*count)
    }

    fn report(&mut self, kind: EventKind, at: Stamp) {
        let (session, upstream) = (self.conversation.id, self.conversation.upstream());
        self.events.push(SessionEvent::Protocol(ProtocolEvent { session, upstream, at, kind }));
    }

    fn judged(
        &self,
        share: PendingShare,
        outcome: ShareOutcome,
        answered_after: Option<Duration>,
    ) -> JudgedShare {
        JudgedShare {
            session: self.conversation.id,
            miner: self.conversation.miner(),
            user_agent: self.user_agent.clone(),
            extranonce1: share.extranonce1.clone().or_else(|| self.extranonce1.clone()),
            upstream: self.conversation.upstream(),
            share,
            outcome,
            answered_after,
        }
    }

    /// Ends the session. Shares without an answer have an unknown outcome.
    pub(super) fn close(&mut self, now: Stamp) {
        let open = self.requests.take_all();
        self.take_settled();
        for kind in open {
            self.give_up(kind, ShareOutcome::Unknown);
        }
        self.end_excuse_early(now);
        self.events.push(SessionEvent::Closed(self.conversation.id));
    }

    /// Records the pool's verdict on a worker name. A refused name counts once the pool accepts it. A refusal does
    /// not undo an acceptance: some pools refuse a second authorize of a name that they know.
    fn set_worker_verdict(&mut self, name: &str, refused: bool) {
        if let Some(known) = self.workers.iter_mut().find(|known| *known.name == *name) {
            known.refused &= refused;
        } else if self.workers.len() < MAX_WORKERS {
            if self.workers.is_empty() {
                // Nearly every miner has one.
                self.workers.reserve_exact(1);
            }
            self.workers.push(SessionWorker { name: name.into(), refused });
        }
    }

    /// Samples the session for rules that depend on the passage of time.
    pub(super) fn sample(&self, now: Stamp, jobs: Option<JobGap>) -> SessionSample<'_> {
        let seconds = |since: Stamp| now.since(since).unwrap_or_default().as_secs_f64();
        SessionSample {
            session: self.conversation.id,
            role: self.conversation.role,
            upstream: self.conversation.upstream(),
            worker: self.worker(),
            miner: self.conversation.miner().ip(),
            user_agent: Some(&*self.user_agent).filter(|agent| !agent.is_empty()),
            hash_rate: self.meter.one_hour(now),
            difficulty: self.difficulty().value(),
            accepted: self.counts.accepted,
            watched: seconds(self.opened),
            pool_silent: self.last_pool_bytes_at.map(seconds),
            waits_for_work: self.is_authorized && self.last_job_at.is_none(),
            job_silent: self.last_job_at.map(seconds),
            unanswered: self.requests.open_shares(),
            share_silent: self.counts.last_share.map(seconds),
            jobs,
            unread: self.work.in_doubt_since(now).map(|(doubt, since)| (doubt, seconds(since))),
            extranonce2_size: self.extranonce2_size,
            version_mask: self.version_mask,
            payout: self.work.payout(),
        }
    }

    /// The first worker name that the pool has accepted, by its answer or by accepting a share; empty for none.
    pub(super) fn worker(&self) -> &str {
        self.accepted_worker().map_or("", |name| name)
    }

    pub(super) fn accepted_worker(&self) -> Option<&Arc<str>> {
        self.workers.iter().find(|worker| !worker.refused).map(|worker| &worker.name)
    }

    /// The search space that the pool gave.
    pub(super) fn extranonce(&self) -> (Option<&Extranonce1>, Option<Extranonce2Size>) {
        (self.extranonce1.as_ref(), self.extranonce2_size)
    }

    /// The difficulty that the pool asks for now.
    pub(super) fn difficulty(&self) -> Difficulty {
        self.difficulties.current()
    }

    /// Lines that were too long, since the session began.
    pub(super) fn too_long(&self) -> u64 {
        self.up.too_long + self.down.too_long
    }

    fn publish(&self) {
        self.conversation.unanswered.store(self.requests.open_shares(), Ordering::Release);
        if self.requests.open_shares() == 0 {
            self.conversation.clock.set_oldest_unanswered(None);
        }
    }

    /// Looks for a share's job again. On a busy machine the copy of the job can come after that of the share; the
    /// stamps tell that the job was first.
    fn find_late_job(&self, share: &mut PendingShare) {
        let id = share.submit.as_ref().map(|submit| &submit.job_id).filter(|_| share.unseen_job.is_some());
        if id.and_then(|id| self.jobs.get(id)).is_some_and(|job| job.received_at <= share.at) {
            share.unseen_job = None;
        }
    }

    fn give_up(&mut self, kind: RequestKind, outcome: ShareOutcome) {
        if let RequestKind::Submit(share) = kind {
            self.count_share(*share, outcome, None);
        }
    }

    fn count_share(
        &mut self,
        mut share: PendingShare,
        outcome: ShareOutcome,
        answered_after: Option<Duration>,
    ) {
        self.find_late_job(&mut share);
        if outcome == ShareOutcome::Accepted && share.unseen_job == Some(UnseenJob::Unread) {
            self.work.mark_unread(WorkDoubt::Unread, share.at);
        }
        match outcome {
            ShareOutcome::Accepted => {
                self.conversation.note_accepted_share();
                self.counts.accepted += 1;
                self.counts.accepted_difficulty += share.assigned.map_or(0.0, Difficulty::value);
                self.mining_since.get_or_insert(share.at);
                if self.worker().is_empty() {
                    self.set_worker_verdict(&share.worker, false);
                }
                if !self.expectations.has_worker() {
                    self.expect_payee(&share.worker);
                }
                if share.unseen_job.is_none() {
                    self.end_excuse_early(share.at);
                }
            }
            ShareOutcome::Rejected { .. } => self.counts.rejected += 1,
            ShareOutcome::Unanswered => self.counts.unanswered += 1,
            ShareOutcome::Unknown => self.counts.unknown += 1,
        }
        self.counts.stale += u64::from(share.stale);
        let judged = self.judged(share, outcome, answered_after);
        self.events.push(SessionEvent::Judged(Box::new(judged)));
    }
}

#[cfg(test)]
mod tests;
