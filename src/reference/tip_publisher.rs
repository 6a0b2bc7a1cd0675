//! What was heard, told: each change once, not too often, and again now and then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::poll_interval::PollInterval;
use super::tip::Tip;
use super::view::ReferenceStatus;
use crate::net::Stamp;
use crate::stratum::PrevHash;
use crate::work::Height;

/// Tells what a reference works on. However fast that changes, only the newest is kept.
#[derive(Debug)]
pub(super) struct TipPublisher<T> {
    book: Arc<ReferenceStatus>,
    tell: T,
    gap: Duration,
    repeat: Duration,
    newest: Option<Tip>,
    told: Option<(Height, PrevHash, Instant)>,
}

impl<T: Fn(Tip)> TipPublisher<T> {
    pub(super) fn new(book: Arc<ReferenceStatus>, tell: T, pace: &PollInterval) -> TipPublisher<T> {
        TipPublisher { book, tell, gap: pace.gap, repeat: pace.repeat, newest: None, told: None }
    }

    /// It works on this. Told by the next [`TipPublisher::pass`], if that is due.
    pub(super) fn hear(&mut self, tip: Tip) {
        let is_known = |known: &Tip| known.height == tip.height && known.prevhash == tip.prevhash;
        if self.newest.as_ref().is_some_and(is_known) {
            return;
        }
        // After a new connection it is not news that it stands where it stood.
        if !self.book.view().tip.as_ref().is_some_and(is_known) {
            self.book.tip(&tip);
        }
        self.newest = Some(tip);
    }

    /// Nothing more is known of what it works on.
    pub(super) fn lose(&mut self) {
        self.newest = None;
    }

    /// Time passes.
    pub(super) fn pass(&mut self, now: Instant) {
        let Some(newest) = &self.newest else { return };
        let tip = match self.told {
            None => newest.clone(),
            Some((height, prevhash, at)) => {
                let since = now.saturating_duration_since(at);
                if (height, prevhash) != (newest.height, newest.prevhash) {
                    if since < self.gap {
                        return;
                    }
                    newest.clone()
                } else if since >= self.repeat {
                    // It works on that at this moment, too.
                    Tip { at: Stamp::now(), ..newest.clone() }
                } else {
                    return;
                }
            }
        };
        self.told = Some((tip.height, tip.prevhash, now));
        (self.tell)(tip);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::view::ReferenceKind;
    use super::*;
    use crate::stratum::Nbits;

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
    fn a_flood_is_told_once_a_gap_and_what_stays_now_and_then() {
        let told = RefCell::new(Vec::new());
        let book = Arc::new(ReferenceStatus::new("r:1", ReferenceKind::Pool));
        let mut herald = TipPublisher::new(
            book,
            |tip: Tip| told.borrow_mut().push(tip.height.0),
            &PollInterval::default(),
        );
        let start = Instant::now();
        for step in 0..3000 {
            herald.hear(tip(step % 2 + 1));
            herald.pass(start + Duration::from_millis(u64::from(step)));
        }
        assert_eq!(told.borrow().len(), 3, "one a second");
        told.borrow_mut().clear();
        let start = start + Duration::from_secs(10);
        herald.hear(tip(7));
        for second in 0..600 {
            herald.hear(tip(7));
            herald.pass(start + Duration::from_secs(second));
        }
        assert_eq!(*told.borrow(), [7; 5], "every two minutes");
        herald.lose();
        herald.pass(start + Duration::from_secs(10_000));
        assert_eq!(told.borrow().len(), 5);
    }
}
