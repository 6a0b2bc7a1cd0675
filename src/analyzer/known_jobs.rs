//! The newest job ids of each upstream, in whichever session they were read: a miner that has reconnected may
//! finish work of its last session, and pools that give the same extranonce1 again accept it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use crate::stratum::JobId;

/// The newest ids of an upstream that are remembered: of a job in 3 seconds, the most frequent seen, half an hour.
const MAX_IDS: usize = 512;
/// A pool sends the same job to all its miners within moments, so it is among the newest.
const SAME_JOB_SEARCH: usize = 64;

/// Shared by the sessions. The analyzer's thread alone uses it.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownJobs(Arc<Mutex<BTreeMap<usize, VecDeque<u32>>>>);

impl KnownJobs {
    /// A job of this id was read.
    pub(super) fn add(&self, upstream: Option<usize>, id: &JobId) {
        let Some(upstream) = upstream else { return };
        let mut upstreams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ids, id) = (upstreams.entry(upstream).or_default(), hash_of(id));
        if ids.iter().rev().take(SAME_JOB_SEARCH).any(|known| *known == id) {
            return;
        }
        if ids.len() >= MAX_IDS {
            ids.pop_front();
        }
        ids.push_back(id);
    }

    /// Whether a job of this id was read in some session.
    pub(super) fn contains(&self, upstream: Option<usize>, id: &JobId) -> bool {
        let Some(upstream) = upstream else { return false };
        let upstreams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        upstreams.get(&upstream).is_some_and(|ids| ids.contains(&hash_of(id)))
    }
}

fn hash_of(id: &JobId) -> u32 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    // Half of it tells so few ids apart.
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_upstream_has_its_own_and_only_so_many() {
        let known = KnownJobs::default();
        (0..600).for_each(|id| known.add(Some(1), &JobId::from_counter(id)));
        known.add(None, &JobId::from_counter(600));
        let is_known = |upstream, id| known.contains(upstream, &JobId::from_counter(id));
        assert!(is_known(Some(1), 599) && is_known(Some(1), 88) && !is_known(Some(1), 87));
        assert!(!is_known(Some(2), 599) && !is_known(None, 600));
    }
}
