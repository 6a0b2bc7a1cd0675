//! Whether the miners have work at this moment. Every figure and every mark that speaks of now depends on it.

use std::time::Duration;

use crate::analyzer::{ChainVerdict, PoolView, WorkDoubt};
use crate::record::{ShareOutcome, ShareRow};
use crate::status::snapshot::StatusSnapshot;
use crate::upstream::{PoolStatus, UpstreamState};

/// Older answers say nothing about now; nor do older shares, unless the miners are slow.
pub(super) const RECENT: Duration = Duration::from_secs(600);
/// A miner is unlikely to need so many times its mean time for a share: 1 in 150 (e^-5).
const UNLIKELY_GAP: u32 = 5;
/// Beyond this, even a slow miner's last share says nothing about now.
const MAX_SHARE_AGE: Duration = Duration::from_secs(24 * 3600);

/// The number of newest shares of which one must be accepted, and the least number that a statement needs.
const REJECTED_OF: usize = 20;
const REJECTED_LEAST: usize = 3;

/// The state of mining as a whole, from worst to best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// No pool can be used, and none is.
    NoPool,
    /// No miner is connected.
    NoMiner,
    /// Miners are connected, and their pools have not sent a job yet.
    NoWork,
    /// No job has come for longer than usual.
    OldWork,
    /// The miners' work is as new as it should be, as far as Sluice reads it.
    Working,
}

impl Activity {
    pub(super) fn of(status: &StatusSnapshot) -> Activity {
        let is_used = || {
            status.runtime.upstreams.iter().enumerate().any(|(place, one)| is_still_used(status, place, one))
        };
        if status.runtime.listed().iter().all(|(_, one)| !is_up(one)) && !is_used() {
            return Activity::NoPool;
        }
        if status.runtime.sessions == 0 {
            return Activity::NoMiner;
        }
        if !status.program.config.analysis.enabled {
            return Activity::Working;
        }
        let used = || status.snapshot.pools.iter().filter(|pool| pool.miners > 0);
        let with_jobs = || used().filter(|pool| pool.job.is_some());
        match (with_jobs().next(), with_jobs().all(is_work_old)) {
            (None, _) => Activity::NoWork,
            (Some(_), true) => Activity::OldWork,
            (Some(_), false) => Activity::Working,
        }
    }

    /// Whether a connected miner has a job. Otherwise the verdicts are about the last job of a pool that was left.
    pub(super) fn has_job(self) -> bool {
        matches!(self, Activity::OldWork | Activity::Working)
    }
}

/// Whether a miner that connects now would get this pool, as far as is known.
pub(super) fn is_up(state: &UpstreamState) -> bool {
    !matches!(state.standing, PoolStatus::Failed | PoolStatus::Blocked)
}

/// Whether miners work with this pool now. One that could not be reached once counts as failed, and the sessions that it
/// has go on.
pub(super) fn is_still_used(status: &StatusSnapshot, place: usize, state: &UpstreamState) -> bool {
    if state.sessions == 0 || state.gives_no_work || state.standing == PoolStatus::Blocked {
        return false;
    }
    let job = status.pool(place).and_then(|pool| pool.job.as_ref()).map(|job| status.age_of(job.at));
    let limit = status.program.config.failover.silence_timeout;
    state.heard_ago.or(job).is_some_and(|ago| ago < limit)
}

/// Whether the pool has sent no job for longer than its job interval allows.
pub(super) fn is_work_old(pool: &PoolView) -> bool {
    let doubt = |chain: &ChainVerdict| chain.doubt == Some(WorkDoubt::Old);
    pool.chain.as_ref().is_some_and(doubt)
}

/// The time since the newest share of any miner.
pub(super) fn last_share(status: &StatusSnapshot) -> Option<Duration> {
    let connected = status.snapshot.miners.iter().filter_map(|miner| miner.last_share_ago).min();
    let judged = status.snapshot.recent.shares.first().map(|share| status.age_of(share.at));
    connected.into_iter().chain(judged).min()
}

/// The age from which on a share says nothing about now: longer for miners that find few.
pub(super) fn max_share_age(status: &StatusSnapshot) -> Duration {
    let newest: Vec<Duration> =
        status.snapshot.recent.shares.iter().take(REJECTED_OF).map(|share| status.age_of(share.at)).collect();
    let mean = match newest.as_slice() {
        [first, .., last] if newest.len() >= REJECTED_LEAST => {
            last.saturating_sub(*first) / u32::try_from(newest.len() - 1).unwrap_or(u32::MAX)
        }
        _ => Duration::ZERO,
    };
    (mean * UNLIKELY_GAP).clamp(RECENT, MAX_SHARE_AGE)
}

