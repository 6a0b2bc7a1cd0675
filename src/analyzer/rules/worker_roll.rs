//! The known workers while the program runs: which are connected, and since when the others are not.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{SessionSample, seconds_between};
use crate::clock::NtpTime;
use crate::record::{KnownWorker, KnownWorkers, SavedState};

/// A worker that has been connected for so long is known, with or without a share: a NerdMiner's first share may take
/// hours.
const KNOWN_AFTER_SECONDS: f64 = 600.0;
/// A worker that has not been connected for so long is forgotten.
const FORGET_AFTER_SECONDS: f64 = 7.0 * 86_400.0;
/// The time between two saves if nothing has changed but the times when workers were last seen. Each wears an SD card.
const SAVE_INTERVAL_SECONDS: f64 = 600.0;
/// The shortest time between two saves. A flapping miner must not cause a write each time.
const MIN_SAVE_INTERVAL_SECONDS: f64 = 10.0;

/// The known workers.
#[derive(Debug, Default)]
pub(in super::super) struct WorkerRoll {
    workers: BTreeMap<String, WorkerEntry>,
    /// Absence counts from here at the earliest: the start, a step of the clock, the end of an outage of all pools.
    counts_from: Option<NtpTime>,
    saved_at: Option<NtpTime>,
    /// A worker has come or gone since the last save.
    has_changed: bool,
    /// The same workers, to be shown.
    view: Arc<[KnownWorkerView]>,
    /// A worker has come or gone since `view` was built.
    is_view_old: bool,
}

/// A worker that is remembered, whether it is connected or not.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownWorkerView {
    /// Its name, in the form of [`SavedState::worker_key`](SavedState::worker_key).
    pub worker: Arc<str>,
    pub is_connected: bool,
    pub first_seen: NtpTime,
    /// When it was last connected. Not kept up to date while it is.
    pub last_seen: NtpTime,
    /// The address of its newest connection.
    pub address: Option<IpAddr>,
    pub user_agent: Option<Arc<str>>,
    /// The difficulty of its best share ever.
    pub best_ever: Option<f64>,
}

/// A known worker.
#[derive(Debug, Clone)]
pub(super) struct WorkerEntry {
    first_seen: NtpTime,
    pub(super) last_seen: NtpTime,
    pub(super) address: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
    /// Its connections at the last tick.
    pub(super) connections: u32,
    was_connected: bool,
    /// The time since it was last connected, as far as it counts. Zero while it is.
    pub(super) absent_seconds: f64,
}

/// A change of a known worker at a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WorkerChange {
    /// Known from now on.
    New,
    /// Another user agent than before.
    UserAgent { before: String },
    /// Forgotten after a week.
    Forgotten,
}

impl WorkerRoll {
    /// Takes over the workers that were known before the restart.
    pub(in super::super) fn restore(&mut self, saved: &KnownWorkers) {
        let entry = |worker: &KnownWorker| WorkerEntry {
            first_seen: worker.first_seen,
            last_seen: worker.last_seen,
            address: worker.address.parse().ok(),
            user_agent: worker.user_agent.clone(),
            connections: 0,
            was_connected: false,
            absent_seconds: 0.0,
        };
        self.workers = saved.iter().map(|(name, worker)| (name.clone(), entry(worker))).collect();
        self.is_view_old = true;
    }

