//! The rows of the table of miners: the connected ones and those that are gone, with the state of each.

use std::cmp::Ordering;
use std::time::Duration;

use super::miner_query::{MinersQuery, SortKey};
use crate::analyzer::{KnownWorkerView, MinerView, PayoutState, Unverifiable, WorkerTotals};
use crate::clock::NtpTime;
use crate::record::ShownNames;
use crate::status::snapshot::StatusSnapshot;
use crate::status::user_agent::device_name;

/// A miner whose newest share is older than this, and than so many of its mean intervals, is silent. By chance that
/// happens once in 22,000 intervals.
const SILENT_AFTER: Duration = Duration::from_secs(600);
const SILENT_INTERVALS: u32 = 10;

/// The same of a miner with one share, whose interval is only guessed.
const SILENT_AFTER_FIRST: Duration = Duration::from_secs(3600);

/// With more than one reject in so many shares, and at least so many shares, a miner has too many.
const REJECTS_ONE_IN: u64 = 20;
const REJECTS_OF_LEAST: u64 = 20;
/// The number of rejects that are too many if nothing was accepted.
const ONLY_REJECTS: u64 = 3;

/// The state of a miner, worst first.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum MinerState {
    /// A block would not pay it as it should.
    Unpaid,
    Offline(NtpTime),
    /// The part of its shares that is rejected.
    Rejects(f64),
    /// No share for much longer than usual.
    Silent(Duration),
    /// Others' payout is verified, and this one has no address.
    PayoutUnknown,
    /// Connected, and no share was accepted yet.
    NothingAccepted,
    Mining,
}

/// A row: a connection, or a known worker without one.
#[derive(Debug, Clone, Copy)]
pub(super) struct MinerRow<'a> {
    pub(super) worker: &'a str,
    shown_names: &'a ShownNames,
    pub(super) user_agent: &'a str,
    pub(super) miner: Option<&'a MinerView>,
    pub(super) known: Option<&'a KnownWorkerView>,
    pub(super) state: MinerState,
}

/// All rows that the filter leaves, in the wanted order.
pub(super) fn rows<'a>(status: &'a StatusSnapshot, query: &MinersQuery<'_>) -> Vec<MinerRow<'a>> {
    let snapshot = &status.snapshot;
    let is_any_verified = snapshot.miners.iter().any(|miner| miner.payout == Some(PayoutState::Verified));
    let connected = snapshot.miners.iter().map(|miner| MinerRow {
        worker: &miner.worker,
        shown_names: &snapshot.shown_names,
        user_agent: &miner.user_agent,
        miner: Some(miner),
        known: None,
        state: state_of(status, miner, is_any_verified),
    });
    let gone = status.offline_workers().map(|known| MinerRow {
        worker: &known.worker,
        shown_names: &snapshot.shown_names,
        user_agent: known.user_agent.as_deref().unwrap_or_default(),
        miner: None,
        known: Some(known),
        state: MinerState::Offline(known.last_seen),
    });
    let filter = query.filter().to_lowercase();
    let mut rows: Vec<MinerRow<'a>> = connected.chain(gone).filter(|row| row.matches(&filter)).collect();
    let (key, is_ascending) = query.order(total(status));
    rows.sort_by(|a, b| {
        let order = a.compare(b, key);
        let order = if is_ascending { order } else { order.reverse() };
        order.then_with(|| a.worker.cmp(b.worker)).then(a.session().cmp(&b.session()))
    });
    rows
}

/// The number of miners, with or without a connection.
pub(super) fn total(status: &StatusSnapshot) -> usize {
    status.snapshot.miners.len() + status.offline_workers().count()
}

