//! Follows conversations whose copies come in their right order, and keeps the books. It knows no
//! time but what it is told, so that a day can pass in a second.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::accounting::Accounting;
use super::alerts::AlertBook;
use super::consumer::Setup;
use super::current_work::JobGap;
use super::hashed_shares::HashedShares;
use super::job_store::JobStore;
use super::known_jobs::KnownJobs;
use super::rules::{RuleSet, RuleSettings, SessionSample};
use super::session::{AnalyzedSession, EarlyMemory};
use super::session_event::SessionEvent;
use super::snapshot::{MinerView, Snapshot};
use super::verdicts::Expectations;
use super::{Enforcement, ExternalUpdate, ReloadedPolicy};
use crate::config;
use crate::net::Stamp;
use crate::stratum::Difficulty;
use crate::stratum::line_reader::LongLines;
use crate::tap::{Conversation, Role, SessionId, TapBytes};

/// Room for so many sessions is not worth giving back.
const SPARE_SESSIONS: usize = 64;

/// All sessions, and what outlives them.
pub(super) struct SessionTracker {
    pub(super) ledger: Accounting,
    expectations: Expectations,
    enforcement: Option<Enforcement>,
    sessions: HashMap<SessionId, AnalyzedSession>,
    long_lines: LongLines,
    early_memory: EarlyMemory,
    known_jobs: KnownJobs,
    /// Shares that were hashed where they were judged.
    pub(super) hashed_shares: HashedShares,
    /// Sessions that were followed before all was forgotten, until they say more or are over.
    forgotten: HashSet<SessionId>,
    /// The contents of all sessions' jobs.
    job_store: JobStore,
    share_timeout: Duration,
    /// The least difficulty of a share that ends a doubt.
    least_proof: Difficulty,
    /// What the rules were made of.
    settings: RuleSettings,
    began: Stamp,
    /// The program is ending: [`SessionTracker::left`] is kept.
    pub(super) is_ending: bool,
    /// The miners whose sessions have ended since, as they were then. No more than were connected: nobody is
    /// accepted any more.
    left: Vec<MinerView>,
}

impl SessionTracker {
    pub(super) fn new(setup: Setup, now: Stamp) -> SessionTracker {
        let Setup {
            analysis,
            expectations,
            rules,
            silence,
            first_job,
            enforcement,
            clock,
            recorder,
            notifier,
            state,
            history,
            upstreams,
            outside: _,
            account,
            least_proof,
            reports_restarts: _,
        } = setup;
        let near_miss = analysis.near_miss;
        let off = AlertBook::new(&rules.off);
        let settings = RuleSettings { rules, silence, first_job, account };
        let judges = (off, RuleSet::new(&settings));
        SessionTracker {
            ledger: Accounting::new(
                clock,
                (recorder, notifier),
                (state, history),
                upstreams,
                near_miss,
                judges,
                now,
            ),
            expectations,
            enforcement,
            sessions: HashMap::new(),
            long_lines: LongLines::default(),
            early_memory: EarlyMemory::default(),
            known_jobs: KnownJobs::default(),
            hashed_shares: HashedShares::default(),
            forgotten: HashSet::new(),
            job_store: JobStore::default(),
            share_timeout: analysis.share_timeout,
            least_proof,
            settings,
            began: now,
            is_ending: false,
            left: Vec::new(),
        }
    }

    /// The session of this conversation, begun if it is new.
    pub(super) fn session(&mut self, conversation: &Arc<Conversation>) -> &mut AnalyzedSession {
        let (expectations, long_lines, known_jobs) = (&self.expectations, &self.long_lines, &self.known_jobs);
        let (early_memory, store) = (&self.early_memory, &self.job_store);
        let hashed_shares = &self.hashed_shares;
        let opened = conversation.opened.shifted(self.ledger.skew.saturating_neg());
        let least_proof = self.least_proof;
        let known = || (known_jobs.clone(), hashed_shares.clone());
        let shared = || (long_lines.clone(), early_memory.clone(), known(), store.clone());
        let was_forgotten = self.forgotten.remove(&conversation.id);
        let new = || {
            let mut session =
                AnalyzedSession::new(conversation.clone(), opened, expectations.clone(), shared());
            session.ask_for_proof(least_proof);
            if was_forgotten {
                session.resume(opened);
            }
            session
        };
        self.sessions.entry(conversation.id).or_insert_with(new)
    }

