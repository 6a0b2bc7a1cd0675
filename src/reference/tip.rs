//! The block a reference works on, and when it is published: each change once, at a limited rate, and an
//! unchanged tip at long intervals.

use std::sync::Arc;
use std::time::Instant;

use super::status::ReferenceStatus;
use super::timings::ReferenceTimings;
use crate::net::Stamp;
use crate::stratum::{Nbits, PrevHash};
use crate::work::Height;

/// The block that a reference works on.
#[derive(Debug, Clone, PartialEq)]
pub struct Tip {
    /// Host and port of the reference, as configured.
    pub source: Arc<str>,
    /// The height of the block to be found: one above the newest.
    pub height: Height,
    /// The newest block.
    pub prevhash: PrevHash,
    /// The target of the block to be found, or of the newest.
    pub nbits: Nbits,
    /// When the reference sent it.
    pub at: Stamp,
}

/// Publishes the tip of one reference. However fast the tip changes, only the newest is kept.
#[derive(Debug)]
pub(super) struct TipPublisher<T> {
    status: Arc<ReferenceStatus>,
    publish: T,
    timings: ReferenceTimings,
    newest: Option<Tip>,
    published: Option<(Height, PrevHash, Instant)>,
}

impl<T: Fn(Tip)> TipPublisher<T> {
    pub(super) fn new(
        status: Arc<ReferenceStatus>,
        publish: T,
        timings: &ReferenceTimings,
    ) -> TipPublisher<T> {
        TipPublisher { status, publish, timings: timings.clone(), newest: None, published: None }
    }

    /// Sets the newest tip. The next [`TipPublisher::publish_due`] publishes it if that is due.
    pub(super) fn set_tip(&mut self, tip: Tip) {
        let is_known = |known: &Tip| known.height == tip.height && known.prevhash == tip.prevhash;
        if self.newest.as_ref().is_some_and(is_known) {
            return;
        }
        // An unchanged tip after a reconnect keeps the time when it was first seen.
        if !self.status.view().tip.as_ref().is_some_and(is_known) {
            self.status.set_tip(&tip);
        }
        self.newest = Some(tip);
    }

    /// Forgets the newest tip: the reference no longer tells what it works on.
    pub(super) fn clear(&mut self) {
        self.newest = None;
    }

    /// Publishes the newest tip if it has changed, or if it is time to repeat it.
    pub(super) fn publish_due(&mut self, now: Instant) {
        let Some(newest) = &self.newest else { return };
        let tip = match self.published {
            None => newest.clone(),
            Some((height, prevhash, at)) => {
                let since = now.saturating_duration_since(at);
                if (height, prevhash) != (newest.height, newest.prevhash) {
                    if since < self.timings.min_gap {
                        return;
                    }
                    newest.clone()
                } else if since >= self.timings.repeat_after {
                    // The reference still works on it now.
                    Tip { at: Stamp::now(), ..newest.clone() }
                } else {
                    return;
                }
            }
        };
        self.published = Some((tip.height, tip.prevhash, now));
        (self.publish)(tip);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::super::status::ReferenceKind;
    use super::*;

    fn tip(height: u32) -> Tip {
        Tip {
            source: "r:1".into(),
            height: Height(height),
            prevhash: PrevHash::from_wire_bytes([height as u8; 32]),
            nbits: Nbits(0x1702_3a04),
            at: Stamp::from_nanos(u64::from(height)),
        }
    }

    #[test]
    fn changes_are_rate_limited_and_an_unchanged_tip_is_repeated() {
        let published = RefCell::new(Vec::new());
        let status = Arc::new(ReferenceStatus::new("r:1", ReferenceKind::Pool));
        let mut publisher = TipPublisher::new(
            status,
            |tip: Tip| published.borrow_mut().push(tip.height.0),
            &ReferenceTimings::default(),
        );
        let start = Instant::now();
        for step in 0..3000 {
            publisher.set_tip(tip(step % 2 + 1));
            publisher.publish_due(start + Duration::from_millis(u64::from(step)));
        }
        assert_eq!(published.borrow().len(), 3, "one a second");
        published.borrow_mut().clear();
        let start = start + Duration::from_secs(10);
        publisher.set_tip(tip(7));
        for second in 0..600 {
            publisher.set_tip(tip(7));
            publisher.publish_due(start + Duration::from_secs(second));
        }
        assert_eq!(*published.borrow(), [7; 5], "every two minutes");
        publisher.clear();
        publisher.publish_due(start + Duration::from_secs(10_000));
        assert_eq!(published.borrow().len(), 5);
    }
}
