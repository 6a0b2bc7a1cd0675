//! Follows conversations whose copies come in order, and feeds the accounting. It takes the time from its caller,
//! so that tests can let a day pass in a second.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::accounting::Accounting;
use super::rules::SessionSample;
use super::session::{AnalyzedSession, SharedState};
use super::session_event::SessionEvent;
use super::session_map::SessionMap;
use super::setup::Setup;
use super::snapshot::{MinerView, Snapshot};
use super::verdicts::Expectations;
use super::{ExternalUpdate, ReloadedPolicy};
use crate::config::RulesConfig;
use crate::net::Stamp;
use crate::stratum::Difficulty;
use crate::tap::{Conversation, Role, SessionId, TapBytes};

/// Capacity for this many more sessions is not worth giving back.
const MAX_SPARE_SESSIONS: usize = 64;

/// The capacity for events that is kept between two copies. A flood must not leave a large vector behind.
const MAX_KEPT_EVENTS: usize = 256;

/// All sessions, and the accounting that outlives them.
pub(super) struct SessionTracker {
    pub(super) accounting: Accounting,
    expectations: Expectations,
    sessions: SessionMap,
    /// An empty vector for the events of the session that is being read.
    events: Vec<SessionEvent>,
    pub(super) shared: Arc<SharedState>,
    /// Sessions that were forgotten by [`SessionTracker::forget_sessions`] and have not spoken since.
    forgotten: HashSet<SessionId>,
    share_timeout: Duration,
    /// The least difficulty of a share that ends a doubt.
    least_proof: Difficulty,
    /// The policy that the present rules were made from.
    policy: RulesConfig,
    started: Stamp,
    /// The program is ending: [`SessionTracker::ended_miners`] is kept.
    pub(super) is_ending: bool,
    /// The last state of miners whose sessions have ended since. Bounded by the number of connections: no more are
    /// accepted.
    ended_miners: Vec<MinerView>,
}

impl SessionTracker {
    pub(super) fn new(setup: Setup, now: Stamp) -> SessionTracker {
        SessionTracker {
            expectations: setup.expectations.clone(),
            sessions: SessionMap::default(),
            events: Vec::new(),
            shared: Arc::default(),
            forgotten: HashSet::new(),
            share_timeout: setup.analysis.share_timeout,
            least_proof: setup.least_proof,
            policy: setup.rules.clone(),
            started: now,
            is_ending: false,
            ended_miners: Vec::new(),
            accounting: Accounting::new(setup, now),
        }
    }

    /// The session of this conversation. It is created if it is new.
    pub(super) fn session(&mut self, conversation: &Arc<Conversation>) -> &mut AnalyzedSession {
        let (expectations, shared) = (&self.expectations, &self.shared);
        let opened = conversation.opened.shifted(self.accounting.skew.saturating_neg());
        let least_proof = self.least_proof;
        let was_forgotten = !self.forgotten.is_empty() && self.forgotten.remove(&conversation.id);
        let new = || {
            let mut session =
                AnalyzedSession::new(conversation.clone(), opened, expectations.clone(), shared.clone());
            session.set_proof_difficulty(least_proof);
            if was_forgotten {
                session.resume(opened);
            }
            Box::new(session)
        };
        self.sessions.entry(conversation.id).or_insert_with(new)
    }

    /// Reads the oldest chunk in the session's reorder buffer, and returns its length in bytes.
    pub(super) fn read_held(&mut self, id: SessionId) -> usize {
        let Some(session) = self.sessions.get_mut(&id) else { return 0 };
        let Some(chunk) = session.order.pop() else { return 0 };
        read(session, &chunk, &mut self.events, &mut self.accounting);
        chunk.bytes.len()
    }

    /// Returns whether bytes of this session may have been sent whose copy is not in the queue yet.
    pub(super) fn is_sending(&self, id: SessionId) -> bool {
        self.sessions.get(&id).is_some_and(|session| {
            let conversation = &session.conversation;
            conversation.up.is_sending() || conversation.down.is_sending()
        })
    }

    pub(super) fn role(&self, id: SessionId) -> Option<Role> {
        self.sessions.get(&id).map(|session| session.conversation.role)
    }

    /// Reads a chunk that need not be put in order.
    pub(super) fn read(&mut self, conversation: &Arc<Conversation>, chunk: &TapBytes) {
        self.session(conversation);
        if let Some(session) = self.sessions.get_mut(&conversation.id) {
            read(session, chunk, &mut self.events, &mut self.accounting);
        }
    }

    /// Takes an update from outside the conversations.
    pub(super) fn external_update(&mut self, update: &ExternalUpdate) {
        match update {
            ExternalUpdate::Policy(policy) => self.set_policy(policy),
            ExternalUpdate::Tip(_)
            | ExternalUpdate::PoolStats(_)
            | ExternalUpdate::Device(_)
            | ExternalUpdate::Pools(_)
            | ExternalUpdate::NameWorker { .. }
            | ExternalUpdate::ForgetWorker(_)
            | ExternalUpdate::Reloaded(_) => self.accounting.external_update(update),
        }
    }

    fn set_policy(&mut self, policy: &ReloadedPolicy) {
        self.expectations = policy.expectations.clone();
        for session in self.sessions.values_mut() {
            session.set_expectations(&policy.expectations);
        }
        if let Some(enforcement) = &mut self.accounting.enforcement {
            (enforcement.on_mismatch, enforcement.on_wrong) = (policy.on_mismatch, policy.on_wrong);
        }
        self.accounting.alerts.disable(&policy.rules.off);
        self.accounting.rules.address_typo.set_expected(policy.expectations.chains());
        // Rules whose settings stay the same keep their history.
        if self.policy != (RulesConfig { off: self.policy.off.clone(), ..policy.rules.clone() }) {
            self.accounting.rules.set_thresholds(&policy.rules);
        }
        self.policy = policy.rules.clone();
    }

