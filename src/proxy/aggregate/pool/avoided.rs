//! Pools that know nobody of a link. They are left for a while, unless somebody comes whom they were not
//! asked about.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::upstream::UpstreamId;

/// A pool that knows nobody is not asked again for so long.
const AVOIDED: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct AvoidedPools {
    pools: Vec<NameRefusals>,
}

#[derive(Debug)]
struct NameRefusals {
    upstream: UpstreamId,
    since: Instant,
    /// Who was there, by the names that the pool was asked about.
    names: BTreeSet<String>,
}

impl AvoidedPools {
    /// The pool knows none of these.
    pub(crate) fn add(&mut self, upstream: UpstreamId, names: BTreeSet<String>, now: Instant) {
        self.pools.retain(|refusal| refusal.upstream != upstream);
        self.pools.push(NameRefusals { upstream, since: now, names });
    }

    /// Those that are to be avoided now, with the miners who are here: `names` tells what a pool calls them.
    pub(crate) fn now(
        &mut self,
        names: impl Fn(UpstreamId) -> BTreeSet<String>,
        now: Instant,
    ) -> Vec<UpstreamId> {
        self.pools.retain(|refusal| {
            now.saturating_duration_since(refusal.since) < AVOIDED
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
    fn a_newcomer_or_time_gives_a_pool_another_chance() {
        let (mut avoided, now, pool) = (AvoidedPools::default(), Instant::now(), UpstreamId(0));
        avoided.add(pool, names(&["a", "b"]), now);
        assert_eq!(avoided.now(|_| names(&["a"]), now), [pool]);
        assert_eq!(avoided.now(|_| names(&[]), now), [pool]);
        assert_eq!(avoided.now(|_| names(&["a", "c"]), now), []);
        avoided.add(pool, names(&["a"]), now);
        assert_eq!(avoided.now(|_| names(&["a"]), now + AVOIDED), []);
    }
}
