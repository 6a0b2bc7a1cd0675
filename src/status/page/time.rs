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

fn is_today(status: &StatusSnapshot, at: NtpTime) -> bool {
    let day = |at: NtpTime| at.timestamp().strftime("%F").to_string();
    day(at) == day(status.at)
}
