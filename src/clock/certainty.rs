//! Whether the date is certain enough to delete files by. A file that was deleted because a clock was
//! wrong never comes back, while one that is kept some hours longer costs nothing.

use std::time::Duration;

/// How long this machine's clock, NTP and the pools' jobs must have agreed on the day. A clock that is
/// wrong after a start is put right within minutes; in three hours NTP servers are asked three times
/// at the usual interval, and a pool has sent hundreds of jobs.
pub const MIN_AGREEMENT: Duration = Duration::from_secs(3 * 3600);

/// How much the date can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DateCertainty {
    /// The witnesses have agreed for [`MIN_AGREEMENT`].
    Certain,
    /// The witnesses agree, but not for long enough yet.
    NotYet,
    /// The witnesses do not agree, or one is missing.
    Doubtful(DateDoubt),
}

/// Why the date can't be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateDoubt {
    /// One sentence.
    pub reason: String,
    /// Two witnesses contradict each other; otherwise one is missing, as after every start.
    pub is_contradiction: bool,
}

impl DateDoubt {
    pub(super) fn contradiction(reason: impl Into<String>) -> DateDoubt {
        DateDoubt { reason: reason.into(), is_contradiction: true }
    }

    pub(super) fn missing(reason: impl Into<String>) -> DateDoubt {
        DateDoubt { reason: reason.into(), is_contradiction: false }
    }
}

/// Since when the witnesses have agreed.
#[derive(Debug, Default)]
pub(super) struct DateAgreement {
    /// By the steady clock.
    since: Option<Duration>,
}

impl DateAgreement {
    /// Takes what the witnesses say at `now`, by the steady clock.
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
    fn the_date_is_certain_after_hours_of_agreement_and_a_doubt_begins_them_anew() {
        let mut agreement = DateAgreement::default();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(agreement.update(Ok(()), hours(100)), DateCertainty::NotYet);
        assert_eq!(agreement.update(Ok(()), hours(103)), DateCertainty::Certain);
        let doubt = DateDoubt::missing("no answer");
        assert_eq!(agreement.update(Err(doubt.clone()), hours(104)), DateCertainty::Doubtful(doubt));
        assert_eq!(agreement.update(Ok(()), hours(105)), DateCertainty::NotYet);
        assert_eq!(agreement.update(Ok(()), hours(107)), DateCertainty::NotYet);
        assert_eq!(agreement.update(Ok(()), hours(108)), DateCertainty::Certain);
    }
}
