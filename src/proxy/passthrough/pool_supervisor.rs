//! Checks that the pools that sessions are on accept miners, give work and answer. If a pool does not, new
//! sessions go to the next one, and the sessions that are stuck are closed one by one, so that their miners
//! reconnect to it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::PassthroughServices;
use super::session::PassthroughSession;
use super::turned_away::{NextStep, TurnedAway, TurnedAwayCount};
use crate::proxy::LogTopic;
use crate::tap::WorkOwed;
use crate::upstream::{PoolFailure, UpstreamId};
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise::{self, service};

/// The thread's heartbeat is later than this only if something holds it.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// The time between two checks of the pools.
const POOL_CHECK: Duration = Duration::from_millis(500);
/// The time between two sessions that are closed: the next pool should not be met by a wave, and a miner
/// without work should not wait long.
const CLOSE_GAP: Duration = Duration::from_millis(50);
/// The time between a pool's failure and the first closed session. The analyzer, which checks twice a second,
/// reports the reason first.
const CLOSE_DELAY: Duration = Duration::from_secs(1);
/// A pool that owes answers for this many times `failover.answer_timeout`, which is 20 s by default, and
/// sends nothing to any miner meanwhile, is probed. Answers take 30 to 100 ms (wire reference, section 2.3);
/// a pool or a router that restarts may need some seconds.
const MAX_UNANSWERED_TIMEOUTS: u32 = 4;
/// A session that gets nothing for this long from a pool that fails its probes is dead, though the socket
/// does not show it: pools send a job every 30 to 60 s (wire reference, section 2.9). Where a longer silence
/// is configured, it takes half of that.
const MAX_SILENCE: Duration = Duration::from_secs(70);
/// Without analysis it is not known whether the pool has accepted a login. A probe can see that, so it is
/// made early.
const MAX_UNSEEN_LOGIN: Duration = Duration::from_secs(10);
/// The shortest time between two suspicions of one pool that a probe did not confirm.
const SUSPICION_INTERVAL: Duration = Duration::from_secs(60);

/// The age at which an ended session is evaluated: the analyzer reads what was forwarded within some 30 ms.
const ANALYZER_DELAY: Duration = Duration::from_millis(250);

/// The failure of a pool that rejects miners, as it is logged.
const REFUSES: &str = "it refuses every miner";
const ENDS_EARLY: &str = "it closes connections before it sends a job";

/// Caps the logins of miners without work that probes get, the oldest miners' first.
const MAX_PROBE_LOGINS: usize = 4;

/// Starts the thread.
pub(super) fn start(services: &Arc<PassthroughServices>, stop: &Stop) -> io::Result<()> {
    let (services, stop) = (services.clone(), stop.clone());
    service("pool-supervisor").beats_within(STUCK_AFTER).start(move || {
        let mut supervisor =
            PoolSupervisor { services: &services, pools: BTreeMap::new(), checked_at: Instant::now() };
        let round = POOL_CHECK.min(services.config.failover.first_job_timeout / 4);
        while stop.sleep(round).is_ok() && supervisor.check(&stop).is_ok() {
            supervise::beat();
            services.listener_context.log_left_out();
        }
    })?;
    Ok(())
}

struct PoolSupervisor<'a> {
    services: &'a PassthroughServices,
    pools: BTreeMap<UpstreamId, WatchedPool>,
    checked_at: Instant,
}

/// The state of one pool.
#[derive(Debug, Default)]
struct WatchedPool {
    owed: WorkOwed,
    turned_away: TurnedAwayCount,
    suspected_at: Option<Instant>,
    /// Since when it counts as failed.
    failed_since: Option<Instant>,
}

