//! Times from a pool's new block to the last miner's socket.
//!
//! A block's time runs from the moment when the first job for it was readable from the pool to the moment when the
//! kernel had the last of the jobs for the miners. In passthrough mode the pool tells each connection in turn, and that
//! is a part of it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use crate::net::Stamp;
use crate::stratum::PrevHash;
use crate::tap::{Role, SessionId};

/// The number of newest blocks that are kept of each upstream, for the median.
const MAX_BLOCKS: usize = 20;
/// Miners are still waited for in this many blocks. Two can follow each other within a second.
const MAX_OPEN_BLOCKS: usize = 2;
/// A miner whose job comes later is not counted. It did not get the news of the block but the next regular job: most
/// pools send one every 30 to 60 s. `chain.behind` reports a pool that is so late.
const MAX_SPREAD: Duration = Duration::from_secs(60);
/// A block is shown when no further miner got it for this long. A later one still counts.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// The first job of a session for another block than the job before.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewBlockJob {
    pub(super) session: SessionId,
    pub(super) upstream: Option<usize>,
    pub(super) prevhash: PrevHash,
    pub(super) readable_at: Stamp,
    pub(super) sent_at: Stamp,
}

/// The newest block of an upstream that has reached its miners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSpread {
    /// From the pool's first job for the block to the last miner's socket.
    pub time: Duration,
    /// The miners that got the block.
    pub miners: usize,
    /// The time since the pool's first job for it.
    pub age: Duration,
    /// The median time of the newest blocks, this one included.
    pub median: Duration,
    /// The number of blocks that the median is of.
    pub blocks: usize,
}

/// The newest blocks of all upstreams.
#[derive(Debug, Default)]
pub(super) struct BlockSpreads(BTreeMap<usize, VecDeque<TrackedBlock>>);

#[derive(Debug)]
struct TrackedBlock {
    prevhash: PrevHash,
    /// The first job for it was readable.
    first: Stamp,
    /// The kernel had the last miner's job.
    last: Option<Stamp>,
    miners: usize,
    /// The miners that got it; `None` if no more are waited for.
    reached: Option<HashSet<SessionId>>,
    /// A session that had work of the pool before got the block from it. Without that, the pool's first job after a
    /// reconnect is no news, and miners only get it late.
    is_from_pool: bool,
    is_complete: bool,
}

impl BlockSpreads {
    pub(super) fn add(&mut self, job: &NewBlockJob, role: Role) {
        let Some(upstream) = job.upstream else { return };
        let blocks = self.0.entry(upstream).or_default();
        let index = blocks.iter().rposition(|block| block.prevhash == job.prevhash).unwrap_or_else(|| {
            blocks.push_back(TrackedBlock::new(job));
            if blocks.len() > MAX_BLOCKS {
                blocks.pop_front();
            }
            let old = blocks.len().saturating_sub(MAX_OPEN_BLOCKS);
            blocks.iter_mut().take(old).for_each(|block| block.reached = None);
            blocks.len() - 1
        });
        blocks[index].add(job, role);
    }

    /// The newest block of an upstream that has reached its miners; `None` before the first.
    pub(super) fn newest(&mut self, upstream: usize, now: Stamp) -> Option<BlockSpread> {
        let blocks = self.0.get_mut(&upstream)?;
        blocks.iter_mut().for_each(|block| block.settle(now));
        let complete = || blocks.iter().filter(|block| block.is_complete);
        let newest = complete().next_back()?;
        let mut times: Vec<Duration> = complete().map(TrackedBlock::time).collect();
        times.sort_unstable();
        Some(BlockSpread {
            time: newest.time(),
            miners: newest.miners,
            age: now.since(newest.first).unwrap_or_default(),
            median: times[times.len() / 2],
            blocks: times.len(),
        })
    }
}

impl TrackedBlock {
    fn new(job: &NewBlockJob) -> TrackedBlock {
        TrackedBlock {
            prevhash: job.prevhash,
            first: job.readable_at,
            last: None,
            miners: 0,
            reached: Some(HashSet::new()),
            is_from_pool: false,
            is_complete: false,
        }
    }

    fn add(&mut self, job: &NewBlockJob, role: Role) {
        let Some(reached) = &mut self.reached else { return };
        let is_late = job.sent_at.since(self.first).is_some_and(|time| time > MAX_SPREAD);
        if is_late {
            return;
        }
        // The copies of different sessions come in any order.
        self.first = self.first.min(job.readable_at);
        self.is_from_pool |= role.is_with_pool();
        // A pool that goes back to the block before sends this one twice.
        if role.is_with_miner() && reached.insert(job.session) {
            self.miners += 1;
            self.last = self.last.max(Some(job.sent_at));
        }
    }

    fn settle(&mut self, now: Stamp) {
        let is_past = |at: Stamp, time| now.since(at).is_some_and(|age| age >= time);
        self.is_complete |= self.is_from_pool && self.last.is_some_and(|last| is_past(last, QUIET_TIME));
        if is_past(self.first, MAX_SPREAD + QUIET_TIME) {
            self.reached = None;
        }
    }

