//! The pools as connecting and probing know them: which can be used, which are in use, and why others are not.

use crate::upstream::PoolStatus;

/// One pool, as connecting and probing know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolReach {
    /// Host and port.
    pub name: String,
    /// The number of pools that are preferred to it. `None` if it is not listed any more.
    pub rank: Option<usize>,
    pub status: PoolStatus,
    /// Whether it failed because it accepts miners and sends no job.
    pub gives_no_work: bool,
    /// The reason why it has failed or is blocked.
    pub reason: Option<String>,
    /// Miners work on it.
    pub is_in_use: bool,
}

/// The miners' use of a less preferred pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failover<'a> {
    /// The most preferred pool.
    pub(super) preferred: &'a PoolReach,
    /// The less preferred pool that miners work on.
    pub(super) used: &'a PoolReach,
    /// A pool before the used one can't be used now.
    pub(super) has_reason: bool,
}

impl PoolReach {
    /// Whether a miner that connects now would be connected to it. A pool without work counts, since it may have some
    /// soon.
    pub fn is_usable(&self) -> bool {
        self.rank.is_some()
            && match self.status {
                PoolStatus::Untried | PoolStatus::Up => true,
                PoolStatus::Failed => self.gives_no_work,
                PoolStatus::Blocked => false,
            }
    }

    /// Whether it counts as working, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.status, PoolStatus::Untried | PoolStatus::Up)
    }

    /// The reason why it can't be used, for people.
    pub(super) fn trouble(&self) -> &str {
        match (&self.reason, self.status) {
            (Some(reason), _) => reason,
            (None, PoolStatus::Blocked) => "it is taken out of rotation",
            (None, _) => "it has failed",
        }
    }
}

/// Returns the miners' use of a less preferred pool, if there is any. Pools that are not listed any more do not count:
/// their miners are about to move.
pub(super) fn failover(pools: &[PoolReach]) -> Option<Failover<'_>> {
    let rank = |pool: &&PoolReach| pool.rank.unwrap_or(usize::MAX);
    let listed = || pools.iter().filter(|pool| pool.rank.is_some());
    let preferred = listed().min_by_key(rank)?;
    let used = listed().filter(|pool| pool.is_in_use && pool.rank > preferred.rank).min_by_key(rank)?;
    let has_reason = listed().any(|pool| pool.rank < used.rank && !pool.is_up());
    Some(Failover { preferred, used, has_reason })
}

/// The pools that can't be used, with their reasons, as one text.
pub(super) fn troubles(pools: &[PoolReach]) -> String {
    let failed = pools.iter().filter(|pool| pool.rank.is_some() && !pool.is_usable());
    let texts: Vec<String> = failed.map(|pool| format!("{}: {}", pool.name, pool.trouble())).collect();
    texts.join("; ")
}

#[cfg(test)]
impl PoolReach {
    /// A pool of this rank.
    pub(super) fn for_tests(rank: usize, status: PoolStatus, is_in_use: bool) -> PoolReach {
        let reason = (status == PoolStatus::Failed).then(|| String::from("connection refused"));
        let name = format!("pool{rank}:3333");
        PoolReach { name, rank: Some(rank), status, gives_no_work: false, reason, is_in_use }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_less_preferred_pool_in_use_is_a_failover_with_or_without_a_reason() {
        let of = |first, uses_first, uses_second| {
            let pools = [
                PoolReach::for_tests(0, first, uses_first),
                PoolReach::for_tests(1, PoolStatus::Up, uses_second),
            ];
            failover(&pools).map(|found| (found.used.name.clone(), found.has_reason))
        };
        let second = String::from("pool1:3333");
        assert_eq!(of(PoolStatus::Up, true, false), None);
        assert_eq!(of(PoolStatus::Failed, false, false), None);
        assert_eq!(of(PoolStatus::Failed, false, true), Some((second.clone(), true)));
        assert_eq!(of(PoolStatus::Blocked, false, true), Some((second.clone(), true)));
        assert_eq!(of(PoolStatus::Up, true, true), Some((second, false)));
    }

    #[test]
    fn a_pool_that_is_not_listed_any_more_is_neither_used_nor_preferred() {
        let gone = PoolReach { rank: None, ..PoolReach::for_tests(0, PoolStatus::Up, true) };
        assert!(!gone.is_usable());
        let listed = PoolReach::for_tests(0, PoolStatus::Up, false);
        assert_eq!(failover(&[gone, listed]), None);
        assert_eq!(failover(&[]), None);
    }

    #[test]
    fn the_reasons_of_failed_pools_are_listed() {
        let pools = [
            PoolReach::for_tests(0, PoolStatus::Failed, false),
            PoolReach::for_tests(1, PoolStatus::Blocked, false),
            PoolReach::for_tests(2, PoolStatus::Up, true),
        ];
        let text = "pool0:3333: connection refused; pool1:3333: it is taken out of rotation";
        assert_eq!(troubles(&pools), text);
    }
}
