//! Times of the day, in the machine's time zone: `"08:00"` and `"22:00-07:00"`.

use std::fmt;

use jiff::civil::Time;

/// A part of each day. It may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    pub from: Time,
    /// The first moment after it; never equal to `from`.
    pub until: Time,
}

impl QuietHours {
    /// True if `time` is in this part of the day.
    pub fn contains(self, time: Time) -> bool {
        if self.from < self.until {
            (self.from..self.until).contains(&time)
        } else {
            time >= self.from || time < self.until
        }
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from.strftime("%H:%M"), self.until.strftime("%H:%M"))
    }
}

/// Parses `08:00` or `08:00:30`. The error describes a correct value.
pub(super) fn time_of_day(text: &str) -> Result<Time, String> {
    let wanted = || String::from("a time of the day from \"00:00\" to \"23:59\"");
    let format = match text.len() {
        5 => "%H:%M",
        8 => "%H:%M:%S",
        _ => return Err(wanted()),
    };
    Time::strptime(format, text).map_err(|_| wanted())
}

/// Parses `22:00-07:00`. The error describes a correct value.
pub(super) fn quiet_hours(text: &str) -> Result<QuietHours, String> {
    let wanted = || String::from("two different times of the day, such as \"22:00-07:00\"");
    let (from, until) = text.split_once('-').ok_or_else(wanted)?;
    let parse = |time: &str| time_of_day(time.trim()).map_err(|_| wanted());
    let hours = QuietHours { from: parse(from)?, until: parse(until)? };
    if hours.from == hours.until { Err(wanted()) } else { Ok(hours) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;

    #[test]
    fn quiet_hours_may_go_over_midnight() {
        let night = quiet_hours("22:00-07:00").unwrap();
        let siesta = quiet_hours("13:00 - 15:30:10").unwrap();
        for (hour, minute, at_night, at_siesta) in [
            (21, 59, false, false),
            (22, 0, true, false),
            (0, 0, true, false),
            (6, 59, true, false),
            (7, 0, false, false),
            (13, 0, false, true),
            (15, 30, false, true),
            (15, 31, false, false),
        ] {
            let now = time(hour, minute, 0, 0);
            assert_eq!((night.contains(now), siesta.contains(now)), (at_night, at_siesta), "{now}");
        }
        assert_eq!(night.to_string(), "22:00 to 07:00");
    }

    #[test]
    fn only_times_of_the_day_are_taken() {
        assert_eq!(time_of_day("08:05"), Ok(time(8, 5, 0, 0)));
        assert_eq!(time_of_day("23:59:59"), Ok(time(23, 59, 59, 0)));
        for wrong in ["", "8:00", "24:00", "08:60", "08-00", "+8:00", "08:00am", "08:0é"] {
            assert!(time_of_day(wrong).is_err(), "{wrong}");
        }
        for wrong in ["22:00", "22:00-", "07:00-07:00", "22:00-07:00-08:00", "22:00–07:00"] {
            assert!(quiet_hours(wrong).is_err(), "{wrong}");
        }
    }
}
