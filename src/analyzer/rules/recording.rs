//! `record.failing`: is what happens here still written down?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::AlertContext;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::{RecordingHealth, WriteError};

const FAILING: (&str, Severity) = ("record.failing", Severity::Medium);

/// The subject of rows that came faster than a working disk took them.
const TOO_SLOW: &str = "the disk";

/// A write that takes longer does not come back soon. An SD card that erases its blocks needs a second or two.
const MAX_WRITE_TIME: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub(super) struct RecordingRules {
    /// UnsyncReason files could not be written when last looked at.
    failing: BTreeSet<String>,
    /// Rows that had found no room when last looked at.
    dropped: u64,
}

impl RecordingRules {
    /// Looks at how the recording goes. The files are a handful, so their number needs no bound.
    pub(super) fn tick(&mut self, health: &RecordingHealth, now: NtpTime, context: &mut AlertContext<'_>) {
        // One full disk is one alert, whichever files it is about.
        let mut by_error: BTreeMap<&str, Vec<&WriteError>> = BTreeMap::new();
        for trouble in &health.write_errors {
            by_error.entry(&trouble.error).or_default().push(trouble);
        }
        let mut failing = BTreeSet::new();
        for (error, troubles) in by_error {
            let files: Vec<String> =
                troubles.iter().map(|trouble| trouble.file.display().to_string()).collect();
            let since = troubles.iter().map(|trouble| trouble.since).min_by_key(|since| since.timestamp());
            context.raise_uncounted(FAILING, error, now, || {
                let description = format!(
                    "{} can't be written: {error}; rows wait in memory (256 KiB for each file) and are lost when that \
                     is full, while forwarding goes on; make room, or see what is wrong with the disk",
                    files.join(", ")
                );
                let evidence = json!({
                    "files": files,
                    "error": error,
                    "since": since.map(|since| since.to_string()),
                    "lost_rows": health.lost,
                    "dropped_rows": health.dropped,
                });
                (description, evidence)
            });
            failing.insert(error.to_owned());
        }
        for subject in self.failing.difference(&failing) {
            context.resolve(FAILING.0, subject, now);
        }
        self.failing = failing;
        let dropped = health.dropped.saturating_sub(self.dropped);
        self.dropped = health.dropped;
        let blocked = health.blocked_for.filter(|time| *time >= MAX_WRITE_TIME);
        if let Some(time) = blocked {
            context.raise_uncounted(FAILING, TOO_SLOW, now, || {
                let seconds = time.as_secs();
                let description = format!(
                    "the disk hangs: it has held a write for {seconds} s; rows wait in memory and are lost when that is \
                     full, while forwarding goes on; see what is wrong with the disk"
                );
                let evidence = json!({
                    "seconds": seconds,
                    "lost_rows": health.lost,
                    "dropped_rows": health.dropped,
                });
                (description, evidence)
            });
        } else if dropped > 0 {
            context.raise_uncounted(FAILING, TOO_SLOW, now, || {
                let description = String::from(
                    "rows of the records are dropped, because the disk is too slow for them or hangs; use a faster disk, or \
                     switch off record.timing or record.geek",
                );
                (description, json!({ "lost_rows": health.lost, "dropped_rows": health.dropped }))
            });
        } else if context.is_open(FAILING.0) {
            context.resolve(FAILING.0, TOO_SLOW, now);
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
    fn it_begins_with_a_file_that_cannot_be_written_and_ends_a_minute_after_it_can() {
        let at =
            |seconds: i64| NtpTime::from_timestamp(Timestamp::from_second(1_790_000_000 + seconds).unwrap());
        let (mut alerts, mut recording) = (AlertBook::new(&[]), RecordingRules::default());
        let mut reported = Vec::new();
        for second in 0..200 {
            // One full disk, and so one alert.
            let files = ["data/shares.csv", "data/timing.csv", "data/state.json"];
            let trouble = |file: &&str| WriteError {
                file: (*file).into(),
                error: String::from("No space left on device"),
                since: at(0),
            };
            let troubles = if second < 60 { files.iter().map(trouble).collect() } else { Vec::new() };
            // From the hundredth second on, rows come faster than the disk takes them, for a while.
            let dropped = u64::from((100..110).contains(&second)) * (second as u64);
            let blocked_for = Some(Duration::from_secs(second as u64 % 5));
            let health = RecordingHealth { dropped, lost: 0, write_errors: troubles, blocked_for };
            let mut rows = Vec::new();
            let mut context = AlertContext {
                alerts: &mut alerts,
                rows: &mut rows,
                upstreams: &[],
                clock: &ClockState::Unsynchronised { since: at(0), reason: UnsyncReason::Off },
                state: &mut SavedState::default(),
                unsaved: &mut false,
            };
            recording.tick(&health, at(second), &mut context);
            rows.extend(alerts.expire(at(second)));
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
        let at = |seconds: u64| {
            NtpTime::from_timestamp(Timestamp::from_second(1_790_000_000 + seconds as i64).unwrap())
        };
        let (mut alerts, mut recording) = (AlertBook::new(&[]), RecordingRules::default());
        let begins = (0..60).find(|second| {
            let health = RecordingHealth {
                blocked_for: Some(Duration::from_secs(*second)),
                ..RecordingHealth::default()
            };
            let mut rows = Vec::new();
            let mut context = AlertContext {
                alerts: &mut alerts,
                rows: &mut rows,
                upstreams: &[],
                clock: &ClockState::Unsynchronised { since: at(0), reason: UnsyncReason::Off },
                state: &mut SavedState::default(),
                unsaved: &mut false,
            };
            recording.tick(&health, at(*second), &mut context);
            rows.iter().any(|row| row.description.contains("the disk hangs: it has held a write for 8 s"))
        });
        assert_eq!(begins, Some(8));
    }
}
