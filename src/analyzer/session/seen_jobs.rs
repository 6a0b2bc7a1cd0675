//! The ids of jobs that were read, for longer than the jobs themselves are kept: a late share for one of them
//! is none for a job that was never seen.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::net::Stamp;
use crate::stratum::JobId;

/// At a job every 3 seconds, the most frequent seen, more than ten minutes' worth.
const MAX_IDS: usize = 256;
/// Pools take shares of a job for ten minutes, and the share may wait for its answer.
const REMEMBERED: Duration = Duration::from_secs(900);

/// The newest ids, the newest last.
#[derive(Debug, Default)]
pub(super) struct SeenJobs(VecDeque<(u32, Seconds)>);

/// A stamp's whole seconds: a session should cost little.
type Seconds = u32;

impl SeenJobs {
    /// A job of this id was read.
    pub(super) fn add(&mut self, id: &JobId, at: Stamp) {
        let id = hash_of(id);
        self.0.retain(|(known, _)| *known != id);
        if self.0.len() >= MAX_IDS {
            self.0.pop_front();
        }
        self.0.push_back((id, seconds(at)));
    }

    /// Whether a job of this id was read not too long ago.
    pub(super) fn contains(&self, id: &JobId, now: Stamp) -> bool {
        let id = hash_of(id);
        let is_recent = |at: Seconds| u64::from(seconds(now).saturating_sub(at)) <= REMEMBERED.as_secs();
        self.0.iter().any(|(known, at)| *known == id && is_recent(*at))
    }
}

fn seconds(at: Stamp) -> Seconds {
    Seconds::try_from(at.as_nanos() / 1_000_000_000).unwrap_or(Seconds::MAX)
}

fn hash_of(id: &JobId) -> u32 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    // Half of it tells 256 ids apart.
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_remembered_for_a_while_and_so_many_are() {
        let at = |seconds: u64| Stamp::from_nanos(seconds * 1_000_000_000);
        let mut seen = SeenJobs::default();
        (0..300).for_each(|id| seen.add(&JobId::from_counter(id), at(id)));
        assert!(!seen.contains(&JobId::from_counter(43), at(300)));
        assert!(seen.contains(&JobId::from_counter(44), at(300)));
        assert!(seen.contains(&JobId::from_counter(44), at(944)));
        assert!(!seen.contains(&JobId::from_counter(44), at(945)));
        seen.add(&JobId::from_counter(44), at(400));
        assert!(seen.contains(&JobId::from_counter(44), at(1300)));
        assert!(!seen.contains(&JobId::from_counter(9999), at(300)));
    }
}