    /// Reads the oldest chunk that the session's order holds, and gives its length in bytes.
    pub(super) fn read_held(&mut self, id: SessionId) -> usize {
        let Some(session) = self.sessions.get_mut(&id) else { return 0 };
        let Some(chunk) = session.order.release() else { return 0 };
        read(session, &chunk, &mut self.ledger, self.enforcement.as_ref());
        chunk.bytes.len()
    }

    /// Whom a session connects, as long as it is followed.
    pub(super) fn role(&self, id: SessionId) -> Option<Role> {
        self.sessions.get(&id).map(|session| session.conversation.role)
    }

    /// A chunk that need not be put in order.
    pub(super) fn read(&mut self, conversation: &Arc<Conversation>, chunk: &TapBytes) {
        self.session(conversation);
        if let Some(session) = self.sessions.get_mut(&conversation.id) {
            read(session, chunk, &mut self.ledger, self.enforcement.as_ref());
        }
    }

    /// News from outside the conversations.
    pub(super) fn heard(&mut self, news: &ExternalUpdate) {
        match news {
            ExternalUpdate::Judgement(judgement) => self.judge_by(judgement),
            ExternalUpdate::Tip(_) | ExternalUpdate::Figures(_) | ExternalUpdate::PoolsUsable(_) => {
                self.ledger.heard(news)
            }
        }
    }

    fn judge_by(&mut self, judgement: &ReloadedPolicy) {
        self.expectations = judgement.expectations.clone();
        for session in self.sessions.values_mut() {
            session.expect_by(judgement.expectations.clone());
        }
        if let Some(enforcement) = &mut self.enforcement {
            (enforcement.on_mismatch, enforcement.on_wrong) = (judgement.on_mismatch, judgement.on_wrong);
        }
        self.ledger.alerts.turn_off(&judgement.rules.off);
        // Rules that go on as they were keep what they have seen.
        let with_old_silence =
            config::RulesConfig { off: self.settings.rules.off.clone(), ..judgement.rules.clone() };
        if self.settings.rules != with_old_silence {
            self.ledger.judge_by(&judgement.rules);
        }
        self.settings.rules = judgement.rules.clone();
    }

    /// The system's clock was set, by so many nanoseconds since the start. Rules that compare times
    /// begin anew.
    pub(super) fn clock_was_set(&mut self, skew: i64) {
        self.ledger.clock_was_set(skew, RuleSet::new(&self.settings));
    }

    /// The miner is not read any more, and all that it said was followed.
    pub(super) fn paused(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get(&id) {
            session.conversation.heard_out.store(true, Ordering::Release);
        }
    }

    pub(super) fn closed(&mut self, id: SessionId, now: Stamp) {
        self.forgotten.remove(&id);
        let Some(mut session) = self.sessions.remove(&id) else { return };
        let role = session.conversation.role;
        let (ledger, enforcement) = (&mut self.ledger, self.enforcement.as_ref());
        session.close(now, &mut |finding| take(finding, role, ledger, enforcement));
        if self.is_ending && role.is_with_miner() {
            self.left.push(MinerView::of(
                &session,
                &self.ledger,
                &self.sessions,
                (now, self.settings.rules.stale_job),
            ));
        }
    }

    /// How many bytes of copies all sessions hold.
    pub(super) fn held_bytes(&self) -> usize {
        self.sessions.values().map(|session| session.order.bytes()).sum()
    }

    /// A session that can't be followed any more; nothing more is learnt from it.
    pub(super) fn forget(&mut self, id: SessionId) -> Option<Arc<Conversation>> {
        let session = self.sessions.remove(&id)?;
        self.ledger.take(SessionEvent::Closed(id), session.conversation.role);
        Some(session.conversation.clone())
    }

