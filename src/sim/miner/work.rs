//! The work of a miner: a job, and the position in its search space.

use std::sync::Arc;

use super::model::{FoundShare, MinerModel};
use crate::stratum::{Difficulty, Extranonce1, Extranonce2Size, Nonce, Notify, VersionBits, VersionMask};
use crate::work::{BlockHash, Midstate, ShareValues, Target, share_difficulty};

/// A miner that rolls the version changes it after so many nonces, as if a chip had finished them.
const NONCES_PER_VERSION: u32 = 1 << 16;

/// And takes the next extranonce2 after so many versions.
const VERSIONS_PER_EXTRANONCE2: u32 = 8;

/// The number of a miner's connection, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionNumber(pub u64);

/// A job with all that is needed to hash it.
#[derive(Debug, Clone)]
pub(super) struct SimWork {
    pub job: Arc<Notify>,
    pub extranonce1: Extranonce1,
    pub extranonce2_size: Extranonce2Size,
    /// `None` when the version is not rolled.
    pub version_mask: Option<VersionMask>,
    pub difficulty: Difficulty,
    /// The connection of the job; its shares are worthless on any other.
    pub connection: ConnectionNumber,
    /// The number of the connection's job, counted from 1. The same one with another difficulty means the same search goes on.
    pub number: u64,
}

/// A place in a job's search space.
pub(super) struct Search {
    work: SimWork,
    habit: MinerModel,
    target: Target,
    extranonce2: u64,
    version_turn: u32,
    version_bits: VersionBits,
    nonce: Nonce,
    /// Nonces that are left before something else has to change.
    left: u64,
    midstate: Midstate,
}

impl Search {
    pub fn new(work: SimWork, habit: MinerModel) -> Search {
        let (midstate, version_bits) = prepare(&work, habit, 0, 0);
        Search {
            target: Target::from_difficulty(work.difficulty),
            extranonce2: 0,
            version_turn: 0,
            version_bits,
            nonce: habit.first_nonce(),
            left: nonces(&work),
            midstate,
            work,
            habit,
        }
    }

    /// The connection its shares belong to.
    pub fn connection(&self) -> ConnectionNumber {
        self.work.connection
    }

    /// Takes over `work`: from the beginning, or, if it is the same job, only its difficulty.
    pub fn switch(&mut self, work: SimWork) {
        if (work.connection, work.number) == (self.work.connection, self.work.number) {
            self.target = Target::from_difficulty(work.difficulty);
            self.work = work;
        } else {
            *self = Search::new(work, self.habit);
        }
    }

    /// Tries one nonce. Gives the hash when its highest 32 bits are not above `interesting`, or
    /// when it could be a share.
    pub fn step(&mut self, interesting: u32) -> Option<(Nonce, BlockHash)> {
        if self.left == 0 {
            self.advance();
        }
        let nonce = self.nonce;
        self.nonce = Nonce(nonce.0.wrapping_add(1));
        self.left -= 1;
        let high = self.midstate.hash_high(nonce);
        if high > interesting && high > self.target.high() {
            return None;
        }
        Some((nonce, self.midstate.hash(nonce)))
    }

    /// True if a hash is a share, as this miner sees it.
    pub fn is_share(&self, hash: &BlockHash) -> bool {
        if self.habit.is_strict() {
            share_difficulty(hash) > self.work.difficulty.value()
        } else {
            self.target.is_met_by(hash)
        }
    }

    /// The share of the last step.
    pub fn share(&self, nonce: Nonce) -> FoundShare {
        FoundShare {
            job_id: self.work.job.job_id.clone(),
            extranonce2: self.habit.extranonce2(self.extranonce2, self.work.extranonce2_size),
            ntime: self.work.job.ntime,
            nonce,
            version_bits: self.version_bits,
            rolling: self.work.version_mask.is_some(),
        }
    }

    fn advance(&mut self) {
        self.version_turn += 1;
        if self.work.version_mask.is_none() || self.version_turn % VERSIONS_PER_EXTRANONCE2 == 0 {
            self.extranonce2 += 1;
        }
        (self.midstate, self.version_bits) =
            prepare(&self.work, self.habit, self.extranonce2, self.version_turn);
        self.nonce = self.habit.first_nonce();
        self.left = nonces(&self.work);
    }
}

fn nonces(work: &SimWork) -> u64 {
    if work.version_mask.is_some() { u64::from(NONCES_PER_VERSION) } else { 1 << 32 }
}

fn prepare(
    work: &SimWork,
    habit: MinerModel,
    extranonce2: u64,
    version_turn: u32,
) -> (Midstate, VersionBits) {
    let (version, bits) = match work.version_mask {
        Some(mask) => habit.roll(work.job.version, mask, version_turn),
        None => (work.job.version, VersionBits(0)),
    };
    let values = ShareValues {
        extranonce2: habit.extranonce2(extranonce2, work.extranonce2_size),
        ntime: work.job.ntime,
        nonce: Nonce(0),
        version,
    };
    (Midstate::new(&values.header(&work.job, &work.extranonce1)), bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::Version;
    use std::collections::HashSet;

    fn work(version_mask: Option<VersionMask>) -> SimWork {
        SimWork {
            job: Arc::new(Notify::with_coinbase(vec![1], vec![2])),
            extranonce1: Extranonce1::default(),
            extranonce2_size: Extranonce2Size::new(4).unwrap(),
            version_mask,
            difficulty: Difficulty::new(1e-5).unwrap(),
            connection: ConnectionNumber(1),
            number: 1,
        }
    }

    #[test]
    fn no_place_is_searched_twice() {
        let mut search = Search::new(work(Some(VersionMask::BIP320)), MinerModel::Bitaxe);
        let mut places = HashSet::new();
        for _ in 0..20 {
            let share = search.share(search.nonce);
            assert!(places.insert((share.extranonce2, share.version_bits)));
            search.left = 0;
            search.step(0);
        }
        assert!(search.extranonce2 >= 2);
    }

    #[test]
    fn a_share_is_found_where_its_submit_says() {
        let work = work(Some(VersionMask::BIP320));
        let mut search = Search::new(work.clone(), MinerModel::Bitaxe);
        let mut found = 0;
        while found < 3 {
            let Some((nonce, hash)) = search.step(0) else {
                continue;
            };
            if !search.is_share(&hash) {
                continue;
            }
            let share = search.share(nonce);
            let version = work.job.version.0 | share.version_bits.0;
            let values = ShareValues {
                extranonce2: share.extranonce2,
                ntime: share.ntime,
                nonce,
                version: Version(version),
            };
            assert_eq!(values.header(&work.job, &work.extranonce1).hash(), hash);
            found += 1;
        }
    }

    #[test]
    fn a_new_difficulty_does_not_restart_the_search() {
        let mut search = Search::new(work(None), MinerModel::NerdMiner);
        search.step(0);
        let eased = SimWork { difficulty: Difficulty::new(1e-9).unwrap(), ..work(None) };
        search.switch(eased);
        assert_eq!(search.nonce, Nonce(0xda54_e701));
        for other in
            [SimWork { number: 2, ..work(None) }, SimWork { connection: ConnectionNumber(2), ..work(None) }]
        {
            search.switch(other);
            assert_eq!(search.nonce, Nonce(0xda54_e700));
            search.step(0);
        }
    }
}
