//! The time that dates files, and its certainty.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::clock::{Clock, DateCertainty, NtpTime};

/// A source of the time.
pub trait TimeSource: Send + Sync + 'static {
    /// The present time, whose date decides about rotation.
    fn now(&self) -> NtpTime;

    /// The certainty of the date, which decides whether old files may be deleted.
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

/// An unverified time, by which no file is deleted.
impl<F: Fn() -> NtpTime + Send + Sync + 'static> TimeSource for F {
    fn now(&self) -> NtpTime {
        self()
    }

    fn date_certainty(&self) -> DateCertainty {
        DateCertainty::NotYet
    }
}

/// The UTC date of a file's time.
pub(super) fn day_of(time: SystemTime) -> Option<Date> {
    Timestamp::try_from(time).ok().map(|time| NtpTime::from_timestamp(time).date())
}
