//! Pools that credit no miner of a group. They are avoided for a while, unless a miner joins whose name they
//! have not refused.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::upstream::UpstreamId;

/// The time for which a pool that credits nobody is avoided.
const AVOID_TIME: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct AvoidedPools {
    pools: Vec<NameRefusals>,
}

#[derive(Debug)]
struct NameRefusals {
    upstream: UpstreamId,
    since: Instant,
    /// The names at the pool that it had refused.
    names: BTreeSet<String>,
}

impl AvoidedPools {
    /// Avoids a pool that has refused all these names.
    pub(crate) fn add(&mut self, upstream: UpstreamId, names: BTreeSet<String>, now: Instant) {
        self.pools.retain(|refusal| refusal.upstream != upstream);
        self.pools.push(NameRefusals { upstream, since: now, names });
    }

    /// The pools to avoid now, with the present miners: `names` gives their names at a pool.
    pub(crate) fn now(
        &mut self,
        names: impl Fn(UpstreamId) -> BTreeSet<String>,
        now: Instant,
    ) -> Vec<UpstreamId> {
        self.pools.retain(|refusal| {
            now.saturating_duration_since(refusal.since) < AVOID_TIME
                && names(refusal.upstream).is_subset(&refusal.names)
        });
        self.pools.iter().map(|refusal| refusal.upstream).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_new_name_or_time_gives_a_pool_another_chance() {
        let (mut avoided, now, pool) = (AvoidedPools::default(), Instant::now(), UpstreamId(0));
        avoided.add(pool, names(&["a", "b"]), now);
        assert_eq!(avoided.now(|_| names(&["a"]), now), [pool]);
        assert_eq!(avoided.now(|_| names(&[]), now), [pool]);
        assert_eq!(avoided.now(|_| names(&["a", "c"]), now), []);
        avoided.add(pool, names(&["a"]), now);
        assert_eq!(avoided.now(|_| names(&["a"]), now + AVOID_TIME), []);
    }
}
