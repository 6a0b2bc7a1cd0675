//! Decides if the date is certain enough to delete old files. A file deleted because of a wrong clock is
//! lost, while keeping a file for some more hours costs nothing.

use std::time::Duration;

/// Time for which this machine's clock, NTP and the pools' jobs must have agreed on the day. A clock that
/// is wrong after a start is corrected within minutes. In three hours, NTP servers are queried three times
/// at the default interval, and a pool sends hundreds of jobs.
pub const MIN_AGREEMENT: Duration = Duration::from_secs(3 * 3600);

/// The certainty of the date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DateCertainty {
    /// The time sources have agreed for [`MIN_AGREEMENT`].
    Certain,
    /// The time sources agree, but not for long enough yet.
    NotYet,
    /// The time sources contradict each other, or one is missing.
    Doubtful(DateDoubt),
}

/// The reason why the date is uncertain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateDoubt {
    /// One sentence.
    pub reason: String,
    /// Two time sources contradict each other; otherwise one is missing, as after every start.
    pub is_contradiction: bool,
}

/// Tracks since when the time sources agree.
#[derive(Debug, Default)]
pub(super) struct DateAgreement {
    /// Measured by the steady clock.
    since: Option<Duration>,
}

impl DateAgreement {
    /// Records whether the time sources agree at `now`, measured by the steady clock.
    pub fn update(&mut self, verdict: Result<(), DateDoubt>, now: Duration) -> DateCertainty {
        if let Err(doubt) = verdict {
            self.since = None;
            return DateCertainty::Doubtful(doubt);
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_sub(since) >= MIN_AGREEMENT {
            DateCertainty::Certain
        } else {
            DateCertainty::NotYet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_certain_after_hours_of_agreement_and_a_doubt_restarts_them() {
        let mut agreement = DateAgreement::default();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(agreement.update(Ok(()), hours(100)), DateCertainty::NotYet);
        assert_eq!(agreement.update(Ok(()), hours(103)), DateCertainty::Certain);
        let doubt = DateDoubt { reason: "no answer".into(), is_contradiction: false };
        assert_eq!(agreement.update(Err(doubt.clone()), hours(104)), DateCertainty::Doubtful(doubt));
        assert_eq!(agreement.update(Ok(()), hours(105)), DateCertainty::NotYet);
        assert_eq!(agreement.update(Ok(()), hours(107)), DateCertainty::NotYet);
        assert_eq!(agreement.update(Ok(()), hours(108)), DateCertainty::Certain);
    }
}
