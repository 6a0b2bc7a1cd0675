//! Splits the pool's extranonce2: a prefix that is the miner's number, and the rest, which the miner counts
//! through (wire reference, section 5.3, 21 to 23).

use std::fmt;

use crate::proxy::aggregate::{Prefix, SpaceId};
use crate::stratum::{Extranonce1, Extranonce2, Extranonce2Size, FieldError};
use crate::util::format::count;

/// The split for one connection to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtranonceSplit {
    /// The size of extranonce2 at the pool.
    pub pool_size: Extranonce2Size,
    /// The size of extranonce2 that a miner is given.
    pub miner_size: Extranonce2Size,
}

/// The search space that the pool gave, and its split.
#[derive(Debug, Clone)]
pub(crate) struct ExtranonceSpace {
    pub(crate) space_id: SpaceId,
    pub(crate) extranonce1: Extranonce1,
    pub(crate) split: ExtranonceSplit,
}

/// The reason that the pool's search space can't be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitError {
    /// The extranonce2 is too short.
    Short { size: Extranonce2Size },
    /// With a prefix, the extranonce1 of this length is longer than [`Extranonce1::MAX`].
    Long { extranonce1: usize, prefix: usize },
}

impl ExtranonceSplit {
    /// Splits `size`. A miner gets 4 bytes, which every miner takes: 8 where 4 remain for the prefix, and 2
    /// where there are not 5. A NerdMiner knows no other sizes than 2, 4 and 8. From 9 to 11 it stays at 4:
    /// 2^32 of them for each job, time and version are more than any machine needs, and with 8 there would be
    /// as few as one byte for the prefix.
    ///
    /// # Errors
    /// When there are less than 3 bytes.
    pub fn of(size: Extranonce2Size) -> Result<ExtranonceSplit, SplitError> {
        let miner_size: u8 = match size.bytes() {
            0..=2 => return Err(SplitError::Short { size }),
            3..=4 => 2,
            5..=11 => 4,
            _ => 8,
        };
        let miner_size = Extranonce2Size::new(miner_size).map_err(|_| SplitError::Short { size })?;
        Ok(ExtranonceSplit { pool_size: size, miner_size })
    }

    /// Splits the search space that a pool gave, as [`ExtranonceSplit::of`] does, if every miner's extranonce1 has a
    /// valid length.
    ///
    /// # Errors
    /// [`SplitError`].
    pub fn of_space(extranonce1: &Extranonce1, size: Extranonce2Size) -> Result<ExtranonceSplit, SplitError> {
        let split = ExtranonceSplit::of(size)?;
        let (length, prefix) = (extranonce1.as_bytes().len(), split.prefix_width());
        if length + prefix > Extranonce1::MAX {
            return Err(SplitError::Long { extranonce1: length, prefix });
        }
        Ok(split)
    }

    /// The length of the prefix in bytes.
    pub fn prefix_width(self) -> usize {
        self.pool_size.bytes() - self.miner_size.bytes()
    }

    /// The number of miners that can be connected at once. The prefix of zeros only is never used.
    pub fn capacity(self) -> u64 {
        match self.prefix_width() {
            width @ 0..=7 => (1 << (8 * width)) - 1,
            _ => u64::MAX,
        }
    }

    /// The extranonce1 for the miner with `prefix`.
    ///
    /// # Errors
    /// When it would be longer than [`Extranonce1::MAX_READ`], which [`ExtranonceSplit::of_space`] rules out.
    pub fn extranonce1(self, pool: &Extranonce1, prefix: &Prefix) -> Result<Extranonce1, FieldError> {
        Extranonce1::from_bytes([pool.as_bytes(), prefix.as_bytes()].concat())
    }

    /// The extranonce2 that the pool gets for a share of the miner with `prefix`.
    pub fn upstream_extranonce2(self, prefix: &Prefix, miner: &Extranonce2) -> Extranonce2 {
        Extranonce2::from_bytes([prefix.as_bytes(), miner.as_bytes()].concat())
    }
}

impl ExtranonceSpace {
    /// Whether the pool gave it with these.
    pub(crate) fn is(&self, extranonce1: &Extranonce1, size: Extranonce2Size) -> bool {
        let bytes = self.split.prefix_width() + self.split.miner_size.bytes();
        self.extranonce1 == *extranonce1 && bytes == size.bytes()
    }
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitError::Short { size } => write!(
                f,
                "the pool's extranonce2 size is {size}: it must be at least 3 to be divided among miners; "
            ),
            SplitError::Long { extranonce1, prefix } => write!(
                f,
                "the pool's extranonce1 has {}: with {prefix} more for the miner's number \
                 it must have {} at most; ",
                count(*extranonce1 as u64, "byte"),
                Extranonce1::MAX
            ),
        }?;
        f.write_str("use another pool, or mode = \"passthrough\"")
    }
}

