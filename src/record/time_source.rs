//! The time that files are dated by, and how far it can be relied on.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::clock::{Clock, DateCertainty, NtpTime};

/// Tells the time.
pub trait TimeSource: Send + Sync + 'static {
    /// The time that days are counted by.
    fn now(&self) -> NtpTime;

    /// Whether files may be deleted because they are old.
    fn date_certainty(&self) -> DateCertainty;
}

impl TimeSource for Clock {
    fn now(&self) -> NtpTime {
        Clock::now(self)
    }

    fn date_certainty(&self) -> DateCertainty {
        Clock::date_certainty(self)
    }
}

/// A time that nobody vouches for: nothing is deleted by it.
impl<F: Fn() -> NtpTime + Send + Sync + 'static> TimeSource for F {
    fn now(&self) -> NtpTime {
        self()
    }

    fn date_certainty(&self) -> DateCertainty {
        DateCertainty::NotYet
    }
}

/// The day of a file's time, in UTC.
pub(super) fn day_of(time: SystemTime) -> Option<Date> {
    Timestamp::try_from(time).ok().map(|time| NtpTime::from_timestamp(time).date())
}
