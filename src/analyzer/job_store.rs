//! The jobs of all sessions, each kept once. A pool gives hundreds of miners the same work; what differs
//! is the id it gives it, and the extranonce1, which each session keeps for itself.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::stratum::Notify;

/// When the jobs of all sessions together take more, sessions keep only their newest few. An honest pool's
/// are far below: 64 of 17 KB, whoever has them, and 1,000 miners that each have jobs of their own of 1 KB
/// reach half of it.
const SOFT_MAX_BYTES: usize = 128 << 20;

/// When they take this much nevertheless, because a pool gives each miner large jobs of its own, sessions
/// forget everything but a small newest one.
const HARD_MAX_BYTES: usize = 192 << 20;

/// A job of more bytes is forgotten when there is no room. The largest coinbase in use makes one of 17 KB.
pub(super) const LARGE_JOB: usize = 32 << 10;

/// Fewer entries are not worth looking through.
const MIN_ENTRIES_TO_SWEEP: usize = 64;

/// Keeps jobs by their content. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct JobStore(Arc<JobStoreInner>);

/// A job that is kept as long as somebody has it.
#[derive(Debug)]
pub(super) struct StoredJob {
    /// As it came first; its id and `clean_jobs` may be another session's.
    pub(super) notify: Arc<Notify>,
    pub(super) bytes: usize,
    store: Arc<JobStoreInner>,
}

#[derive(Debug, Default)]
struct JobStoreInner {
    /// By the hash of their content.
    jobs: Mutex<HashMap<u64, Vec<Weak<StoredJob>>>>,
    /// Of all that somebody has.
    bytes: AtomicUsize,
    count: AtomicUsize,
}

impl JobStore {
    /// The job of this content: the one that is there already, or this one.
    pub(super) fn intern(&self, notify: Notify) -> Arc<StoredJob> {
        let mut jobs = self.0.lock();
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
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.0.count.fetch_add(1, Ordering::Relaxed);
        let stored = Arc::new(StoredJob { notify: Arc::new(notify), bytes, store: self.0.clone() });
        same.push(Arc::downgrade(&stored));
        stored
    }

    /// Whether sessions must keep only their newest few.
    pub(super) fn is_full(&self) -> bool {
        self.bytes() > SOFT_MAX_BYTES
    }

    /// Whether sessions must forget what they have.
    pub(super) fn is_overflowing(&self) -> bool {
        self.bytes() > HARD_MAX_BYTES
    }

    /// The bytes of all jobs that somebody has.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Forgets the entries of jobs that nobody has any more.
    pub(super) fn remove_dead_entries(&self) {
        let mut jobs = self.0.lock();
        if jobs.len() > MIN_ENTRIES_TO_SWEEP + 2 * self.0.count.load(Ordering::Relaxed) {
            jobs.retain(|_, same| same.iter().any(|job| job.strong_count() > 0));
            jobs.shrink_to_fit();
        }
    }
}

impl JobStoreInner {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Vec<Weak<StoredJob>>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StoredJob {
    fn drop(&mut self) {
        self.store.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.store.count.fetch_sub(1, Ordering::Relaxed);
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
        assert_eq!(store.0.lock().len(), 0);
    }
}
