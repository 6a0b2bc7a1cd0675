//! Durations for people.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / DAY, seconds / HOUR % 24, seconds / MINUTE % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// `0.4 s`, `91 s`, `180 s`, `5 min`: precise enough to compare with a configured time-out.
pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..10 if time.subsec_millis() > 0 => format!("{:.1} s", time.as_secs_f64()),
        short @ 0..300 => format!("{short} s"),
        _ => span(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_length() {
        assert_eq!(span(Duration::from_secs(90_061)), "1 d 1 h");
        let texts = [(400, "0.4 s"), (91_250, "91 s"), (180_000, "180 s"), (300_000, "5 min")];
        for (millis, text) in texts {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }
}