    fn time(&self) -> Duration {
        self.last.and_then(|last| last.since(self.first)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: i64 = 1_000_000;
    const SECOND: i64 = 1000 * MILLISECOND;

    fn at(nanos: i64) -> Stamp {
        Stamp::from_nanos(1_790_000_000_000_000_000).shifted(nanos)
    }

    /// A job of a session that is readable and sent at these nanoseconds.
    fn job(session: u64, block: u8, (readable_at, sent_at): (i64, i64)) -> NewBlockJob {
        NewBlockJob {
            session: SessionId(session),
            upstream: Some(0),
            prevhash: PrevHash::from_wire_bytes([block; 32]),
            readable_at: at(readable_at),
            sent_at: at(sent_at),
        }
    }

    /// The newest block's time in milliseconds and its miners.
    fn shown(spreads: &mut BlockSpreads, now: i64) -> Option<(u128, usize)> {
        spreads.newest(0, at(now)).map(|spread| (spread.time.as_millis(), spread.miners))
    }

    #[test]
    fn it_is_from_the_first_that_heard_to_the_last_that_was_told() {
        let mut spreads = BlockSpreads::default();
        assert_eq!(spreads.newest(0, at(0)), None);
        for (session, times) in [(1, (5, 6)), (2, (3, 4)), (3, (10, 12))] {
            let (readable_at, sent_at) = times;
            let times = (readable_at * MILLISECOND, sent_at * MILLISECOND);
            spreads.add(&job(session, 1, times), Role::Direct);
        }
        assert_eq!(shown(&mut spreads, SECOND), None, "more miners may follow");
        assert_eq!(shown(&mut spreads, 3 * SECOND), Some((9, 3)));
        assert_eq!(spreads.newest(0, at(3 * SECOND)).unwrap().age, Duration::from_millis(2997));
    }

    #[test]
    fn in_aggregate_mode_the_pool_hears_and_the_miners_are_told() {
        let mut spreads = BlockSpreads::default();
        // The miners' copies may come first, and bytes that go up to the pool's session do not count.
        spreads.add(&job(2, 1, (0, 4 * MILLISECOND)), Role::Miner);
        assert_eq!(shown(&mut spreads, 5 * SECOND), None, "the pool may have told it long ago");
        spreads.add(&job(1, 1, (0, 9 * MILLISECOND)), Role::Pool);
        spreads.add(&job(3, 1, (0, 7 * MILLISECOND)), Role::Miner);
        assert_eq!(shown(&mut spreads, 5 * SECOND), Some((7, 2)));
        // A pool connection without miners reaches nobody.
        spreads.add(&job(1, 2, (8 * SECOND, 8 * SECOND)), Role::Pool);
        assert_eq!(shown(&mut spreads, 20 * SECOND), Some((7, 2)));
    }

    #[test]
    fn a_straggler_counts_for_a_minute() {
        let mut spreads = BlockSpreads::default();
        spreads.add(&job(1, 1, (0, MILLISECOND)), Role::Direct);
        assert_eq!(shown(&mut spreads, 3 * SECOND), Some((1, 1)));
        spreads.add(&job(2, 1, (30 * SECOND, 30 * SECOND)), Role::Direct);
        assert_eq!(shown(&mut spreads, 30 * SECOND), Some((30_000, 2)), "no blink");
        spreads.add(&job(3, 1, (61 * SECOND, 61 * SECOND)), Role::Direct);
        assert_eq!(shown(&mut spreads, 61 * SECOND), Some((30_000, 2)));
        assert!(spreads.0[&0][0].reached.is_some());
        assert_eq!(shown(&mut spreads, 62 * SECOND), Some((30_000, 2)));
        assert!(spreads.0[&0][0].reached.is_none(), "its memory is given back");
    }

    #[test]
    fn a_pool_that_goes_back_and_forth_counts_each_miner_once() {
        let mut spreads = BlockSpreads::default();
        for (block, time) in [(1, 0), (2, SECOND), (1, 2 * SECOND), (2, 3 * SECOND)] {
            spreads.add(&job(1, block, (time, time + MILLISECOND)), Role::Direct);
        }
        assert_eq!(shown(&mut spreads, 9 * SECOND), Some((1, 1)));
        assert_eq!(spreads.newest(0, at(9 * SECOND)).unwrap().blocks, 2);
    }

    #[test]
    fn upstreams_are_apart_and_bounded() {
        let mut spreads = BlockSpreads::default();
        for block in 0..100 {
            for session in 1..=50 {
                let begin = i64::from(block) * SECOND;
                let times = (begin, begin + i64::from(block) * MILLISECOND);
                spreads.add(&job(session, block, times), Role::Direct);
            }
        }
        let other = NewBlockJob { upstream: Some(1), ..job(60, 99, (0, 2 * MILLISECOND)) };
        spreads.add(&other, Role::Direct);
        spreads.add(&NewBlockJob { upstream: None, ..other }, Role::Direct);
        let first = spreads.newest(0, at(200 * SECOND)).unwrap();
        assert_eq!((first.time.as_millis(), first.miners, first.blocks), (99, 50, MAX_BLOCKS));
        assert_eq!(first.median.as_millis(), 90);
        assert_eq!(spreads.newest(1, at(200 * SECOND)).map(|spread| spread.miners), Some(1));
        assert_eq!((spreads.0.len(), spreads.0[&0].len()), (2, MAX_BLOCKS));
        let is_open = |block: &&TrackedBlock| block.reached.is_some();
        assert!(spreads.0[&0].iter().filter(is_open).count() <= MAX_OPEN_BLOCKS);
    }

    #[test]
    fn times_that_run_backwards_are_zero() {
        let mut spreads = BlockSpreads::default();
        spreads.add(&job(1, 1, (5 * SECOND, 4 * SECOND)), Role::Direct);
        assert_eq!(shown(&mut spreads, SECOND), None);
        assert_eq!(shown(&mut spreads, 9 * SECOND), Some((0, 1)));
    }
}
