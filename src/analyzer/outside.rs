//! What is heard beside the miners' conversations: other views of the chain, and the pool's books.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::pool_stats::PoolFigures;
use crate::reference;

/// News come every few seconds at most, and are taken twice a second.
pub(super) const ROOM: usize = 256;

/// News from outside.
#[derive(Debug, Clone)]
pub enum Outside {
    /// What a reference works on.
    Tip(reference::Tip),
    /// What the pool publishes.
    Figures(Arc<PoolFigures>),
}

/// The way to the analyzer. Who finds it full drops the news: there will be others.
pub fn outside() -> (Sender<Outside>, Receiver<Outside>) {
    bounded(ROOM)
}
