//! Points in time: UTC as they are served, in the visitor's zone where script runs.

use maud::{Markup, html};

use crate::clock::NtpTime;
use crate::status::snapshot::StatusSnapshot;

/// The time of day, `14:02 UTC`; with the date if that is not today's.
pub(super) fn moment(status: &StatusSnapshot, at: NtpTime) -> Markup {
    let format = if is_today(status, at) { "%H:%M UTC" } else { "%-d %b %H:%M UTC" };
    html! { time datetime=(at) data-show="minute" { (at.timestamp().strftime(format)) } }
}

/// The time of day with seconds, without a date.
pub(super) fn clock(at: NtpTime) -> Markup {
    html! { time datetime=(at) data-show="second" { (at.timestamp().strftime("%H:%M:%S UTC")) } }
}

/// The date.
pub(super) fn date(at: NtpTime) -> Markup {
    html! { time datetime=(at) data-show="date" { (at.timestamp().strftime("%-d %B %Y")) } }
}

/// The date and the time of day.
pub(super) fn date_and_time(at: NtpTime) -> Markup {
    html! { time datetime=(at) data-show="full" { (at.timestamp().strftime("%-d %B %Y, %H:%M UTC")) } }
}

fn is_today(status: &StatusSnapshot, at: NtpTime) -> bool {
    let day = |at: NtpTime| at.timestamp().strftime("%F").to_string();
    day(at) == day(status.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::page::tests::status;

    #[test]
    fn another_day_has_its_date() {
        let status = status();
        let time = |text: &str| moment(&status, text.parse().unwrap()).into_string();
        assert!(time("2026-11-21T11:02:30Z").ends_with("\"minute\">11:02 UTC</time>"));
        assert!(time("2026-11-20T11:02:30Z").ends_with(">20 Nov 11:02 UTC</time>"));
        assert!(date(status.at).into_string().contains("datetime=\"2026-11-21T12:00:00.000Z\""));
    }
}