    /// Goes through the connected miners. Returns what has changed. While `is_paused`, nobody's absence counts.
    pub(super) fn update(
        &mut self,
        miners: &[SessionSample<'_>],
        now: NtpTime,
        is_paused: bool,
    ) -> Vec<(String, WorkerChange)> {
        if is_paused || self.counts_from.is_none() {
            self.counts_from = Some(now);
        }
        for worker in self.workers.values_mut() {
            worker.was_connected = worker.connections > 0;
            worker.connections = 0;
        }
        let mut changes = Vec::new();
        let mut other_agents = Vec::new();
        for sample in miners.iter().filter(|sample| !sample.worker.is_empty()) {
            self.mark(sample, now, &mut changes, &mut other_agents);
        }
        for (name, agent) in other_agents {
            // Machines that share a name may run different programs.
            let alone = self.workers.get_mut(&name).filter(|worker| worker.connections == 1);
            if let Some(before) = alone.and_then(|worker| worker.user_agent.replace(agent)) {
                changes.push((name, WorkerChange::UserAgent { before }));
            }
        }
        let counts_from = self.counts_from.unwrap_or(now);
        let mut has_changed = !changes.is_empty();
        self.workers.retain(|name, worker| {
            has_changed |= worker.was_connected != (worker.connections > 0);
            if worker.connections > 0 {
                worker.absent_seconds = 0.0;
                return true;
            }
            worker.absent_seconds = seconds_between(worker.last_seen.max(counts_from), now).max(0.0);
            let is_kept = seconds_between(worker.last_seen, now) < FORGET_AFTER_SECONDS;
            if !is_kept {
                has_changed = true;
                changes.push((name.clone(), WorkerChange::Forgotten));
            }
            is_kept
        });
        self.has_changed |= has_changed;
        self.is_view_old |= has_changed;
        changes
    }

    fn mark(
        &mut self,
        sample: &SessionSample<'_>,
        now: NtpTime,
        changes: &mut Vec<(String, WorkerChange)>,
        other_agents: &mut Vec<(String, String)>,
    ) {
        let name = SavedState::worker_key(sample.worker);
        if let Some(worker) = self.workers.get_mut(&*name) {
            worker.connections += 1;
            worker.last_seen = now;
            worker.address = Some(sample.miner);
            match (&worker.user_agent, sample.user_agent) {
                (None, Some(agent)) => worker.user_agent = Some(KnownWorker::short_agent(agent)),
                (Some(known), Some(agent)) if !KnownWorker::is_short_agent(known, agent) => {
                    other_agents.push((name.into_owned(), KnownWorker::short_agent(agent)));
                }
                _ => {}
            }
            return;
        }
        let is_known = sample.accepted > 0 || sample.watched >= KNOWN_AFTER_SECONDS;
        if is_known && self.make_room() {
            let name = name.into_owned();
            changes.push((name.clone(), WorkerChange::New));
            let worker = WorkerEntry {
                first_seen: now,
                last_seen: now,
                address: Some(sample.miner),
                user_agent: sample.user_agent.map(KnownWorker::short_agent),
                connections: 1,
                was_connected: true,
                absent_seconds: 0.0,
            };
            self.workers.insert(name, worker);
        }
    }

    /// Makes room for one more. If all places are taken, the one that has been away for longest is forgotten. `false`
    /// if all are connected.
    fn make_room(&mut self) -> bool {
        if self.workers.len() < KnownWorkers::MAX {
            return true;
        }
        let away = self.workers.iter().filter(|(_, worker)| worker.connections == 0);
        let longest = away.min_by_key(|(_, worker)| worker.last_seen).map(|(name, _)| name.clone());
        longest.is_some_and(|name| self.workers.remove(&name).is_some())
    }

    /// The names of the connected workers.
    pub(in super::super) fn connected(&self) -> impl Iterator<Item = &str> {
        let connected = self.workers.iter().filter(|(_, worker)| worker.connections > 0);
        connected.map(|(name, _)| name.as_str())
    }

    pub(in super::super) fn is_connected(&self, name: &str) -> bool {
        self.workers.get(name).is_some_and(|worker| worker.connections > 0)
    }

    /// Forgets a worker that is not connected. Returns whether there was one.
    pub(in super::super) fn forget(&mut self, name: &str) -> bool {
        let is_forgotten = !self.is_connected(name) && self.workers.remove(name).is_some();
        self.has_changed |= is_forgotten;
        self.is_view_old |= is_forgotten;
        is_forgotten
    }

    /// The workers to be shown, in the order of their names. Built anew only after one has come or gone. `best_of`
    /// gives a worker's best share ever.
    pub(super) fn refresh_view(&mut self, best_of: impl Fn(&str) -> Option<f64>) {
        if !std::mem::take(&mut self.is_view_old) {
            return;
        }
        let view = |(name, worker): (&String, &WorkerEntry)| KnownWorkerView {
            worker: name.as_str().into(),
            is_connected: worker.connections > 0,
            first_seen: worker.first_seen,
            last_seen: worker.last_seen,
            address: worker.address,
            user_agent: worker.user_agent.as_deref().map(Arc::from),
            best_ever: best_of(name),
        };
        self.view = self.workers.iter().map(view).collect();
    }

    pub(in super::super) fn view(&self) -> Arc<[KnownWorkerView]> {
        self.view.clone()
    }

    /// All workers by their names.
    pub(super) fn workers(&self) -> &BTreeMap<String, WorkerEntry> {
        &self.workers
    }

    /// Counts everybody's absence from the next tick on: times before and after a step of the clock do not compare.
    pub(super) fn clock_was_set(&mut self) {
        self.counts_from = None;
        self.saved_at = None;
    }

    /// The workers to be saved, if it is time or `is_end`.
    pub(super) fn unsaved(&mut self, now: NtpTime, is_end: bool) -> Option<KnownWorkers> {
        let interval = if self.has_changed { MIN_SAVE_INTERVAL_SECONDS } else { SAVE_INTERVAL_SECONDS };
        let is_due = self.saved_at.is_none_or(|saved| seconds_between(saved, now) >= interval);
        if !(is_due || is_end) || self.workers.is_empty() && !self.has_changed {
            return None;
        }
        self.saved_at = Some(now);
        self.has_changed = false;
        let saved = |worker: &WorkerEntry| KnownWorker {
            first_seen: worker.first_seen,
            last_seen: worker.last_seen,
            address: worker.address.map(|address| address.to_string()).unwrap_or_default(),
            user_agent: worker.user_agent.clone(),
        };
        let workers = self.workers.iter().map(|(name, worker)| (name.clone(), saved(worker)));
        Some(KnownWorkers::from(workers.collect::<BTreeMap<_, _>>()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_time;
    use super::*;

    fn sample(worker: &'static str, accepted: u64) -> SessionSample<'static> {
        SessionSample { worker, accepted, user_agent: Some("bitaxe/1"), ..SessionSample::for_tests() }
    }

    #[test]
    fn a_worker_is_known_with_a_share_or_after_ten_minutes() {
        let mut roll = WorkerRoll::default();
        assert_eq!(roll.update(&[sample("new", 0), sample("", 5)], test_time(0), false), []);
        let changes = roll.update(&[sample("new", 1)], test_time(1), false);
        assert_eq!(changes, [(String::from("new"), WorkerChange::New)]);
        let slow = SessionSample { watched: 600.0, ..sample("slow", 0) };
        assert_eq!(roll.update(&[slow], test_time(600), false).len(), 1);
        assert_eq!(roll.workers()["new"].absent_seconds, 599.0);
        assert_eq!(roll.workers()["slow"].absent_seconds, 0.0);
    }

    #[test]
    fn absence_counts_from_the_end_of_an_outage_and_a_week_is_the_end() {
        let mut roll = WorkerRoll::default();
        roll.update(&[sample("rig", 1)], test_time(0), false);
        roll.update(&[], test_time(100), true);
        roll.update(&[], test_time(150), false);
        assert_eq!(roll.workers()["rig"].absent_seconds, 50.0);
        // After a restart, it counts from there.
        let saved = roll.unsaved(test_time(150), false).unwrap();
        let mut roll = WorkerRoll::default();
        roll.restore(&saved);
        roll.update(&[], test_time(1000), false);
        roll.update(&[], test_time(1007), false);
        assert_eq!(roll.workers()["rig"].absent_seconds, 7.0);
        let changes = roll.update(&[], test_time(8 * 86_400), false);
        assert_eq!(changes, [(String::from("rig"), WorkerChange::Forgotten)]);
        assert!(roll.workers().is_empty());
    }

    #[test]
    fn only_a_worker_that_is_gone_can_be_forgotten() {
        let mut roll = WorkerRoll::default();
        roll.update(&[sample("rig", 1)], test_time(0), false);
        assert!(!roll.forget("rig") && !roll.forget("other"));
        assert_eq!(roll.connected().collect::<Vec<_>>(), ["rig"]);
        roll.update(&[], test_time(1), false);
        assert!(roll.forget("rig"));
        assert!(roll.workers().is_empty() && roll.unsaved(test_time(2), true).is_some());
    }

    #[test]
    fn who_is_gone_stays_in_the_view() {
        let mut roll = WorkerRoll::default();
        let mut shown = |miners: &[SessionSample<'_>], seconds| {
            roll.update(miners, test_time(seconds), false);
            roll.refresh_view(|_| Some(7.0));
            roll.view()
        };
        let first = shown(&[sample("rig", 1)], 0);
        assert!(first[0].is_connected && &*first[0].worker == "rig");
        let same = shown(&[sample("rig", 2)], 60);
        assert!(Arc::ptr_eq(&first, &same), "nobody has come or gone");
        let gone = shown(&[], 61);
        assert_eq!((gone[0].is_connected, gone[0].last_seen), (false, test_time(60)));
        assert_eq!(gone[0].best_ever, Some(7.0));
    }

    #[test]
    fn another_program_is_a_change_unless_machines_share_the_name() {
        let mut roll = WorkerRoll::default();
        let other = || SessionSample { user_agent: Some("bitaxe/2"), ..sample("rig", 1) };
        roll.update(&[sample("rig", 1)], test_time(0), false);
        assert_eq!(roll.update(&[sample("rig", 1), other()], test_time(1), false), []);
        assert_eq!(roll.update(&[other(), sample("rig", 1)], test_time(2), false), []);
        let before = String::from("bitaxe/1");
        let changes = roll.update(&[other()], test_time(3), false);
        assert_eq!(changes, [(String::from("rig"), WorkerChange::UserAgent { before })]);
    }

    #[test]
    fn who_is_away_makes_room_and_the_list_does_not_grow() {
        let mut roll = WorkerRoll::default();
        let names: Vec<String> = (0..KnownWorkers::MAX).map(|number| format!("w{number}")).collect();
        let new = |worker| SessionSample { worker, accepted: 1, ..SessionSample::for_tests() };
        let all: Vec<SessionSample<'_>> = names.iter().map(|name| new(name.as_str())).collect();
        roll.update(&all, test_time(0), false);
        roll.update(&all[1..], test_time(1), false);
        let mut with_more: Vec<SessionSample<'_>> = all[1..].to_vec();
        with_more.push(new("more"));
        with_more.push(new("too_many"));
        roll.update(&with_more, test_time(2), false);
        assert_eq!(roll.workers().len(), KnownWorkers::MAX);
        assert!(roll.workers().contains_key("more") && !roll.workers().contains_key("w0"));
        assert!(!roll.workers().contains_key("too_many"));
    }
}
