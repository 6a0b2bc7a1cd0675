//! References in the virtual world: honest ones, and whatever somebody claims; and the states of the pools, as connecting
//! and probing know them.

use std::sync::Arc;

use sluice::analyzer::{ExternalUpdate, PoolReach};
use sluice::reference::Tip;
use sluice::stratum::Nbits;
use sluice::upstream::PoolStatus;
use sluice::work::{BlockHash, Height, prevhash_of};

use super::{Pool, What, World};

/// A reference that is watched, and the seconds after a block at which it has it.
pub(super) struct Reference {
    name: Arc<str>,
    pub(super) delay: f64,
    height: u32,
    parent: BlockHash,
}

impl World {
    /// The pool fails now, and every miner is disconnected from it.
    pub fn fail_pool(&mut self, pool: usize) {
        self.pools[pool].status = PoolStatus::Failed;
        for miner in self.miners_of(pool) {
            self.disconnect(miner, true);
        }
    }

    /// The pool works again.
    pub fn recover_pool(&mut self, pool: usize) {
        self.pools[pool].status = PoolStatus::Up;
    }

    fn miners_of(&self, pool: usize) -> Vec<usize> {
        let is_there = |miner: &usize| {
            self.miners[*miner].session.is_some_and(|session| self.sessions[session].pool == pool)
        };
        (0..self.miners.len()).filter(is_there).collect()
    }

    /// Tells the analyzer how the pools are, if that has changed, as the program does before each tick.
    pub(super) fn tell_pools(&mut self) {
        let reach = |(place, pool): (usize, &Pool)| PoolReach {
            name: format!("pool{place}.example:3333"),
            rank: Some(place),
            status: pool.status,
            gives_no_work: false,
            reason: (pool.status == PoolStatus::Failed).then(|| String::from("connection refused")),
            is_in_use: !self.miners_of(place).is_empty(),
        };
        let pools: Vec<PoolReach> = self.pools.iter().enumerate().map(reach).collect();
        if self.told != pools {
            self.told.clone_from(&pools);
            self.replay.external_update(&ExternalUpdate::Pools(pools.into()));
        }
    }

    /// A reference that has each block so many seconds after it was found.
    pub fn reference(&mut self, name: &str, delay: f64) {
        let (height, parent) = (self.height, self.tip);
        self.references.push(Reference { name: name.into(), delay, height, parent });
        self.after(1.0, What::Repeats(self.references.len() - 1));
    }

    /// Somebody finds a block now.
    pub fn find_block(&mut self) {
        self.after(0.0, What::Block);
    }

    /// The network's newest block, and its height.
    pub fn newest(&self) -> (u32, BlockHash) {
        (self.height, self.tip)
    }

    /// Somebody says that it works on the block above this one.
    pub fn claim(&mut self, name: &str, (height, parent): (u32, BlockHash), nbits: u32) {
        let (height, at) = (Height(height + 1), self.stamp());
        let tip =
            Tip { source: name.into(), height, prevhash: prevhash_of(&parent), nbits: Nbits(nbits), at };
        self.replay.external_update(&ExternalUpdate::Tip(tip));
    }

    pub(super) fn hears(&mut self, place: usize) {
        (self.references[place].height, self.references[place].parent) = (self.height, self.tip);
        self.tell(place);
    }

    pub(super) fn repeats(&mut self, place: usize) {
        self.tell(place);
        self.after(120.0, What::Repeats(place));
    }

    fn tell(&mut self, place: usize) {
        let Reference { name, height, parent, .. } = &self.references[place];
        let (name, newest) = (name.clone(), (*height, *parent));
        self.claim(&name, newest, self.network);
    }
}
