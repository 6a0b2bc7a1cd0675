//! Lines on their way to a peer: those that are sent now, and those that wait.

use std::sync::Arc;

use crate::net::Stamp;

/// Lines that belong together and are sent in one write, while they wait.
#[derive(Debug, Clone)]
pub(super) struct LineBatch {
    pub(super) bytes: Arc<[u8]>,
    /// The time from which their delay counts: when the lines that caused them were readable.
    pub(super) since: Stamp,
}

/// Lines that belong together and are sent in one write, now.
#[derive(Debug)]
pub(super) enum Lines<'a> {
    /// Lines for this peer alone.
    Own(&'a [u8]),
    /// Lines that several peers get.
    Shared(Arc<[u8]>),
}

impl Lines<'_> {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Lines::Own(bytes) => bytes,
            Lines::Shared(bytes) => bytes,
        }
    }

    /// The lines for the queue. Only those for this peer alone are copied.
    pub(super) fn into_batch(self, since: Stamp) -> LineBatch {
        let bytes = match self {
            Lines::Own(bytes) => bytes.into(),
            Lines::Shared(bytes) => bytes,
        };
        LineBatch { bytes, since }
    }
}
