//! References in the virtual world: honest ones, and whatever somebody claims.

use std::sync::Arc;

use sluice::analyzer::ExternalUpdate;
use sluice::reference::Tip;
use sluice::stratum::Nbits;
use sluice::work::{BlockHash, Height, prevhash_of};

use super::{What, World};

/// A reference that is watched, and the seconds after a block at which it has it.
pub(super) struct Reference {
    name: Arc<str>,
    pub(super) delay: f64,
    height: u32,
    parent: BlockHash,
}

impl World {
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