    /// All of them. They are followed from their next bytes on.
    pub(super) fn forget_sessions(&mut self) {
        let forgotten = std::mem::take(&mut self.sessions);
        self.forgotten = forgotten.keys().copied().collect();
        for (id, session) in forgotten {
            session.conversation.dropped_copies.fetch_add(1, Ordering::Relaxed);
            self.ledger.take(SessionEvent::Closed(id), session.conversation.role);
        }
    }

    pub(super) fn close_all(&mut self, now: Stamp) {
        let open: Vec<SessionId> = self.sessions.keys().copied().collect();
        open.into_iter().for_each(|id| self.closed(id, now));
    }

    /// What is due twice a second. The news of a session's end may have been dropped; then nobody else
    /// holds the conversation any more.
    pub(super) fn tick(&mut self, now: Stamp) {
        let (timeout, ledger, enforcement) =
            (self.share_timeout, &mut self.ledger, self.enforcement.as_ref());
        let mut over = Vec::new();
        for (id, session) in &mut self.sessions {
            let role = session.conversation.role;
            session.expire(timeout, now, &mut |finding| take(finding, role, ledger, enforcement));
            if Arc::strong_count(&session.conversation) == 1 && session.order.is_empty() {
                over.push(*id);
            }
        }
        over.into_iter().for_each(|id| self.closed(id, now));
        self.bound_memory();
        self.hashed_shares.forget_older();
        let stale_job = self.settings.rules.stale_job;
        let gaps: Vec<Option<JobGap>> =
            self.sessions.values_mut().map(|session| session.job_gap(now, stale_job)).collect();
        let sessions = self.sessions.values().zip(gaps);
        let pulses: Vec<SessionSample<'_>> = sessions.map(|(session, gap)| session.pulse(now, gap)).collect();
        self.ledger.round(&pulses, now);
        for (id, session) in &mut self.sessions {
            session.accepts_unseen(self.ledger.accepts_unseen(*id));
        }
    }

    /// Holds the jobs of all sessions to their bound, and gives back the room of sessions that are gone.
    fn bound_memory(&mut self) {
        if self.job_store.is_overflowing() {
            log::warn!(
                "the pool's jobs take {} MiB of memory, which honest ones never do; all but small new ones are \
                 forgotten, so shares for them can't be judged",
                self.job_store.bytes() >> 20
            );
            self.sessions.values_mut().for_each(AnalyzedSession::forget_jobs);
        }
        self.job_store.tidy();
        if self.sessions.capacity() > SPARE_SESSIONS + 4 * self.sessions.len() {
            self.sessions.shrink_to(2 * self.sessions.len());
        }
    }

    /// What there is to see.
    pub(super) fn snapshot(&mut self, now: Stamp) -> Snapshot {
        let up_for = now.since(self.began).unwrap_or_default();
        let stale_job = self.settings.rules.stale_job;
        let mut snapshot = Snapshot::of(&mut self.ledger, &self.sessions, (up_for, stale_job), now);
        snapshot.miners.extend(self.left.iter().cloned());
        snapshot
    }
}

fn read(
    session: &mut AnalyzedSession,
    chunk: &TapBytes,
    ledger: &mut Accounting,
    enforcement: Option<&Enforcement>,
) {
    let (too_long, role) = (session.too_long(), session.conversation.role);
    session.read(chunk, &mut |finding| take(finding, role, ledger, enforcement));
    ledger.summary.too_long += session.too_long() - too_long;
}

fn take(finding: SessionEvent, role: Role, ledger: &mut Accounting, enforcement: Option<&Enforcement>) {
    let enforcement = enforcement.filter(|_| role.is_with_pool());
    if let (Some(enforcement), SessionEvent::Job(job) | SessionEvent::Rejudged(job, _)) =
        (enforcement, &finding)
    {
        enforcement.job(job);
    }
    ledger.take(finding, role);
}