impl PoolSupervisor<'_> {
    fn check(&mut self, stop: &Stop) -> Result<(), Stopped> {
        let elapsed = std::mem::replace(&mut self.checked_at, Instant::now()).elapsed();
        let mut by_pool: BTreeMap<UpstreamId, Vec<Arc<PassthroughSession>>> = BTreeMap::new();
        for session in self.services.registry.all() {
            if let Some(index) = session.conversation.upstream().filter(|_| !session.is_closing()) {
                by_pool.entry(UpstreamId(index)).or_default().push(session);
            }
        }
        for (id, pool) in &mut self.pools {
            if !by_pool.contains_key(id) {
                let limit = self.services.config.failover.first_job_timeout;
                pool.owed.pass(elapsed, limit, false, false);
            }
        }
        let mut ended: BTreeMap<UpstreamId, Vec<Arc<PassthroughSession>>> = BTreeMap::new();
        let read_by_now = Instant::now().checked_sub(ANALYZER_DELAY);
        for session in read_by_now.map(|until| self.services.unserved.take(until)).unwrap_or_default() {
            if let Some(index) = session.conversation.upstream().filter(|_| !session.is_closing()) {
                ended.entry(UpstreamId(index)).or_default().push(session);
                by_pool.entry(UpstreamId(index)).or_default();
            }
        }
        for (id, sessions) in &by_pool {
            self.check_refusals(*id, sessions, ended.get(id).map_or(&[], Vec::as_slice));
            self.check_work(*id, sessions, elapsed);
            self.check_answers(*id, sessions);
        }
        for (id, sessions) in &by_pool {
            self.close_stuck(*id, sessions, stop)?;
        }
        Ok(())
    }

    /// Notices a pool that rejects every miner, or ends their sessions before they have work. If others are
    /// served, the miner is at fault. `ended` are sessions that ended without work.
    fn check_refusals(
        &mut self,
        id: UpstreamId,
        sessions: &[Arc<PassthroughSession>],
        ended: &[Arc<PassthroughSession>],
    ) {
        let PassthroughServices { upstreams, config, .. } = self.services;
        let (limit, is_analyzed) = (config.failover.first_job_timeout, config.analysis.enabled);
        let pool = self.pools.entry(id).or_default();
        if sessions.iter().chain(ended).any(|session| session.is_served()) {
            pool.turned_away = TurnedAwayCount::default();
            return;
        }
        let refused = |session: &Arc<PassthroughSession>| session.refused_ago().map(|_| TurnedAway::Refused);
        let ended_early = |session: &Arc<PassthroughSession>| {
            // Without analysis it is not known why a miner left that had logged in and got no job.
            let is_early = session.is_ended_by_pool() || (!is_analyzed && session.waits_for_work());
            is_early.then_some(TurnedAway::EndedEarly)
        };
        let live = sessions.iter().map(|session| (session, refused(session)));
        let ended = ended.iter().map(|session| (session, refused(session).or_else(|| ended_early(session))));
        for (session, how) in live.chain(ended) {
            let Some(how) = how else { continue };
            if !session.turned_away_noted.swap(true, Ordering::Relaxed) {
                pool.turned_away.note(how, Instant::now());
                session.conversation.login().into_iter().for_each(|login| upstreams.note_login(id, login));
            }
        }
        let is_waiting = sessions
            .iter()
            .any(|session| session.has_miner() && session.refused_ago().is_some_and(|age| age >= limit));
        let next = pool.turned_away.next(is_waiting);
        if next == NextStep::Nothing || !upstreams.is_up(id) {
            return;
        }
        pool.turned_away = TurnedAwayCount::default();
        match next {
            NextStep::Leave => upstreams.mark_failed(id, PoolFailure::TurnsMinersAway(REFUSES.to_owned())),
            _ => upstreams.suspect(id, PoolFailure::TurnsMinersAway(ENDS_EARLY.to_owned())),
        }
    }

    fn check_work(&mut self, id: UpstreamId, sessions: &[Arc<PassthroughSession>], elapsed: Duration) {
        let PassthroughServices { upstreams, config, .. } = self.services;
        let (limit, is_analyzed) = (config.failover.first_job_timeout, config.analysis.enabled);
        for session in sessions.iter().filter(|session| session.is_served()) {
            if !session.work_noted.swap(true, Ordering::Relaxed) {
                let login = session.conversation.login();
                login.iter().for_each(|login| upstreams.offer_login(id, login));
                upstreams.gave_work(id, login);
            }
        }
        let waits = |session: &&Arc<PassthroughSession>| {
            session.waits_for_work() && (!is_analyzed || session.is_seen())
        };
        let waiting: Vec<_> = sessions.iter().filter(waits).collect();
        let got_job = |session: &Arc<PassthroughSession>| {
            session.conversation.clock.job_ago().is_some_and(|age| age <= elapsed)
        };
        let pool = self.pools.entry(id).or_default();
        if upstreams.is_up(id) && pool.failed_since.take().is_some() {
            // A probe has seen work. Earlier waiting does not count any more.
            pool.owed = WorkOwed::default();
        }
        let waited = pool.owed.pass(elapsed, limit, !waiting.is_empty(), sessions.iter().any(got_job));
        let Some(oldest) = waiting.first() else { return };
        let may_suspect = pool.suspected_at.is_none_or(|at| at.elapsed() >= SUSPICION_INTERVAL.max(limit));
        let own_wait = oldest.conversation.clock.accepted_ago().unwrap_or_default();
        let failure = PoolFailure::NoWork(limit);
        let serves_others = sessions.iter().any(|session| session.is_served());
        let note_logins = || {
            // The oldest miner's login is noted last, and tried first.
            for session in waiting.iter().take(MAX_PROBE_LOGINS).rev() {
                session.conversation.login().into_iter().for_each(|login| upstreams.note_login(id, login));
            }
        };
        if is_analyzed && waited >= limit && !serves_others {
            note_logins();
            upstreams.mark_failed(id, failure);
        } else if may_suspect
            && (own_wait >= limit || (!is_analyzed && waited >= MAX_UNSEEN_LOGIN.min(limit)))
        {
            // Others get work, or it is not known whether work was owed.
            pool.suspected_at = Some(Instant::now());
            note_logins();
            // Without analysis it is not known whether the pool has accepted anyone.
            let is_unseen = !is_analyzed && !serves_others;
            upstreams.suspect(
                id,
                if is_unseen { PoolFailure::TurnsMinersAway(REFUSES.to_owned()) } else { failure },
            );
        }
    }

    /// Notices a pool that answers no miner any more. It may be unreachable, which no socket shows for a while.
    fn check_answers(&mut self, id: UpstreamId, sessions: &[Arc<PassthroughSession>]) {
        let limit = self.unanswered_limit();
        let is_answering = |session: &Arc<PassthroughSession>| {
            session.conversation.down.silent_for().is_some_and(|silence| silence < limit)
        };
        let Some(pool) = self.pools.get_mut(&id) else { return };
        let may_suspect = pool.suspected_at.is_none_or(|at| at.elapsed() >= SUSPICION_INTERVAL);
        let stuck = sessions.iter().filter_map(|session| session.unanswered_for()).max();
        if let Some(silence) = stuck.filter(|time| may_suspect && *time >= limit) {
            if !sessions.iter().any(is_answering) {
                pool.suspected_at = Some(Instant::now());
                self.services.upstreams.suspect(id, PoolFailure::Silent(silence));
            }
        }
    }

    /// The time that a pool may owe the answer to a share.
    fn unanswered_limit(&self) -> Duration {
        self.services.config.failover.answer_timeout * MAX_UNANSWERED_TIMEOUTS
    }

    /// Closes the sessions of a failed pool that are stuck there, if another pool can take them.
    fn close_stuck(
        &mut self,
        id: UpstreamId,
        sessions: &[Arc<PassthroughSession>],
        stop: &Stop,
    ) -> Result<(), Stopped> {
        let PassthroughServices { upstreams, config, listener_context, .. } = self.services;
        let unanswered = self.unanswered_limit();
        let pool = self.pools.entry(id).or_default();
        if upstreams.is_up(id) {
            return Ok(());
        }
        let since = *pool.failed_since.get_or_insert_with(Instant::now);
        if since.elapsed() < CLOSE_DELAY {
            return Ok(());
        }
        let is_without_work = upstreams.gives_no_work(id);
        let is_refused = |session: &PassthroughSession| session.refused_ago().is_some();
        let silence_timeout = config.failover.silence_timeout;
        let dead_silence = dead_silence(silence_timeout);
        for session in sessions {
            let conversation = &session.conversation;
            let has_old_job = conversation.clock.job_ago().is_some_and(|age| age >= silence_timeout);
            let is_idle = match config.analysis.enabled {
                true => session.is_seen() && (session.waits_for_work() || is_refused(session) || has_old_job),
                false => session.waits_for_work(),
            };
            let why = if is_without_work && is_refused(session) {
                "refuses the miner"
            } else if is_without_work && is_idle {
                "gives no work"
            } else if session.unanswered_for().is_some_and(|time| time >= unanswered)
                || conversation.down.silent_for().is_some_and(|time| time >= dead_silence)
            {
                "does not answer"
            } else {
                continue;
            };
            if !upstreams.has_alternative(id) {
                return Ok(());
            }
            let name = upstreams.name(id);
            let text = format!("closed: pool {id} {name} {why}; the miner can reconnect to another pool");
            listener_context.log_peer(conversation.miner(), LogTopic::Pool, &text);
            session.close();
            supervise::beat();
            stop.sleep(CLOSE_GAP)?;
        }
        Ok(())
    }
}

fn dead_silence(silence_timeout: Duration) -> Duration {
    MAX_SILENCE.max(silence_timeout / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_silence_timeout_allows_longer_silence() {
        let second = Duration::from_secs(1);
        for (silence_timeout, dead) in [(10, 70), (140, 70), (180, 90), (3600, 1800)] {
            assert_eq!(dead_silence(silence_timeout * second), dead * second);
        }
    }
}
