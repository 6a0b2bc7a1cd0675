//! The prefixes that are in use. Two miners with the same one would do the same work (wire reference, section
//! 5.3, 22 and 23).

use crate::proxy::aggregate::ExtranonceSplit;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// The capacity that is kept when many have left.
const MIN_CAPACITY: usize = 64;

/// Numbers the tables.
static TABLES: AtomicU64 = AtomicU64::new(0);

/// A miner's part of the pool's extranonce2. It exists once, and is returned by [`PrefixTable::release`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    table: u64,
    number: u64,
    bytes: Vec<u8>,
}

/// The prefixes of one connection to the pool. Its memory grows with those in use.
#[derive(Debug)]
pub struct PrefixTable {
    table: u64,
    width: usize,
    capacity: u64,
    /// The number last given.
    last: u64,
    /// Held by a miner, or retired.
    used: HashSet<u64>,
    retired: HashSet<u64>,
}

impl Prefix {
    /// The bytes, in the order they stand in the coinbase.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl PrefixTable {
    /// A table of free prefixes that begins with 1.
    #[cfg(test)]
    pub fn new(split: ExtranonceSplit) -> PrefixTable {
        PrefixTable::starting_at(split, 0)
    }

    /// A table of free prefixes that begins elsewhere for each `number`. Some pools give every connection the
    /// same extranonce1, or none (wire reference, section 5.3, 21): with the same prefixes two connections
    /// would search the same space, should the coinbases be the same as well.
    pub fn starting_at(split: ExtranonceSplit, number: u64) -> PrefixTable {
        let capacity = split.capacity();
        // Multiples of the golden ratio lie far apart, however many there are.
        let spread = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let last = u64::try_from((spread * u128::from(capacity)) >> 64).unwrap_or(0);
        PrefixTable {
            table: TABLES.fetch_add(1, Ordering::Relaxed),
            width: split.prefix_width(),
            capacity,
            last,
            used: HashSet::new(),
            retired: HashSet::new(),
        }
    }

    /// Takes the next free prefix, never the one of zeros. `None` when all are in use or retired.
    ///
    /// The search goes on from the last one, so that a freed number is not soon used again. One round passes over as
    /// many as are in use and returns the others: while half are free, one is passed over for each that is
    /// returned, on average.
    pub fn take(&mut self) -> Option<Prefix> {
        if self.used.len() as u64 >= self.capacity {
            return None;
        }
        loop {
            self.last = if self.last >= self.capacity { 1 } else { self.last + 1 };
            if self.used.insert(self.last) {
                return Some(self.prefix(self.last));
            }
        }
    }

    /// Retires the prefix of a miner that has left. It is free from the [`PrefixTable::next_job`] on, because
    /// shares of the present job may be repeated until then. A prefix of another table has no effect.
    pub fn release(&mut self, prefix: &Prefix) {
        if prefix.table == self.table && self.used.contains(&prefix.number) {
            self.retired.insert(prefix.number);
        }
    }

    /// Frees the retired prefixes, because the pool has sent other work.
    pub fn next_job(&mut self) {
        for number in self.retired.drain() {
            self.used.remove(&number);
        }
        self.retired.shrink_to(MIN_CAPACITY);
        self.used.shrink_to(MIN_CAPACITY);
    }

