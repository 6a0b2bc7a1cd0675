//! What a reference works on.

use std::sync::Arc;

use crate::net::Stamp;
use crate::stratum::{Nbits, PrevHash};
use crate::work::Height;

/// The block that is being looked for, as somebody sees it with whom nobody mines.
#[derive(Debug, Clone, PartialEq)]
pub struct Tip {
    /// Who says so: host and port, as configured.
    pub source: Arc<str>,
    /// Of the block to be found: one above the newest.
    pub height: Height,
    /// The newest block.
    pub prevhash: PrevHash,
    /// The target of the block to be found, or of the newest.
    pub nbits: Nbits,
    /// When it was heard.
    pub at: Stamp,
}