fn state_of(status: &StatusSnapshot, miner: &MinerView, is_any_verified: bool) -> MinerState {
    let judged = miner.accepted + miner.rejected;
    let is_many = judged >= REJECTS_OF_LEAST && miner.rejected * REJECTS_ONE_IN > judged;
    let is_all = miner.accepted == 0 && miner.rejected >= ONLY_REJECTS;
    match (miner.payout, miner.last_share_ago) {
        (Some(PayoutState::Mismatch | PayoutState::Short), _) => MinerState::Unpaid,
        _ if is_many || is_all => MinerState::Rejects(miner.rejected as f64 / judged as f64),
        (_, Some(ago)) if ago > silent_after(status, miner) => MinerState::Silent(ago),
        (Some(PayoutState::Unverifiable(Unverifiable::NoAddress)), _) if is_any_verified => {
            MinerState::PayoutUnknown
        }
        _ if miner.accepted == 0 => MinerState::NothingAccepted,
        _ => MinerState::Mining,
    }
}

fn silent_after(status: &StatusSnapshot, miner: &MinerView) -> Duration {
    let workers = status.snapshot.totals.as_ref().map(|totals| &totals.workers);
    let usual =
        workers.and_then(|workers| workers.get(&*miner.worker)).and_then(WorkerTotals::mean_share_interval);
    let (least, interval) = match usual {
        Some(usual) => (SILENT_AFTER, usual),
        // A slow miner takes about as long for each share as for its first.
        None => {
            let shares = u32::try_from(miner.accepted + miner.rejected).unwrap_or(u32::MAX).max(1);
            let worked = miner.connected_for.saturating_sub(miner.last_share_ago.unwrap_or_default());
            (SILENT_AFTER_FIRST, worked / shares)
        }
    };
    least.max(interval.saturating_mul(SILENT_INTERVALS))
}

