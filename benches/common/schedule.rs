//! The times at which shares are due, decided before anything is sent.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::clock::Nanos;

/// Each miner's next share. A miner's interval is random between 0.4 and 1.6 times the mean, as 5 to 20 s are of 12.5 s.
pub struct Schedule {
    due: BinaryHeap<Reverse<(Nanos, usize)>>,
    mean: f64,
    random: u64,
}

impl Schedule {
    /// A schedule from `start` on for so many miners, the same for the same seed.
    pub fn new(start: Nanos, miners: usize, mean: Duration, seed: u64) -> Schedule {
        let mut schedule = Schedule { due: BinaryHeap::new(), mean: mean.as_nanos() as f64, random: seed };
        for miner in 0..miners {
            // Miners have been at work before, each with its own beginning.
            let first = schedule.mean * schedule.fraction();
            schedule.due.push(Reverse((start + Nanos(first as u64), miner)));
        }
        schedule
    }

    /// The time of the next share.
    pub fn next(&self) -> Option<Nanos> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the next share if it is due at `now`: its time and its miner.
    pub fn take(&mut self, now: Nanos) -> Option<(Nanos, usize)> {
        let (due, miner) = self.due.peek().map(|Reverse(next)| *next).filter(|(due, _)| *due <= now)?;
        self.due.pop();
        let interval = self.mean * (0.4 + 1.2 * self.fraction());
        self.due.push(Reverse((due + Nanos(interval as u64), miner)));
        Some((due, miner))
    }

    /// A random number from 0 to 1 (xorshift64*, Marsaglia and Vigna).
    fn fraction(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
