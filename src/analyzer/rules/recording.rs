//! `record.failing`: are the records still written to the disk?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::{AlertContext, AlertType};
use crate::config::Severity;
use crate::record::{RecordingHealth, WriteError};

const FAILING: AlertType = ("record.failing", Severity::Medium);

/// The subject of alerts about a disk that is too slow or hangs.
const TOO_SLOW: &str = "the disk";

/// The time after which a write counts as hanging. An SD card that erases its blocks needs a second or two.
const MAX_WRITE_TIME: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub(in super::super) struct RecordingRules {
    /// The errors with which files could not be written at the last tick.
    failing: BTreeSet<String>,
    /// The rows that had been dropped at the last tick.
    dropped: u64,
}

impl RecordingRules {
    /// Checks the recorder's health. There are only a few files, so their number needs no bound.
    pub(in super::super) fn tick(&mut self, health: &RecordingHealth, context: &mut AlertContext<'_>) {
        // One full disk is one alert, whichever files it is about.
        let mut by_error: BTreeMap<&str, Vec<&WriteError>> = BTreeMap::new();
        for failure in &health.write_errors {
            by_error.entry(&failure.error).or_default().push(failure);
        }
        let mut failing = BTreeSet::new();
        for (error, errors) in by_error {
            let files: Vec<String> =
                errors.iter().map(|failure| failure.file.display().to_string()).collect();
            let since = errors.iter().map(|failure| failure.since).min_by_key(|since| since.timestamp());
            context.raise(FAILING, error, || {
                let description = format!(
                    "{} can't be written: {error}; rows are kept in memory (256 KiB for each file) and are lost when \
                     that is full, while forwarding goes on; free some space, or check the disk",
                    files.join(", ")
                );
                (description, json!({
                    "files": files,
                    "error": error,
                    "since": since.map(|since| since.to_string()),
                    "lost_rows": health.lost,
                    "dropped_rows": health.dropped,
                }))
            });
            failing.insert(error.to_owned());
        }
        for subject in self.failing.difference(&failing) {
            context.resolve(FAILING.0, subject);
        }
        self.failing = failing;
        let dropped = health.dropped.saturating_sub(self.dropped);
        self.dropped = health.dropped;
        let blocked = health.blocked_for.filter(|time| *time >= MAX_WRITE_TIME);
        if let Some(time) = blocked {
            context.raise(FAILING, TOO_SLOW, || {
                let seconds = time.as_secs();
                let description = format!(
                    "the disk hangs: a write has taken {seconds} s so far; rows are kept in memory and are lost when \
                     that is full, while forwarding goes on; check the disk"
                );
                (description, json!({
                    "seconds": seconds,
                    "lost_rows": health.lost,
                    "dropped_rows": health.dropped,
                }))
            });
        } else if dropped > 0 {
            context.raise(FAILING, TOO_SLOW, || {
                let description = String::from(
                    "rows of the records are dropped, because the disk is too slow or hangs; use a faster disk, or \
                     switch off record.timing or record.geek",
                );
                (description, json!({ "lost_rows": health.lost, "dropped_rows": health.dropped }))
            });
        } else {
            context.resolve(FAILING.0, TOO_SLOW);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{test_clock, test_time};
    use super::*;
    use crate::analyzer::alerts::AlertBook;
    use crate::record::AlertKind;

    #[test]
    fn the_alert_begins_with_a_failed_write_and_ends_a_minute_after_a_good_one() {
        let (mut alerts, mut recording) = (AlertBook::new(&[]), RecordingRules::default());
        let mut reported = Vec::new();
        for second in 0..200 {
            // One full disk, and so one alert.
            let files = ["data/shares.csv", "data/timing.csv", "data/state.json"];
            let failure = |file: &&str| WriteError {
                file: (*file).into(),
                error: String::from("No space left on device"),
                since: test_time(0),
            };
            let errors = if second < 60 { files.iter().map(failure).collect() } else { Vec::new() };
            // From the hundredth second on, rows come faster than the disk takes them, for a while.
            let dropped = u64::from((100..110).contains(&second)) * (second as u64);
            let blocked_for = Some(Duration::from_secs(second as u64 % 5));
            let health = RecordingHealth { dropped, lost: 0, write_errors: errors, blocked_for };
            let at = test_time(second);
            let tick = |context: &mut AlertContext<'_>| recording.tick(&health, context);
            let mut rows = AlertContext::for_tests(&mut alerts, &test_clock(), at, tick);
            rows.extend(alerts.expire(at));
            reported.extend(rows.into_iter().map(|row| (row.kind, row.severity, row.description)));
        }
        let kinds: Vec<_> = reported.iter().map(|(kind, ..)| *kind).collect();
        let (begins, ends) = (AlertKind::Begins, AlertKind::Ends);
        assert_eq!(kinds, [begins, begins, ends, ends], "{reported:#?}");
        assert!(reported.iter().all(|(_, severity, _)| *severity == Severity::Medium));
        assert!(reported[0].2.starts_with(
            "data/shares.csv, data/timing.csv, data/state.json can't be written: No space left on device"
        ));
        assert!(reported[1].2.contains("the disk is too slow"));
    }

    #[test]
    fn a_write_that_hangs_is_reported_before_any_row_is_dropped() {
        let (mut alerts, mut recording) = (AlertBook::new(&[]), RecordingRules::default());
        let begins = (0..60).find(|second| {
            let health = RecordingHealth {
                blocked_for: Some(Duration::from_secs(*second)),
                ..RecordingHealth::default()
            };
            let tick = |context: &mut AlertContext<'_>| recording.tick(&health, context);
            let rows = AlertContext::for_tests(&mut alerts, &test_clock(), test_time(*second as i64), tick);
            rows.iter().any(|row| row.description.contains("the disk hangs: a write has taken 8 s so far"))
        });
        assert_eq!(begins, Some(8));
    }
}