/// The newest rejected share, if none of the newest shares is accepted.
pub(super) fn rejected_only(status: &StatusSnapshot) -> Option<&ShareRow> {
    let is_judged = |share: &&ShareRow| share.outcome != ShareOutcome::Unknown;
    let recent = status.snapshot.recent.shares.iter().map(AsRef::as_ref);
    let limit = max_share_age(status);
    let newest: Vec<&ShareRow> = recent
        .take_while(|share| status.age_of(share.at) < limit)
        .filter(is_judged)
        .take(REJECTED_OF)
        .collect();
    let is_all =
        newest.len() >= REJECTED_LEAST && newest.iter().all(|share| share.outcome != ShareOutcome::Accepted);
    let is_rejected = |share: &&ShareRow| matches!(share.outcome, ShareOutcome::Rejected { .. });
    newest.iter().copied().find(is_rejected).filter(|_| is_all)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::NtpTime;
    use crate::status::page::tests::{change, mining, pool, share, status, upstream};

    #[test]
    fn no_pool_comes_before_no_miner() {
        let mut now = status();
        now.runtime.upstreams = vec![upstream(PoolStatus::Failed), upstream(PoolStatus::Blocked)];
        now.runtime.upstreams[1].rank = Some(1);
        assert_eq!(Activity::of(&now), Activity::NoPool);
        now.runtime.upstreams[1].standing = PoolStatus::Untried;
        assert_eq!(Activity::of(&now), Activity::NoMiner);
    }

    #[test]
    fn a_failed_pool_whose_sessions_go_on_is_a_pool() {
        let mut now = mining();
        let limit = now.program.config.failover.silence_timeout;
        now.runtime.upstreams = vec![UpstreamState { sessions: 1, ..upstream(PoolStatus::Failed) }];
        assert_eq!(Activity::of(&now), Activity::Working, "its job is new");
        now.runtime.upstreams[0].heard_ago = Some(limit);
        assert_eq!(Activity::of(&now), Activity::NoPool, "it is silent");
        now.runtime.upstreams[0].heard_ago = Some(limit / 2);
        assert_eq!(Activity::of(&now), Activity::Working);
        now.runtime.upstreams[0].gives_no_work = true;
        assert_eq!(Activity::of(&now), Activity::NoPool, "it gives no work");
        now.runtime.upstreams[0].gives_no_work = false;
        now.runtime.upstreams[0].standing = PoolStatus::Blocked;
        assert_eq!(Activity::of(&now), Activity::NoPool, "a person must clear it");
        now.runtime.upstreams[0] = upstream(PoolStatus::Failed);
        assert_eq!(Activity::of(&now), Activity::NoPool, "nobody has a session");
    }

    #[test]
    fn miners_without_a_job_or_with_an_old_one_are_not_working() {
        let mut now = status();
        now.runtime.sessions = 1;
        assert_eq!(Activity::of(&now), Activity::NoWork);
        change(&mut now, |snapshot| snapshot.pools = vec![pool()]);
        assert_eq!(Activity::of(&now), Activity::Working);
        change(&mut now, |snapshot| {
            snapshot.pools[0].chain.as_mut().unwrap().doubt = Some(WorkDoubt::Old);
        });
        assert_eq!(Activity::of(&now), Activity::OldWork);
    }

    #[test]
    fn a_share_of_miners_that_find_few_counts_for_longer() {
        let mut now = status();
        let minutes_ago = |now: &StatusSnapshot, minutes: i64| {
            let before = jiff::SignedDuration::from_mins(minutes);
            Arc::new(ShareRow {
                at: NtpTime::from_timestamp(now.at.timestamp() - before),
                ..share(now, ShareOutcome::Accepted)
            })
        };
        let mut limit = |minutes: &[i64]| {
            let shares = minutes.iter().map(|minutes| minutes_ago(&now, *minutes)).collect();
            change(&mut now, |snapshot| snapshot.recent.shares = shares);
            max_share_age(&now)
        };
        assert_eq!(limit(&[0, 1, 2, 3]), RECENT);
        assert_eq!(limit(&[20, 45]), RECENT, "two shares show no rate");
        assert_eq!(limit(&[20, 35, 50, 65]), Duration::from_secs(75 * 60));
        assert_eq!(limit(&[0, 10_000, 20_000]), MAX_SHARE_AGE);
    }

    #[test]
    fn rejects_alone_are_noticed_after_three() {
        let mut now = status();
        let rejected = ShareOutcome::Rejected { code: None, reason: Some(String::from("bad")) };
        let mut shares = vec![share(&now, rejected.clone()); 2];
        let shown = |shares: &[ShareRow], now: &mut StatusSnapshot| {
            let rows = shares.iter().cloned().map(Arc::new).collect();
            change(now, |snapshot| snapshot.recent.shares = rows);
            rejected_only(now).is_some()
        };
        assert!(!shown(&shares, &mut now), "two may be chance");
        shares.push(share(&now, rejected));
        assert!(shown(&shares, &mut now));
        shares.push(share(&now, ShareOutcome::Accepted));
        assert!(!shown(&shares, &mut now));
    }
}
