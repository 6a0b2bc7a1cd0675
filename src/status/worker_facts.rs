//! Everything that is known about one worker, connected or not: for its page and its JSON.

use std::net::IpAddr;

use super::snapshot::StatusSnapshot;
use crate::analyzer::{DeviceView, KnownWorkerView, MinerView, PayoutState, WorkerTotals};
use crate::clock::NtpTime;
use crate::record::{Bucket, EventRow, SavedState, ShareRow, Span, WorkerHistory};
use crate::work::HASHES_PER_DIFFICULTY;

const HOUR_SECONDS: u64 = 3600;

/// The facts about one worker.
#[derive(Debug)]
pub(super) struct WorkerFacts<'a> {
    status: &'a StatusSnapshot,
    /// Its name in the form of [`SavedState::worker_key`].
    pub(super) key: String,
    /// Its connections, the newest last.
    pub(super) connections: Vec<&'a MinerView>,
    /// `None` for a worker that has had no share and less than ten minutes here.
    pub(super) known: Option<&'a KnownWorkerView>,
    /// Its shares in this run.
    pub(super) totals: Option<&'a WorkerTotals>,
    pub(super) history: Option<&'a WorkerHistory>,
}

/// The last day of a worker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WorkerDay {
    /// Hashes per second while it was connected.
    pub(super) hash_rate: f64,
    /// The seconds in which it was connected.
    pub(super) connected: f64,
    /// The seconds since its history began, at most a day.
    pub(super) watched: f64,
}

/// Up to an hour of a worker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WorkerHour {
    /// Hashes per second while it was connected.
    pub(super) hash_rate: f64,
    /// The seconds in which it was connected.
    pub(super) connected: f64,
}

impl<'a> WorkerFacts<'a> {
    /// The facts about the worker of this name, in any form. `None` if there is no such worker.
    pub(super) fn of(status: &'a StatusSnapshot, worker: &str) -> Option<WorkerFacts<'a>> {
        if worker.is_empty() {
            return None;
        }
        let key = SavedState::worker_key(worker).into_owned();
        let snapshot = &status.snapshot;
        let is_it = |name: &str| *SavedState::worker_key(name) == *key;
        let connections = snapshot.miners.iter().filter(|miner| is_it(&miner.worker)).collect();
        let known = snapshot.known_workers.binary_search_by(|known| (*known.worker).cmp(&key)).ok();
        let totals = snapshot.totals.as_ref().and_then(|totals| totals.of_worker(&key));
        let facts = WorkerFacts {
            status,
            connections,
            known: known.and_then(|place| snapshot.known_workers.get(place)),
            totals,
            history: snapshot.worker_histories.get(&key),
            key,
        };
        let is_something = !facts.connections.is_empty()
            || facts.known.is_some()
            || facts.totals.is_some()
            || facts.history.is_some();
        is_something.then_some(facts)
    }

    /// The name to show.
    pub(super) fn name(&self) -> &str {
        self.status.snapshot.shown_names.name_of(&self.key)
    }

    /// The name that a person has given.
    pub(super) fn given_name(&self) -> Option<&'a str> {
        self.status.snapshot.shown_names.get(&self.key)
    }