    /// Follows a change of the system's clock. `skew` is the sum of all changes since the start, in nanoseconds.
    /// Rules that compare times start over.
    pub(super) fn clock_was_set(&mut self, skew: i64) {
        self.accounting.clock_was_set(skew, &self.policy);
    }

    /// Marks the miner's bytes as fully read: the proxy has stopped reading them, and all copies are followed.
    pub(super) fn miner_paused(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get(&id) {
            session.conversation.fully_read.store(true, Ordering::Release);
        }
    }

    pub(super) fn close(&mut self, id: SessionId, now: Stamp) {
        self.forgotten.remove(&id);
        let Some(mut session) = self.sessions.remove(&id) else { return };
        let role = session.conversation.role;
        session.close(now);
        take_events(&mut session, &mut self.accounting);
        if self.is_ending && role.is_with_miner() {
            self.ended_miners.push(MinerView::of(
                &session,
                &self.accounting,
                &self.sessions,
                (now, self.policy.stale_job),
            ));
        }
    }

    /// The bytes of all copies that wait in reorder buffers.
    pub(super) fn held_bytes(&self) -> usize {
        self.sessions.values().map(|session| session.order.bytes()).sum()
    }

    /// Stops following a session for good.
    pub(super) fn forget(&mut self, id: SessionId) -> Option<Arc<Conversation>> {
        let mut session = self.sessions.remove(&id)?;
        session.events.push(SessionEvent::Closed(id));
        take_events(&mut session, &mut self.accounting);
        Some(session.conversation.clone())
    }

    /// Forgets all sessions. Each is followed again from its next bytes on.
    pub(super) fn forget_sessions(&mut self) {
        let forgotten = std::mem::take(&mut self.sessions);
        self.forgotten = forgotten.keys().copied().collect();
        for (id, session) in forgotten {
            session.conversation.dropped_copies.fetch_add(1, Ordering::Relaxed);
            self.accounting.take(SessionEvent::Closed(id), session.conversation.role);
        }
    }

    pub(super) fn close_all(&mut self, now: Stamp) {
        let open: Vec<SessionId> = self.sessions.keys().copied().collect();
        open.into_iter().for_each(|id| self.close(id, now));
    }

    pub(super) fn session_count(&self) -> u32 {
        u32::try_from(self.sessions.len()).unwrap_or(u32::MAX)
    }

    /// Does what is due at a tick. If the message of a session's end was dropped, the session ends here: the
    /// analyzer is then the last to hold the conversation.
    pub(super) fn tick(&mut self, now: Stamp) {
        let mut over = Vec::new();
        for (id, session) in &mut self.sessions {
            session.expire(self.share_timeout, now);
            take_events(session, &mut self.accounting);
            if Arc::strong_count(&session.conversation) == 1 && session.order.is_empty() {
                over.push(*id);
            }
        }
        over.into_iter().for_each(|id| self.close(id, now));
        self.bound_memory();
        self.shared.known_hashes.drop_older();
        let stale_job = self.policy.stale_job;
        let sessions = self.sessions.values_mut();
        let samples: Vec<SessionSample<'_>> = sessions
            .map(|session| {
                let gap = session.work.gap(now, stale_job);
                session.sample(now, gap)
            })
            .collect();
        self.accounting.tick(&samples, now);
        for (id, session) in &mut self.sessions {
            session.work.accepts_unseen = self.accounting.rules.unreadable_job.accepts_unseen(*id);
        }
    }

    /// Bounds the memory for the jobs of all sessions, and gives back the room of ended sessions.
    fn bound_memory(&mut self) {
        if self.shared.job_store.is_overflowing() {
            log::warn!(
                "the pool's jobs take {} MiB of memory, far more than honest pools' do; Sluice forgets all of them but \
                 each session's newest small one, so it cannot judge late shares for the others",
                self.shared.job_store.bytes() >> 20
            );
            self.sessions.values_mut().for_each(|session| session.forget_jobs());
        }
        self.shared.job_store.remove_dead_entries();
        if self.sessions.capacity() > MAX_SPARE_SESSIONS + 4 * self.sessions.len() {
            self.sessions.shrink_to(2 * self.sessions.len());
        }
    }

    /// Everything that is shown, as of `now`.
    pub(super) fn snapshot(&mut self, now: Stamp) -> Snapshot {
        let up_for = now.since(self.started).unwrap_or_default();
        let stale_job = self.policy.stale_job;
        let mut snapshot = Snapshot::of(&mut self.accounting, &self.sessions, (up_for, stale_job), now);
        snapshot.miners.extend(self.ended_miners.iter().cloned());
        snapshot
    }
}

/// Reads a chunk. The events go through `events`, which is empty before and after.
fn read(
    session: &mut AnalyzedSession,
    chunk: &TapBytes,
    events: &mut Vec<SessionEvent>,
    accounting: &mut Accounting,
) {
    let too_long = session.too_long();
    if session.events.is_empty() {
        session.events = std::mem::take(events);
    }
    session.read(chunk);
    accounting.summary.too_long += session.too_long() - too_long;
    let mut found = std::mem::take(&mut session.events);
    for event in found.drain(..) {
        accounting.take(event, session.conversation.role);
    }
    if found.capacity() <= MAX_KEPT_EVENTS {
        *events = found;
    }
}

/// Hands the session's new events to the accounting.
fn take_events(session: &mut AnalyzedSession, accounting: &mut Accounting) {
    for event in std::mem::take(&mut session.events) {
        accounting.take(event, session.conversation.role);
    }
}
