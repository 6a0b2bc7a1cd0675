//! `pool.unreachable`: no pool of the list can be used.

use std::time::{Duration, Instant};

use serde_json::json;

use super::AlertContext;
use crate::clock::NtpTime;
use crate::config::Severity;

const UNREACHABLE: (&str, Severity) = ("pool.unreachable", Severity::High);
/// A router that restarts, or a line that drops, takes less in most cases; probes come every second at first.
const REPORT_AFTER: Duration = Duration::from_secs(30);
/// All pools together: there is one such state.
const SUBJECT: &str = "pools";

#[derive(Debug, Default)]
pub(super) struct UnreachableRule {
    /// Since when no pool can be used.
    none_since: Option<Instant>,
}

impl UnreachableRule {
    pub(super) fn set_usable(&mut self, are_usable: bool, now: Instant) {
        self.none_since = if are_usable { None } else { self.none_since.or(Some(now)) };
    }

    pub(super) fn tick(&mut self, now: Instant, at: NtpTime, context: &mut AlertContext<'_>) {
        let lasted = self.none_since.map(|since| now.saturating_duration_since(since));
        match lasted {
            Some(lasted) if lasted >= REPORT_AFTER => {
                let seconds = lasted.as_secs();
                context.raise_uncounted(UNREACHABLE, SUBJECT, at, || {
                    let description = format!(
                        "no pool of the list can be used for {seconds} s: miners that come are closed, and nobody \
                         mines; see the pools on the page for the reasons, check the line to the internet, or add \
                         an [[upstream]]"
                    );
                    (description, json!({ "seconds": seconds }))
                });
            }
            None if context.is_open(UNREACHABLE.0) => context.resolve(UNREACHABLE.0, SUBJECT, at),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::super::alerts::AlertBook;
    use super::*;
    use crate::clock::{ClockState, UnsyncReason};
    use crate::record::{AlertKind, SavedState};

    #[test]
    fn it_begins_after_half_a_minute_without_any_pool_and_ends_with_one() {
        let at = |second: u64| {
            NtpTime::from_timestamp(Timestamp::from_second(1_790_000_000 + second as i64).unwrap())
        };
        let (mut alerts, mut rule, began) = (AlertBook::new(&[]), UnreachableRule::default(), Instant::now());
        let mut reported = Vec::new();
        for second in 0..300 {
            let (now, mut rows) = (began + Duration::from_secs(second), Vec::new());
            // A short outage first, then a long one.
            let are_usable = !((5..25).contains(&second) || (50..120).contains(&second));
            rule.set_usable(are_usable, now);
            let mut context = AlertContext {
                alerts: &mut alerts,
                rows: &mut rows,
                upstreams: &[],
                clock: &ClockState::Unsynchronised { since: at(0), reason: UnsyncReason::Off },
                state: &mut SavedState::default(),
                unsaved: &mut false,
            };
            rule.tick(now, at(second), &mut context);
            rows.extend(alerts.expire(at(second)));
            reported.extend(rows.into_iter().map(|row| (second, row.kind, row.severity)));
        }
        assert_eq!(reported.len(), 2, "{reported:?}");
        assert_eq!(reported[0], (80, AlertKind::Begins, Severity::High));
        assert!(reported[1].0 >= 120 && reported[1].1 == AlertKind::Ends, "{reported:?}");
    }
}
