//! One verdict out of those of several pools, for displays that show only one.

use std::cmp::Reverse;

use crate::analyzer::{ChainVerdict, PayoutState, PayoutVerdict, PoolView, Snapshot};

/// The worst payout among the pools in use. Without miners, the payout of the newest job.
pub fn payout(snapshot: &Snapshot) -> Option<(&PoolView, &PayoutVerdict)> {
    let verdicts = snapshot.pools.iter().filter_map(|pool| Some((pool, pool.payout.as_ref()?)));
    verdicts.max_by_key(|(pool, verdict)| weight(pool, verdict.state))
}

/// The worst chain verdict among the pools in use. Without miners, that of the newest job.
pub fn chain(snapshot: &Snapshot) -> Option<(&PoolView, &ChainVerdict)> {
    let verdicts = snapshot.pools.iter().filter_map(|pool| Some((pool, pool.chain.as_ref()?)));
    verdicts.max_by_key(|(pool, verdict)| weight(pool, verdict.state))
}

/// The part of a block that the expected address gets, in percent. `None` if it can't be verified.
pub fn percent(verdict: &PayoutVerdict) -> Option<f64> {
    (!matches!(verdict.state, PayoutState::Unverifiable(_))).then_some(verdict.percent)
}

/// Ranks pools in use above others. Pools in use rank by the severity of their verdict, others by the
/// age of their newest job. Between equals the more preferred pool wins.
fn weight<State: Ord>(pool: &PoolView, state: State) -> impl Ord + use<State> {
    let is_used = pool.miners > 0;
    let newest = pool.job.as_ref().map(|job| job.at);
    (is_used, is_used.then_some(state), newest.filter(|_| !is_used), Reverse(pool.place))
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
            job: None,
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
        payout(&Snapshot { pools, ..Snapshot::default() }).map(|(pool, _)| pool.place)
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
