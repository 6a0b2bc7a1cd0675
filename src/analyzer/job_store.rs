//! The contents of all sessions' jobs, each kept once. A pool gives hundreds of miners the same work. Only the job id
//! and the extranonce1 differ, and each session keeps its own.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use crate::stratum::Notify;
use crate::util::memory_budget::{MemoryBudget, MemoryReservation};
use crate::work::network_difficulty;

/// If the jobs of all sessions take more bytes, sessions keep only their newest few. Honest pools stay far below: 64
/// jobs of 17 KB that all miners share, or half of this for 1,000 miners with their own jobs of 1 KB.
const SOFT_MAX_BYTES: usize = 128 << 20;

/// If the jobs still take more bytes than this, because a pool gives each miner large jobs of its own, sessions
/// forget all but a small newest one.
const HARD_MAX_BYTES: usize = 192 << 20;

/// A job of more bytes is forgotten when there is no room. The largest coinbase in use makes a job of 17 KB.
pub(super) const LARGE_JOB: usize = 32 << 10;

/// With fewer entries than this, dead ones are not worth a search.
const MIN_ENTRIES_TO_SWEEP: usize = 64;

/// Keeps jobs by their content. Clones share it. Only the analyzer's thread uses the lock.
#[derive(Debug, Clone)]
pub(super) struct JobStore {
    entries: Arc<Mutex<Entries>>,
    memory: MemoryBudget,
}

#[derive(Debug, Default)]
struct Entries {
    /// The jobs by the hash of their content.
    jobs: HashMap<u64, Vec<Weak<StoredJob>>>,
    /// With more entries than this, half of them may be dead.
    sweep_above: usize,
}

/// The content of a job, which sessions with the same job share. Kept as long as a session holds it.
#[derive(Debug)]
pub(super) struct StoredJob {
    /// The job as it first came. Its id and `clean_jobs` may be those of another session.
    pub(super) notify: Arc<Notify>,
    /// The difficulty of the nbits; `None` if they are no target.
    pub(super) network_difficulty: Option<f64>,
    reserved: Option<MemoryReservation>,
}

impl JobStore {
    /// Returns the stored job with this content. It is stored if it is new.
    pub(super) fn intern(&self, notify: Notify) -> Arc<StoredJob> {
        let jobs = &mut self.lock().jobs;
        let same = jobs.entry(content_hash(&notify)).or_default();
        same.retain(|job| job.strong_count() > 0);
        let known = same.iter().filter_map(Weak::upgrade).find(|job| is_same_work(&job.notify, &notify));
        if let Some(known) = known {
            return known;
        }
        let bytes = size_of::<StoredJob>()
            + size_of::<Notify>()
            + notify.coinb1.len()
            + notify.coinb2.len()
            + size_of_val(notify.branches.as_slice());
        let reserved = self.memory.reserve(bytes);
        let network_difficulty = network_difficulty(notify.nbits).ok();
        let stored = Arc::new(StoredJob { notify: Arc::new(notify), network_difficulty, reserved });
        same.push(Arc::downgrade(&stored));
        stored
    }

    /// Returns whether sessions must keep only their newest few jobs.
    pub(super) fn is_full(&self) -> bool {
        self.bytes() > SOFT_MAX_BYTES
    }

    /// Returns whether sessions must forget their jobs.
    pub(super) fn is_overflowing(&self) -> bool {
        self.bytes() > HARD_MAX_BYTES
    }

    /// The bytes of all live jobs.
    pub(super) fn bytes(&self) -> usize {
        self.memory.used()
    }

    /// Removes the entries of jobs that no session holds.
    pub(super) fn remove_dead_entries(&self) {
        let Entries { jobs, sweep_above } = &mut *self.lock();
        if jobs.len() > *sweep_above {
            jobs.retain(|_, same| same.iter().any(|job| job.strong_count() > 0));
            jobs.shrink_to_fit();
            *sweep_above = MIN_ENTRIES_TO_SWEEP + 2 * jobs.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock()
    }
}

impl Default for JobStore {
    fn default() -> JobStore {
        // The budget only counts. Sessions keep to the bounds above.
        JobStore { entries: Arc::default(), memory: MemoryBudget::new(usize::MAX) }
    }
}

impl StoredJob {
    pub(super) fn bytes(&self) -> usize {
        self.reserved.as_ref().map_or(0, MemoryReservation::bytes)
    }
}

fn content_hash(job: &Notify) -> u64 {
    let mut hasher = DefaultHasher::new();
    (job.prevhash, &job.coinb1, &job.coinb2, &job.branches).hash(&mut hasher);
    (job.version.0, job.nbits.0, job.ntime.0).hash(&mut hasher);
    hasher.finish()
}

fn is_same_work(a: &Notify, b: &Notify) -> bool {
    (&a.coinb1, &a.coinb2, &a.branches) == (&b.coinb1, &b.coinb2, &b.branches)
        && (a.prevhash, a.version, a.nbits, a.ntime) == (b.prevhash, b.version, b.nbits, b.ntime)
}

#[cfg(test)]
mod tests {
    use super::super::jobs::tests::notify;
    use super::*;

    #[test]
    fn the_same_work_is_kept_once_whatever_its_id() {
        let store = JobStore::default();
        let first = store.intern(notify("1", 7, 28_000));
        let bytes = store.bytes();
        let others: Vec<_> = (0..100).map(|id| store.intern(notify(&id.to_string(), 7, 28_000))).collect();
        assert!(others.iter().all(|job| Arc::ptr_eq(job, &first)));
        assert!(store.bytes() == bytes && bytes < 30_000);
        let other = store.intern(notify("1", 8, 28_000));
        assert!(!Arc::ptr_eq(&other, &first));
        assert_eq!(store.bytes(), 2 * bytes);
        drop((first, others));
        assert_eq!(store.bytes(), bytes);
        drop(other);
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn entries_of_jobs_that_are_gone_go_too() {
        let store = JobStore::default();
        for ntime in 0..1000 {
            store.intern(notify("1", ntime, 10));
        }
        store.remove_dead_entries();
        assert_eq!(store.lock().jobs.len(), 0);
    }
}
