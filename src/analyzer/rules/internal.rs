//! Faults that concern Sluice as a whole. `pool.unreachable`: no configured pool can be used. `internal.restarted`: a
//! thread of the program has panicked.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{AlertContext, AlertType};
use crate::config::Severity;
use crate::util::supervise::Restart;

const UNREACHABLE: AlertType = ("pool.unreachable", Severity::High);
const RESTARTED: AlertType = ("internal.restarted", Severity::High);
/// The time after which the state is reported. A router restart or a line that drops takes less in most cases, and
/// probes come every second at first.
const REPORT_AFTER: Duration = Duration::from_secs(30);
/// The subject, which is all pools together.
const SUBJECT: &str = "pools";

#[derive(Debug, Default)]
pub(in super::super) struct UnreachableRule {
    /// The time since which no pool can be used.
    none_since: Option<Instant>,
}

impl UnreachableRule {
    pub(in super::super) fn set_usable(&mut self, are_usable: bool, now: Instant) {
        self.none_since = if are_usable { None } else { self.none_since.or(Some(now)) };
    }

    pub(super) fn tick(&mut self, now: Instant, context: &mut AlertContext<'_>) {
        let lasted = self.none_since.map(|since| now.saturating_duration_since(since));
        match lasted {
            Some(lasted) if lasted >= REPORT_AFTER => {
                let seconds = lasted.as_secs();
                context.raise(UNREACHABLE, SUBJECT, || {
                    let description = format!(
                        "no configured pool has been usable for {seconds} s, so new miners are disconnected and nobody \
                         mines; see the pools on the page for the reasons, check the internet connection, or add \
                         an [[upstream]]"
                    );
                    (description, json!({ "seconds": seconds }))
                });
            }
            None => context.resolve(UNREACHABLE.0, SUBJECT),
            Some(_) => {}
        }
    }
}

/// Reports a thread that panicked and was restarted.
pub(in super::super) fn restarted(restart: &Restart, context: &mut AlertContext<'_>) {
    let Restart { thread, reason } = restart;
    context.report(RESTARTED, thread, || {
        let description = format!(
            "thread {thread} of sluice failed and was started again: {reason}. Forwarding went on; what this thread \
             was doing at that moment may be missing. This is a fault of sluice: please report it"
        );
        (description, json!({ "thread": thread, "reason": reason }))
    });
}

#[cfg(test)]
mod tests {
    use super::super::{test_clock, test_time};
    use super::*;
    use crate::analyzer::alerts::AlertBook;
    use crate::record::AlertKind;

    #[test]
    fn the_alert_begins_half_a_minute_after_the_last_pool_failed_and_ends_with_a_pool() {
        let (mut alerts, mut rule, began) = (AlertBook::new(&[]), UnreachableRule::default(), Instant::now());
        let mut reported = Vec::new();
        for second in 0..300 {
            let (now, at) = (began + Duration::from_secs(second), test_time(second as i64));
            // A short outage first, then a long one.
            let are_usable = !((5..25).contains(&second) || (50..120).contains(&second));
            rule.set_usable(are_usable, now);
            let tick = |context: &mut AlertContext<'_>| rule.tick(now, context);
            let mut rows = AlertContext::for_tests(&mut alerts, &test_clock(), at, tick);
            rows.extend(alerts.expire(at));
            reported.extend(rows.into_iter().map(|row| (second, row.kind, row.severity)));
        }
        assert_eq!(reported.len(), 2, "{reported:?}");
        assert_eq!(reported[0], (80, AlertKind::Begins, Severity::High));
        assert!(reported[1].0 >= 120 && reported[1].1 == AlertKind::Ends, "{reported:?}");
    }
}
