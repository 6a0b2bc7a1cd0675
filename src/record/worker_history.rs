//! The time series of each worker, behind the charts of its page: `worker_history.json`.
//!
//! A worker takes about 3 KiB in memory and at most 4 KiB in the file, so all of them stay below 2 MiB.

mod series;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::csv::csv_field;
use super::history::{HistoryShare, Span};
use super::{Bucket, ShareOutcome};
use series::WorkerSeries;

/// The version of the file format.
const VERSION: u32 = 1;
/// Caps the workers that have a history. A farm has more machines, and Prometheus.
const MAX_WORKERS: usize = 512;
/// The history of a worker that was seen within this time does not make room for another one. Otherwise the miners of a
/// large farm would take turns, and none would have a history.
const KEPT_SECONDS: u64 = 600;
/// The time between two ticks that count connected time.
const TICK_SECONDS: u64 = 5;
/// Caps the seconds that one tick counts as. After a longer pause the clock was set, or the machine slept.
const MAX_TICK_SECONDS: u64 = 15;
/// Caps how far a share's time can be ahead of the last tick.
const MAX_SECONDS_AHEAD: u64 = 60;

/// The histories of the workers by their names, in the form of
/// [`SavedState::worker_key`](super::SavedState::worker_key). A clone shares them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerHistories {
    version: u32,
    #[serde(default, serialize_with = "write_workers", deserialize_with = "read_workers")]
    workers: BTreeMap<Arc<str>, Arc<WorkerHistory>>,
    /// The last tick, in seconds since 1970.
    #[serde(skip)]
    now: Option<u64>,
    /// No worker can make room for another one before this time.
    #[serde(skip)]
    full_until: u64,
}

/// The series of one worker over the last hour, day and week.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerHistory {
    #[serde(rename = "1h", default)]
    hour: WorkerSeries,
    #[serde(rename = "24h", default)]
    day: WorkerSeries,
    #[serde(rename = "7d", default)]
    week: WorkerSeries,
    /// When it was last connected or had a share.
    #[serde(default)]
    last: u64,
}

impl Default for WorkerHistories {
    fn default() -> WorkerHistories {
        WorkerHistories { version: VERSION, workers: BTreeMap::new(), now: None, full_until: 0 }
    }
}

impl WorkerHistories {
    /// The number of workers that are kept.
    pub const MAX: usize = MAX_WORKERS;

    /// The history of a worker, by its name in any form.
    pub fn get(&self, worker: &str) -> Option<&WorkerHistory> {
        self.workers.get(&*csv_field(worker)).map(AsRef::as_ref)
    }

    /// The number of workers that have a history.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Counts a share that was sent at `at`, in seconds since 1970 by NTP. A worker's history begins with an accepted
    /// one.
    pub fn share(&mut self, worker: &str, at: u64, share: &HistoryShare<'_>) {
        let now = *self.now.get_or_insert(at);
        let at = if at > now.saturating_add(MAX_SECONDS_AHEAD) { now } else { at };
        let is_accepted = *share.outcome == ShareOutcome::Accepted;
        let Some(history) = self.entry(&csv_field(worker), now, is_accepted) else { return };
        history.last = history.last.max(at);
        for span in Span::ALL {
            history.series_mut(span).add_share(span, at, now, share);
        }
    }

    /// Counts the time up to `now` for the connected known workers, in seconds since 1970 by NTP. To be called at least
    /// every few seconds. True if anything was counted.
    pub fn tick<'a>(&mut self, now: u64, connected: impl Iterator<Item = &'a str>) -> bool {
        let before = *self.now.get_or_insert(now);
        let is_due = now < before || now - before >= TICK_SECONDS;
        if !is_due {
            return false;
        }
        self.now = Some(now);
        let from = now - now.saturating_sub(before).min(MAX_TICK_SECONDS);
        for worker in connected {
            let Some(history) = self.entry(worker, now, true) else { continue };
            history.last = now;
            for span in Span::ALL {
                history.series_mut(span).watch(span, from, now);
            }
        }
        true
    }

    /// Forgets a worker. True if it had a history.
    pub fn forget(&mut self, worker: &str) -> bool {
        self.workers.remove(&*csv_field(worker)).is_some()
    }

    /// Enforces the bounds on a file that others may have written.
    pub(super) fn bounded(mut self) -> WorkerHistories {
        while self.workers.len() > MAX_WORKERS {
            self.workers.pop_last();
        }
        for history in self.workers.values_mut().map(Arc::make_mut) {
            for span in Span::ALL {
                history.series_mut(span).bound(span);
            }
        }
        WorkerHistories { version: VERSION, ..self }
    }

    /// The history of this key. With `may_begin`, a new one if there is room: the worker that was away for longest is
    /// forgotten.
    fn entry(&mut self, key: &str, now: u64, may_begin: bool) -> Option<&mut WorkerHistory> {
        if !self.workers.contains_key(key) {
            if !may_begin || !self.make_room(now) {
                return None;
            }
            self.workers.insert(key.into(), Arc::default());
        }
        self.workers.get_mut(key).map(Arc::make_mut)
    }

    fn make_room(&mut self, now: u64) -> bool {
        if self.workers.len() < MAX_WORKERS {
            return true;
        }
        // After a step of the clock the time may be far ahead.
        if now < self.full_until && self.full_until - now <= KEPT_SECONDS {
            return false;
        }
        let longest = self.workers.iter().min_by_key(|(_, history)| history.last);
        let Some((key, last)) = longest.map(|(key, history)| (key.clone(), history.last)) else {
            return false;
        };
        self.full_until = last.min(now).saturating_add(KEPT_SECONDS);
        let is_away = now >= self.full_until;
        if is_away {
            self.workers.remove(&key);
        }
        is_away
    }
}

impl WorkerHistory {
    /// The number of buckets of a span, and the seconds of each. They are longer than those of [`History`], because one
    /// miner has few shares.
    ///
    /// [`History`]: super::History
    pub fn layout(span: Span) -> (usize, u64) {
        series::layout(span)
    }

    /// All buckets of the span, the oldest first and that of `now` last. `watched` is the time in which the worker was
    /// connected. Buckets without data are empty.
    pub fn series(&self, span: Span, now: u64) -> Vec<Bucket> {
        match span {
            Span::Hour => &self.hour,
            Span::Day => &self.day,
            Span::Week => &self.week,
        }
        .buckets(span, now)
    }

    fn series_mut(&mut self, span: Span) -> &mut WorkerSeries {
        match span {
            Span::Hour => &mut self.hour,
            Span::Day => &mut self.day,
            Span::Week => &mut self.week,
        }
    }
}

fn write_workers<S: Serializer>(
    workers: &BTreeMap<Arc<str>, Arc<WorkerHistory>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(workers.iter().map(|(name, history)| (&**name, &**history)))
}

fn read_workers<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<Arc<str>, Arc<WorkerHistory>>, D::Error> {
    let workers = BTreeMap::<String, WorkerHistory>::deserialize(from)?;
    Ok(workers.into_iter().map(|(name, history)| (name.into(), Arc::new(history))).collect())
}

#[cfg(test)]
mod tests;
