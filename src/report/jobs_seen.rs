//! The figures of `timing.csv`: how many jobs each pool sent, and how soon after a new block.

use std::collections::{BTreeMap, HashMap};

use super::fields::UnixMs;
use super::histogram::ValueHistogram;
use super::job_line::JobLineRead;
use super::selection::plain_pool;
use super::time_line::Outage;

/// Caps the pools that are told apart.
const MAX_JOB_POOLS: usize = 64;
/// Caps the blocks whose first jobs are remembered: four years.
const MAX_HEIGHTS: usize = 250_000;
/// Seconds after which a pool's first job at a height says nothing about propagation: nobody was connected before.
const MAX_LAG_SECONDS: f64 = 120.0;

/// The jobs of all pools.
#[derive(Debug, Default)]
pub(super) struct JobsSeen {
    pub jobs: u64,
    pub pools: Vec<PoolJobs>,
    places: HashMap<Box<str>, usize>,
    /// When each pool first had a job of a height.
    first: BTreeMap<u32, Vec<(usize, UnixMs)>>,
}

/// The jobs of one pool.
#[derive(Debug)]
pub(super) struct PoolJobs {
    pub name: String,
    pub jobs: u64,
    pub empty_jobs: u64,
    pub blocks: u64,
    pub last_height: Option<u32>,
    /// Milliseconds between two jobs of a session.
    pub gaps: ValueHistogram,
    /// The sum of the seconds by which the jobs' times are ahead of the clock, and their number.
    pub ahead: (f64, u64),
}

/// How soon a pool sends the first job of a new block, beside the other pools.
#[derive(Debug, Clone, Default)]
pub(super) struct Propagation {
    /// Blocks for which another pool was seen as well.
    pub blocks: u64,
    /// Those for which this pool was the first.
    pub first: u64,
    /// Milliseconds behind the first pool.
    pub lag: ValueHistogram,
}

impl JobsSeen {
    pub fn add(&mut self, job: &JobLineRead<'_>) {
        self.jobs += 1;
        let Some(place) = self.place(job.pool) else { return };
        let pool = &mut self.pools[place];
        pool.jobs += 1;
        pool.empty_jobs += u64::from(job.branches == Some(0));
        if let Some(gap) = job.receive_gap {
            pool.gaps.add(gap * 1000.0);
        }
        if let Some(ahead) = job.ahead {
            pool.ahead = (pool.ahead.0 + ahead, pool.ahead.1 + 1);
        }
        let Some(height) = job.height else { return };
        pool.last_height = pool.last_height.max(Some(height));
        if self.first.len() >= MAX_HEIGHTS && !self.first.contains_key(&height) {
            return;
        }
        let known = self.first.entry(height).or_default();
        match known.iter_mut().find(|(known, _)| *known == place) {
            Some((_, at)) => *at = job.at.min(*at),
            None => {
                known.push((place, job.at));
                pool.blocks += 1;
            }
        }
    }

    /// The pools' propagation, in the order of `pools`. Blocks that came while a pool was away do not count.
    pub fn propagation(&self, outages: &[Outage]) -> Vec<Propagation> {
        let mut found = vec![Propagation::default(); self.pools.len()];
        for seen in self.first.values().filter(|seen| seen.len() > 1) {
            let Some(earliest) = seen.iter().map(|(_, at)| *at).min() else { continue };
            let lag = |at: UnixMs| (at - earliest) as f64 / 1000.0;
            let is_away = |place: usize| {
                let name = &self.pools[place].name;
                outages.iter().any(|outage| {
                    plain_pool(&outage.subject) == plain_pool(name)
                        && outage.from <= earliest
                        && outage.to.is_none_or(|to| to >= earliest)
                })
            };
            let compared: Vec<_> =
                seen.iter().filter(|(place, at)| lag(*at) <= MAX_LAG_SECONDS && !is_away(*place)).collect();
            if compared.len() < 2 {
                continue;
            }
            for (place, at) in compared {
                let pool = &mut found[*place];
                pool.blocks += 1;
                pool.first += u64::from(*at == earliest);
                pool.lag.add((*at - earliest) as f64);
            }
        }
        found
    }

    /// When a new height was first seen within `window` milliseconds of this time.
    pub fn new_block_near(&self, at: UnixMs, window: i64) -> Option<(u32, UnixMs)> {
        let first = |seen: &Vec<(usize, UnixMs)>| seen.iter().map(|(_, at)| *at).min();
        let blocks = self.first.iter().filter_map(|(height, seen)| Some((*height, first(seen)?)));
        blocks.filter(|(_, first)| (first - at).abs() <= window).min_by_key(|(_, first)| (first - at).abs())
    }

    fn place(&mut self, name: &str) -> Option<usize> {
        if let Some(place) = self.places.get(name) {
            return Some(*place);
        }
        if self.pools.len() >= MAX_JOB_POOLS {
            return None;
        }
        self.places.insert(name.into(), self.pools.len());
        self.pools.push(PoolJobs {
            name: name.to_owned(),
            jobs: 0,
            empty_jobs: 0,
            blocks: 0,
            last_height: None,
            gaps: ValueHistogram::default(),
            ahead: (0.0, 0),
        });
        Some(self.pools.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(pool: &'static str, height: u32, at: UnixMs) -> JobLineRead<'static> {
        JobLineRead {
            at,
            pool,
            height: Some(height),
            ahead: Some(-0.5),
            receive_gap: Some(30.0),
            branches: Some(12),
        }
    }

    #[test]
    fn the_pool_that_is_first_is_known_for_each_block() {
        let mut jobs = JobsSeen::default();
        for height in 0..10 {
            let at = i64::from(height) * 600_000;
            jobs.add(&job("late:1", height, at + 900));
            jobs.add(&job("early:1", height, at));
            jobs.add(&job("late:1", height, at + 30_000));
        }
        // Only one pool was there.
        jobs.add(&job("early:1", 10, 7_000_000));
        // The other one came much later.
        jobs.add(&job("late:1", 10, 9_000_000));
        let found = jobs.propagation(&[]);
        assert_eq!((found[0].blocks, found[0].first, found[1].first), (10, 0, 10));
        let lag = found[0].lag.quantile(0.5).unwrap();
        assert!((800.0..1000.0).contains(&lag), "{lag}");
        assert_eq!(jobs.new_block_near(600_100, 60_000), Some((1, 600_000)));
        let away = Outage {
            subject: "late:1".into(),
            from: -1,
            to: Some(1_700_000),
            is_crash: false,
            reason: String::new(),
        };
        assert_eq!(jobs.propagation(&[away])[0].blocks, 7);
    }
}
