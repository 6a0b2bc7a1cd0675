//! Durations as people write them.

use std::time::Duration;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses a whole number with a unit: `"500ms"`, `"60s"`, `"5m"`, `"1h"`, `"1d"`.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*millis).map(Duration::from_millis)
}

/// Formats a duration as the configuration writes it, in the largest exact unit: `"5m"`.
pub fn format_duration(time: Duration) -> String {
    let millis = time.as_millis();
    if millis == 0 {
        return String::from("0s");
    }
    let fits = |unit: &&(&str, u64)| millis % u128::from(unit.1) == 0;
    let (name, unit) = UNITS.iter().find(fits).unwrap_or(&UNITS[4]);
    format!("{}{name}", millis / u128::from(*unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units() {
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("60s"), Some(Duration::from_secs(60)));
        assert_eq!(parse("5m"), Some(Duration::from_secs(300)));
        assert_eq!(parse("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(parse("1d"), Some(Duration::from_secs(86_400)));
        for wrong in
            ["", "60", "s", "1.5s", "-1s", "1 s", "1S", "1h30m", "99999999999999999999s", "9999999999999999d"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn shown_is_read_back(millis in 0u64..1_000_000_000_000) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format_duration(time)), Some(time));
        }
    }
}