impl std::error::Error for SplitError {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::proxy::aggregate::group::prefixes::PrefixTable;

    fn size(bytes: u8) -> Extranonce2Size {
        Extranonce2Size::new(bytes).unwrap()
    }

    #[test]
    fn every_size_leaves_miners_a_size_that_a_nerdminer_knows() {
        for (whole, prefix, miner) in [
            (3, 1, 2),
            (4, 2, 2),
            (5, 1, 4),
            (6, 2, 4),
            (7, 3, 4),
            (8, 4, 4),
            (9, 5, 4),
            (11, 7, 4),
            (12, 4, 8),
            (16, 8, 8),
            (32, 24, 8),
        ] {
            let split = ExtranonceSplit::of(size(whole)).unwrap();
            assert_eq!((split.prefix_width(), split.miner_size.bytes()), (prefix, miner), "{whole}");
        }
        let capacity = |bytes| ExtranonceSplit::of(size(bytes)).unwrap().capacity();
        assert_eq!((capacity(3), capacity(4), capacity(8)), (255, 65_535, 4_294_967_295));
        assert_eq!((capacity(11), capacity(16), capacity(32)), ((1 << 56) - 1, u64::MAX, u64::MAX));
    }

    #[test]
    fn too_little_is_refused_in_words() {
        for bytes in 0..=2 {
            let error = ExtranonceSplit::of(size(bytes)).unwrap_err();
            assert!(
                error.to_string().contains(&format!("size is {bytes}: it must be at least 3")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_extranonce1_that_grows_too_long_is_refused() {
        let split = ExtranonceSplit::of(size(32)).unwrap();
        let prefix = PrefixTable::new(split).take().unwrap();
        let pool = |bytes| Extranonce1::from_bytes(vec![1; bytes]).unwrap();
        assert!(split.extranonce1(&pool(8), &prefix).is_ok());
        let too_much = Extranonce1::MAX_READ + 1 - prefix.as_bytes().len();
        assert!(split.extranonce1(&pool(too_much), &prefix).is_err());
        assert!(ExtranonceSplit::of_space(&pool(8), size(32)).is_ok());
        let error = ExtranonceSplit::of_space(&pool(9), size(32)).unwrap_err();
        assert_eq!(error, SplitError::Long { extranonce1: 9, prefix: 24 });
        assert!(error.to_string().contains("has 9 bytes: with 24 more"), "{error}");
    }

    proptest! {
        #[test]
        fn no_two_miners_do_the_same_work(
            bytes in 3..=16_u8,
            pool in prop_oneof![Just(Vec::new()), proptest::collection::vec(any::<u8>(), 0..=8)],
            counters in proptest::collection::vec(any::<u64>(), 1..5),
            miners in 2..40_usize,
        ) {
            let split = ExtranonceSplit::of(size(bytes)).unwrap();
            let pool = Extranonce1::from_bytes(pool).unwrap();
            let mut prefixes = PrefixTable::new(split);
            let mut seen = HashSet::new();
            let own: HashSet<_> =
                counters.iter().map(|counter| Extranonce2::from_counter(*counter, split.miner_size)).collect();
            for _ in 0..miners {
                let prefix = prefixes.take().unwrap();
                let extranonce1 = split.extranonce1(&pool, &prefix).unwrap();
                prop_assert!(!extranonce1.as_bytes().is_empty());
                for extranonce2 in &own {
                    let mined = [extranonce1.as_bytes(), extranonce2.as_bytes()].concat();
                    let upstream = split.upstream_extranonce2(&prefix, extranonce2);
                    prop_assert!(upstream.has_size(size(bytes)));
                    // The pool builds the same coinbase.
                    prop_assert_eq!([pool.as_bytes(), upstream.as_bytes()].concat(), mined.clone());
                    prop_assert!(seen.insert(mined));
                }
            }
        }

        #[test]
        fn braiins_empty_extranonce1_becomes_two_bytes(count in 1..300_usize) {
            let split = ExtranonceSplit::of(size(6)).unwrap();
            let mut prefixes = PrefixTable::new(split);
            let given: HashSet<_> = (0..count)
                .map(|_| split.extranonce1(&Extranonce1::default(), &prefixes.take().unwrap()).unwrap())
                .collect();
            prop_assert_eq!(given.len(), count);
            prop_assert!(given.iter().all(|extranonce1| extranonce1.as_bytes().len() == 2));
        }
    }
}
