//! One verdict out of those of several pools, for displays that show only one.

use std::cmp::Reverse;

use crate::analyzer::{PayoutState, PayoutVerdict, PoolView, Snapshot};

/// The pool with the worst payout among those in use. Without miners, the pool of the newest job.
pub fn payout(snapshot: &Snapshot) -> Option<&PoolView> {
    worst(snapshot, |pool| Some(pool.payout.as_ref()?.state))
}

/// The pool with the worst chain verdict among those in use. Without miners, the pool of the newest job.
pub fn chain(snapshot: &Snapshot) -> Option<&PoolView> {
    worst(snapshot, |pool| Some(pool.chain.as_ref()?.state))
}

/// The part of a block that the expected address gets, in percent. `None` if it can't be verified.
pub fn percent(verdict: &PayoutVerdict) -> Option<f64> {
    (!matches!(verdict.state, PayoutState::Unverifiable(_))).then_some(verdict.percent)
}

/// Ranks pools in use above others. Pools in use rank by the severity of their verdict, others by the
/// age of their newest job. Between equals the more preferred pool wins.
fn worst<State: Ord>(snapshot: &Snapshot, state: impl Fn(&PoolView) -> Option<State>) -> Option<&PoolView> {
    let judged = snapshot.pools.iter().filter(|pool| state(pool).is_some());
    judged.max_by_key(|pool| {
        let (is_used, newest) = (pool.miners > 0, pool.job.as_ref().map(|job| job.at));
        (is_used, state(pool).filter(|_| is_used), newest.filter(|_| !is_used), Reverse(pool.place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::Latency;
    use crate::work::Sats;

    fn pool(place: usize, miners: usize, state: PayoutState) -> PoolView {
        PoolView {
            place,
            name: String::new(),
            miners,
            accepted: 0,
            rejected: 0,
            unanswered: 0,
            unknown: 0,
            answers: Latency::default(),
            newest_answers: Default::default(),
            last_answer: None,
            job: None,
            newest_block: None,
            new_block: None,
            payout: Some(PayoutVerdict {
                state,
                expected: None,
                percent: 0.0,
                total: Sats(1),
                reward: Sats(1),
            }),
            outputs: [].into(),
            chain: None,
        }
    }

    fn place(pools: Vec<PoolView>) -> Option<usize> {
        payout(&Snapshot { pools, ..Snapshot::default() }).map(|pool| pool.place)
    }

    #[test]
    fn the_worst_in_use_counts() {
        let (good, bad) = (PayoutState::Verified, PayoutState::Mismatch);
        assert_eq!(place(vec![pool(0, 5, good), pool(1, 1, bad), pool(2, 1, good)]), Some(1));
        assert_eq!(place(vec![pool(0, 5, good), pool(1, 0, bad)]), Some(0));
        assert_eq!(place(vec![pool(0, 0, good), pool(1, 0, bad)]), Some(0));
        assert_eq!(place(vec![pool(0, 1, bad), pool(1, 1, bad)]), Some(0));
        assert_eq!(place(vec![]), None);
    }
}