    /// The number of prefixes that miners hold, without the retired ones.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.used.len() - self.retired.len()
    }

    fn prefix(&self, number: u64) -> Prefix {
        let number_bytes = number.to_be_bytes();
        // Zeros in front where the prefix is wider than the number.
        let bytes =
            (0..self.width).rev().map(|index| if index < 8 { number_bytes[7 - index] } else { 0 }).collect();
        Prefix { table: self.table, number, bytes }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::stratum::Extranonce2Size;

    fn prefixes(extranonce2: u8) -> PrefixTable {
        PrefixTable::new(ExtranonceSplit::of(Extranonce2Size::new(extranonce2).unwrap()).unwrap())
    }

    #[test]
    fn many_come_and_go_and_never_share() {
        let mut prefixes = prefixes(6);
        let (mut holders, mut held) = (VecDeque::new(), HashSet::new());
        // What no one may get before the next job.
        let mut gone = HashSet::new();
        for miner in 0..70_000_u32 {
            let prefix = prefixes.take().unwrap();
            assert_eq!(prefix.as_bytes().len(), 2);
            assert_ne!(prefix.as_bytes(), [0, 0]);
            assert!(held.insert(prefix.as_bytes().to_vec()) && !gone.contains(prefix.as_bytes()));
            holders.push_back(prefix);
            if holders.len() > 3000 {
                // Not always the oldest goes.
                let index = miner as usize * 7 % holders.len();
                let prefix = holders.swap_remove_back(index).unwrap();
                held.remove(prefix.as_bytes());
                gone.insert(prefix.as_bytes().to_vec());
                prefixes.release(&prefix);
            }
            if miner % 5000 == 0 {
                prefixes.next_job();
                gone.clear();
            }
            assert_eq!(prefixes.held(), held.len());
        }
    }

    #[test]
    fn five_thousand_at_once() {
        let mut prefixes = prefixes(8);
        let all: HashSet<_> = (0..5000).map(|_| prefixes.take().unwrap()).collect();
        assert_eq!(all.len(), 5000);
        assert!(all.iter().all(|prefix| prefix.as_bytes().len() == 4));
    }

    #[test]
    fn a_full_table_recovers_with_the_next_job() {
        let mut prefixes = prefixes(5);
        let mut all: Vec<_> = (0..255).map(|_| prefixes.take().unwrap()).collect();
        assert!(prefixes.take().is_none());
        let freed = all.swap_remove(41);
        let bytes = freed.as_bytes().to_vec();
        prefixes.release(&freed);
        assert!(prefixes.take().is_none());
        prefixes.next_job();
        assert_eq!(prefixes.take().unwrap().as_bytes(), bytes);
        assert!(prefixes.take().is_none());
    }

    #[test]
    fn a_freed_number_is_not_soon_used_again() {
        let mut prefixes = prefixes(5);
        let first = prefixes.take().unwrap();
        let bytes = first.as_bytes().to_vec();
        prefixes.release(&first);
        prefixes.next_job();
        for _ in 0..254 {
            assert_ne!(prefixes.take().unwrap().as_bytes(), bytes);
        }
        assert_eq!(prefixes.take().unwrap().as_bytes(), bytes);
    }

    #[test]
    fn memory_is_that_of_the_prefixes_in_use() {
        let mut prefixes = prefixes(12);
        for _ in 0..10_000 {
            let prefix = prefixes.take().unwrap();
            prefixes.release(&prefix);
            prefixes.next_job();
        }
        assert!(
            prefixes.used.is_empty() && prefixes.used.capacity() < 100 && prefixes.retired.capacity() < 100
        );
    }

    #[test]
    fn a_prefix_of_another_table_frees_nothing() {
        let (mut old, mut new) = (prefixes(5), prefixes(5));
        let stranger = old.take().unwrap();
        let _holder = new.take().unwrap();
        new.release(&stranger);
        new.next_job();
        assert_eq!(new.held(), 1);
    }

    #[test]
    fn connections_begin_far_apart() {
        for (extranonce2, room) in [(8_u8, 1 << 24), (6, 400), (5, 1), (32, u64::MAX / 200)] {
            let split = ExtranonceSplit::of(Extranonce2Size::new(extranonce2).unwrap()).unwrap();
            let mut begun: Vec<u64> = (1..=64)
                .map(|number| PrefixTable::starting_at(split, number).take().unwrap().number)
                .collect();
            begun.sort_unstable();
            assert!(begun.windows(2).all(|pair| pair[1] - pair[0] >= room), "{begun:?}");
            assert!(begun.iter().all(|number| (1..=split.capacity()).contains(number)));
        }
    }

    #[test]
    fn a_wide_prefix_has_its_number_at_the_end() {
        let mut prefixes = prefixes(32);
        let mut expected = vec![0; 24];
        expected[23] = 1;
        assert_eq!(prefixes.take().unwrap().as_bytes(), expected);
    }
}