    /// The connection that a sentence about all of them is about.
    pub(super) fn newest(&self) -> Option<&'a MinerView> {
        self.connections.iter().copied().max_by_key(|miner| miner.session)
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        self.newest().map(|miner| miner.miner.ip()).or_else(|| self.known?.address)
    }

    pub(super) fn user_agent(&self) -> Option<&'a str> {
        let agent = self.newest().map(|miner| &*miner.user_agent).filter(|agent| !agent.is_empty());
        agent.or_else(|| self.known?.user_agent.as_deref())
    }

    /// The sum over its connections.
    pub(super) fn sum(&self, rate: impl Fn(&MinerView) -> f64) -> f64 {
        self.connections.iter().map(|miner| rate(miner)).sum()
    }

    pub(super) fn best_ever(&self) -> Option<f64> {
        let connected =
            self.connections.iter().filter_map(|miner| Some(miner.best_ever.as_ref()?.difficulty.value()));
        connected.chain(self.known.and_then(|known| known.best_ever)).max_by(f64::total_cmp)
    }

    /// The best share of its present connections.
    pub(super) fn best_of_connection(&self) -> Option<f64> {
        let bests = self.connections.iter().map(|miner| miner.best).filter(|best| *best > 0.0);
        bests.max_by(f64::total_cmp)
    }

    pub(super) fn last_share(&self) -> Option<NtpTime> {
        let recent = self.shares().next().map(|share| share.at);
        self.connections.iter().filter_map(|miner| miner.last_share).max().max(recent)
    }

    /// The worst payout verdict of its connections.
    pub(super) fn payout(&self) -> Option<PayoutState> {
        self.connections.iter().filter_map(|miner| miner.payout).max()
    }

    /// Its devices that are read: more than one if several have its name.
    pub(super) fn devices(&self) -> impl Iterator<Item = &'a DeviceView> {
        self.status.snapshot.devices.iter().filter(|device| *device.worker == *self.key)
    }

    /// Its newest shares, newest first.
    pub(super) fn shares(&self) -> impl Iterator<Item = &'a ShareRow> {
        let shares = self.status.snapshot.recent.shares.iter().map(AsRef::as_ref);
        shares.filter(|share: &&ShareRow| *SavedState::worker_key(&share.worker) == *self.key)
    }

    /// Its newest events, newest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &'a EventRow> {
        let events = self.status.snapshot.events.iter().map(AsRef::as_ref);
        let is_its_own = |worker: &str| *SavedState::worker_key(worker) == *self.key;
        events.filter(move |event: &&EventRow| event.worker.as_deref().is_some_and(is_its_own))
    }

    /// The last hour, over all its connections. `None` if it was not connected in it.
    pub(super) fn last_hour(&self) -> Option<WorkerHour> {
        WorkerHour::of(&self.history?.series(Span::Hour, self.now()))
    }

    /// The hour that ended when it last mined, by the finest series that reaches back so far.
    pub(super) fn last_mined_hour(&self) -> Option<WorkerHour> {
        let history = self.history?;
        Span::ALL.into_iter().find_map(|span| {
            let series = history.series(span, self.now());
            let end = series.iter().rposition(|bucket| bucket.work > 0.0)? + 1;
            let (_, seconds) = WorkerHistory::layout(span);
            let buckets = usize::try_from(HOUR_SECONDS / seconds).unwrap_or(1).max(1);
            WorkerHour::of(&series[end.saturating_sub(buckets)..end])
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.status.at.unix_seconds()).unwrap_or(0)
    }

    /// The last day. `None` without a history.
    pub(super) fn day(&self) -> Option<WorkerDay> {
        let now = self.now();
        let series = self.history?.series(Span::Day, now);
        let (_, seconds) = WorkerHistory::layout(Span::Day);
        let first = series.iter().position(|bucket| bucket.watched > 0.0)?;
        let connected: f64 = series.iter().map(|bucket| bucket.watched).sum();
        let work: f64 = series.iter().map(|bucket| bucket.work).sum();
        let begin = first_second(&series[first], seconds);
        let watched = (now as f64 - begin).max(connected).max(1.0);
        let hash_rate = work * HASHES_PER_DIFFICULTY / connected.max(1.0);
        Some(WorkerDay { hash_rate, connected, watched })
    }
}

impl WorkerHour {
    fn of(buckets: &[Bucket]) -> Option<WorkerHour> {
        let connected: f64 = buckets.iter().map(|bucket| bucket.watched).sum();
        let work: f64 = buckets.iter().map(|bucket| bucket.work).sum();
        (connected >= 1.0)
            .then(|| WorkerHour { hash_rate: work * HASHES_PER_DIFFICULTY / connected, connected })
    }
}

/// When the worker came, if that was in this bucket: it is assumed to have stayed to the end of it.
fn first_second(bucket: &Bucket, seconds: u64) -> f64 {
    (bucket.start + seconds) as f64 - bucket.watched
}
