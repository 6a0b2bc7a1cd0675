//! The figures of `timing.csv`: how many jobs each pool sent, and how soon after a new block.

use std::collections::{BTreeMap, HashMap};

use super::fields::UnixMs;
use super::histogram::ValueHistogram;
use super::job_line::JobLineRead;

/// Caps the pools that are told apart.
const MAX_JOB_POOLS: usize = 64;
/// Caps the blocks whose first jobs are remembered: four years.
const MAX_HEIGHTS: usize = 250_000;
/// A pool that sent no job for so long before a block was not in use then.
const LIVE_MS: i64 = 600_000;
/// Seconds after which a pool's first job at a height says nothing about propagation: nobody was connected before.
const MAX_LAG_SECONDS: f64 = 120.0;

/// The jobs of all pools.
#[derive(Debug, Default)]
pub(super) struct JobsSeen {
    pub jobs: u64,
    pub pools: Vec<PoolJobs>,
    places: HashMap<Box<str>, usize>,
    /// When each pool first had a job of a height, and whether it had sent another one shortly before.
    first: BTreeMap<u32, Vec<FirstJob>>,
}

/// A pool's first job of a height.
#[derive(Debug, Clone, Copy)]
struct FirstJob {
    pool: usize,
    at: UnixMs,
    is_live: bool,
}

/// The jobs of one pool.
#[derive(Debug)]
pub(super) struct PoolJobs {
    pub name: String,
    pub jobs: u64,
    pub empty_jobs: u64,
    pub blocks: u64,
    last_at: Option<UnixMs>,
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
    /// Blocks of these for which this pool was the first.
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
        let is_live = pool.last_at.is_some_and(|last| (0..LIVE_MS).contains(&(job.at - last)));
        pool.last_at = Some(job.at);
        let Some(height) = job.height else { return };
        if self.first.len() >= MAX_HEIGHTS && !self.first.contains_key(&height) {
            return;
        }
        let known = self.first.entry(height).or_default();
        match known.iter_mut().find(|first| first.pool == place) {
            Some(first) => first.at = job.at.min(first.at),
            None => {
                known.push(FirstJob { pool: place, at: job.at, is_live });
                pool.blocks += 1;
            }
        }
    }

    /// The pools' propagation, in the order of `pools`. Only pools that were in use when the block came are compared.
    pub fn propagation(&self) -> Vec<Propagation> {
        let mut found = vec![Propagation::default(); self.pools.len()];
        for seen in self.first.values().filter(|seen| seen.len() > 1) {
            let Some(earliest) = seen.iter().filter(|first| first.is_live).map(|first| first.at).min() else {
                continue;
            };
            let lag = |first: &FirstJob| (first.at - earliest) as f64 / 1000.0;
            let compared: Vec<_> =
                seen.iter().filter(|first| first.is_live && lag(first) <= MAX_LAG_SECONDS).collect();
            if compared.len() < 2 {
                continue;
            }
            for first in compared {
                let pool = &mut found[first.pool];
                pool.blocks += 1;
                pool.first += u64::from(first.at == earliest);
                pool.lag.add((first.at - earliest) as f64);
            }
        }
        found
    }

    /// The height that was first seen closest to this time, within `window` milliseconds.
    pub fn new_block_near(&self, at: UnixMs, window: i64) -> Option<(u32, UnixMs)> {
        let first = |seen: &Vec<FirstJob>| seen.iter().map(|first| first.at).min();
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
            last_at: None,
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
            let at = i64::from(height) * 500_000;
            jobs.add(&job("early:1", height, at));
            jobs.add(&job("late:1", height, at + 900));
            jobs.add(&job("late:1", height, at + 30_000));
        }
        // Miners come to the late pool again after an hour: its first job says nothing.
        jobs.add(&job("early:1", 10, 5_000_000));
        jobs.add(&job("late:1", 10, 9_000_000));
        let found = jobs.propagation();
        // The first jobs of all are those of the connection.
        assert_eq!((found[0].blocks, found[0].first, found[1].blocks, found[1].first), (9, 9, 9, 0));
        let lag = found[1].lag.quantile(0.5).unwrap();
        assert!((800.0..1000.0).contains(&lag), "{lag}");
        assert_eq!(jobs.new_block_near(500_100, 60_000), Some((1, 500_000)));
    }
}
