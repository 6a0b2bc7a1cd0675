//! The best shares of this run and of this day.

use crate::clock::NtpTime;
use crate::record::{BestShare, SavedState};

/// The best shares of this run and of this day. The best ever are in [`SavedState`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BestShares {
    pub run: Option<BestShare>,
    /// Since midnight, UTC.
    pub day: Option<BestShare>,
}

impl BestShares {
    /// The best shares after a restart: shares found earlier today still count for the day.
    pub(super) fn since_restart(state: &SavedState, now: NtpTime) -> BestShares {
        BestShares { run: None, day: best_of_day(state, now) }
    }

    pub(super) fn take(&mut self, share: &BestShare, state: &SavedState) {
        if self.day.as_ref().is_none_or(|best| best.at.date() != share.at.date()) {
            // A new day has begun, or the clock was corrected and the state already has this day's best.
            self.day = best_of_day(state, share.at);
        }
        for best in [&mut self.run, &mut self.day] {
            if best.as_ref().is_none_or(|best| share.difficulty > best.difficulty) {
                *best = Some(share.clone());
            }
        }
    }
}

/// The best share of this day, if it is among the best ever.
fn best_of_day(state: &SavedState, day: NtpTime) -> Option<BestShare> {
    state.best().iter().find(|best| best.at.date() == day.date()).cloned()
}