impl MinerRow<'_> {
    /// The name that a person has given it, else its own without the address. To find that takes a while, so it is not
    /// asked for each row of a farm.
    pub(super) fn name(&self) -> &str {
        if self.worker.is_empty() { "(no name yet)" } else { self.shown_names.name_of(self.worker) }
    }

    /// The device, else the address.
    pub(super) fn device(&self) -> String {
        device_name(self.user_agent).unwrap_or_else(|| self.address())
    }

    /// The difficulty of its worker's best share ever.
    pub(super) fn best(&self) -> Option<f64> {
        let ever = self.miner.and_then(|miner| miner.best_ever.as_ref()).map(|best| best.difficulty.value());
        let session = self.miner.map(|miner| miner.best).filter(|best| *best > 0.0);
        let known = self.known.and_then(|known| known.best_ever);
        [ever, session, known].into_iter().flatten().reduce(f64::max)
    }

    fn address(&self) -> String {
        let connected = self.miner.map(|miner| miner.miner.ip());
        connected.or(self.known.and_then(|known| known.address)).map_or_else(String::new, |ip| ip.to_string())
    }

    fn session(&self) -> Option<u64> {
        self.miner.map(|miner| miner.session.0)
    }

    /// Whether a part of its name, its device or its address is `filter`, which is in lower case.
    fn matches(&self, filter: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(filter);
        filter.is_empty()
            || has(self.worker)
            || has(self.name())
            || has(self.user_agent)
            || has(&self.device())
            || has(&self.address())
    }

    fn compare(&self, other: &Self, key: SortKey) -> Ordering {
        let number = |of: fn(&MinerView) -> f64| {
            let value = |row: &Self| row.miner.map_or(-1.0, of);
            value(self).total_cmp(&value(other))
        };
        match key {
            SortKey::State => {
                let order = self.state.partial_cmp(&other.state).unwrap_or(Ordering::Equal);
                // Of equal ones the slowest first.
                order.then_with(|| number(|miner| miner.hash_rates.one_hour))
            }
            SortKey::Name => self.name().to_lowercase().cmp(&other.name().to_lowercase()),
            SortKey::Rate => number(|miner| miner.hash_rates.one_hour),
            SortKey::LastShare => self.quiet_for().cmp(&other.quiet_for()),
            SortKey::Difficulty => number(|miner| miner.difficulty),
            SortKey::Best => self.best().unwrap_or(-1.0).total_cmp(&other.best().unwrap_or(-1.0)),
            SortKey::Accepted => number(|miner| miner.accepted as f64),
            SortKey::Connected => number(|miner| miner.connected_for.as_secs_f64()),
        }
    }

    fn quiet_for(&self) -> Duration {
        self.miner.and_then(|miner| miner.last_share_ago).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::page::tests::{change, gone, miner, status};

    /// The names of the rows that a query of this text gives.
    fn names(status: &StatusSnapshot, query: &[(&str, &str)]) -> Vec<String> {
        let query =
            MinersQuery::of_query(|name| query.iter().find(|(key, _)| *key == name).map(|(_, value)| *value));
        rows(status, &query).iter().map(|row| row.name().to_owned()).collect()
    }

    fn farm() -> StatusSnapshot {
        let mut now = status();
        let view = |number: u64, name: &str, rate: f64, payout: PayoutState| {
            let mut view = miner(number, name);
            (view.hash_rates.one_hour, view.payout) = (rate, Some(payout));
            view.last_share_ago = Some(Duration::from_secs(number));
            view.accepted = 100;
            view
        };
        let verified = PayoutState::Verified;
        let mut rejecting = view(3, "rejecting", 3.0, verified);
        rejecting.rejected = 6;
        let miners = vec![
            view(1, "fast", 9.0, verified),
            view(2, "slow", 1.0, verified),
            rejecting,
            view(4, "noaddress", 4.0, PayoutState::Unverifiable(Unverifiable::NoAddress)),
            view(5, "cheated", 5.0, PayoutState::Mismatch),
        ];
        change(&mut now, |snapshot| {
            snapshot.miners = miners;
            snapshot.known_workers = vec![gone("gone", now_minus())].into();
        });
        now
    }

    fn now_minus() -> NtpTime {
        "2026-11-21T11:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_worst_come_first() {
        let order = ["cheated", "gone", "rejecting", "noaddress", "slow", "fast"];
        assert_eq!(names(&farm(), &[("sort", "state")]), order);
    }

    #[test]
    fn every_column_sorts_both_ways_and_the_filter_narrows() {
        let farm = farm();
        assert_eq!(names(&farm, &[])[0], "fast");
        assert_eq!(names(&farm, &[("sort", "rate"), ("order", "asc")])[..2], ["gone", "slow"]);
        assert_eq!(names(&farm, &[("sort", "last")])[..2], ["fast", "slow"]);
        for key in SortKey::ALL {
            assert_eq!(names(&farm, &[("sort", key.name())]).len(), 6, "{key:?}");
        }
        assert_eq!(names(&farm, &[("filter", "GO")]), ["gone"]);
        assert!(names(&farm, &[("filter", "nobody")]).is_empty());
    }

    #[test]
    fn a_miner_with_one_share_becomes_silent_too() {
        let now = status();
        let state = |first_after: u64, ago: u64| {
            let mut view = miner(1, "rig");
            view.accepted = 1;
            view.connected_for = Duration::from_secs(first_after + ago);
            view.last_share_ago = Some(Duration::from_secs(ago));
            state_of(&now, &view, true)
        };
        let silent = |seconds| MinerState::Silent(Duration::from_secs(seconds));
        assert_eq!(state(5, 3600), MinerState::Mining);
        assert_eq!(state(5, 3601), silent(3601));
        assert_eq!(state(7200, 20 * 3600), MinerState::Mining, "it took two hours for the first");
        assert_eq!(state(7200, 21 * 3600), silent(21 * 3600));
    }

    #[test]
    fn a_few_rejects_of_a_few_shares_are_no_state() {
        let mut now = farm();
        change(&mut now, |snapshot| {
            (snapshot.miners[2].accepted, snapshot.miners[2].rejected) = (10, 2);
        });
        assert_eq!(state_of(&now, &now.snapshot.miners[2], true), MinerState::Mining);
    }
}
