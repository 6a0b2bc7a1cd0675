//! The ids of jobs that were read, kept for longer than the jobs themselves: a late share for one of them is not
//! a share for a job that was never seen.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::net::Stamp;
use crate::stratum::JobId;

/// A session's ids: at a job every 3 seconds, the most frequent seen, more than ten minutes' worth.
const MAX_SESSION_IDS: usize = 256;
/// An upstream's ids: at a job every 3 seconds, half an hour's worth.
const MAX_UPSTREAM_IDS: usize = 512;
/// Pools take shares of a job for ten minutes, and the share may wait for its answer.
const MAX_AGE: Duration = Duration::from_secs(900);
/// A pool sends the same job to all its miners within moments, so it is among the newest.
const SAME_JOB_SEARCH: usize = 64;

/// The newest job ids of one session, the newest last.
#[derive(Debug, Default)]
pub(super) struct RecentJobIds(VecDeque<(u32, Seconds)>);

/// The newest job ids of each upstream, read in any session. A miner that has reconnected may finish work of its
/// last session, and pools that give it the same extranonce1 again accept that work. Only the analyzer's thread
/// uses the lock.
#[derive(Debug, Clone, Default)]
pub(super) struct UpstreamJobIds(Arc<Mutex<BTreeMap<usize, RecentJobIds>>>);

/// A stamp's whole seconds: a session should cost little memory.
type Seconds = u32;

impl RecentJobIds {
    pub(super) fn add(&mut self, id: &JobId, at: Stamp) {
        let id = hash_of(id);
        self.0.retain(|(known, _)| *known != id);
        self.push(id, at, MAX_SESSION_IDS);
    }

    /// Tells whether a job with this id was read in the last 15 minutes.
    pub(super) fn contains(&self, id: &JobId, now: Stamp) -> bool {
        let id = hash_of(id);
        let is_recent = |at: Seconds| u64::from(seconds(now).saturating_sub(at)) <= MAX_AGE.as_secs();
        self.0.iter().any(|(known, at)| *known == id && is_recent(*at))
    }

    fn push(&mut self, id: u32, at: Stamp, max: usize) {
        if self.0.len() >= max {
            self.0.pop_front();
        }
        self.0.push_back((id, seconds(at)));
    }
}

impl UpstreamJobIds {
    pub(super) fn add(&self, upstream: Option<usize>, id: &JobId, at: Stamp) {
        let Some(upstream) = upstream else { return };
        let mut upstreams = self.0.lock();
        let (ids, id) = (upstreams.entry(upstream).or_default(), hash_of(id));
        if !ids.0.iter().rev().take(SAME_JOB_SEARCH).any(|(known, _)| *known == id) {
            ids.push(id, at, MAX_UPSTREAM_IDS);
        }
    }

    /// Tells whether a job with this id was read in any session, however long ago.
    pub(super) fn contains(&self, upstream: Option<usize>, id: &JobId) -> bool {
        let Some(upstream) = upstream else { return false };
        let upstreams = self.0.lock();
        let id = hash_of(id);
        upstreams.get(&upstream).is_some_and(|ids| ids.0.iter().any(|(known, _)| *known == id))
    }
}

fn seconds(at: Stamp) -> Seconds {
    Seconds::try_from(at.as_nanos() / 1_000_000_000).unwrap_or(Seconds::MAX)
}

fn hash_of(id: &JobId) -> u32 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    // Half of the hash is enough to tell a few hundred ids apart.
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_session_remembers_its_newest_ids_for_a_while() {
        let mut seen = RecentJobIds::default();
        (0..300).for_each(|id| seen.add(&JobId::from_counter(id), at(id)));
        assert!(!seen.contains(&JobId::from_counter(43), at(300)));
        assert!(seen.contains(&JobId::from_counter(44), at(300)));
        assert!(seen.contains(&JobId::from_counter(44), at(944)));
        assert!(!seen.contains(&JobId::from_counter(44), at(945)));
        seen.add(&JobId::from_counter(44), at(400));
        assert!(seen.contains(&JobId::from_counter(44), at(1300)));
        assert!(!seen.contains(&JobId::from_counter(9999), at(300)));
    }

    #[test]
    fn each_upstream_has_its_own_newest_ids() {
        let known = UpstreamJobIds::default();
        (0..600).for_each(|id| known.add(Some(1), &JobId::from_counter(id), at(id)));
        known.add(None, &JobId::from_counter(600), at(600));
        let is_known = |upstream, id| known.contains(upstream, &JobId::from_counter(id));
        assert!(is_known(Some(1), 599) && is_known(Some(1), 88) && !is_known(Some(1), 87));
        assert!(!is_known(Some(2), 599) && !is_known(None, 600));
    }
}
