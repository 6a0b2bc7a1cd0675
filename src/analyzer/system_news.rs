//! Events about the program and its machine: start, stop, reload, clock, disk.

use serde_json::json;

use crate::clock::{ClockState, NtpTime, UnsyncReason};
use crate::config::Severity;
use crate::record::{EventRow, RecordingHealth};

type SystemEventType = (&'static str, Severity);

const START: SystemEventType = ("program.start", Severity::Info);
const STOP: SystemEventType = ("program.stop", Severity::Info);
const RELOAD: SystemEventType = ("program.reload", Severity::Info);
const CLOCK_SET: SystemEventType = ("clock.set", Severity::Info);
const CLOCK_SYNCHRONISED: SystemEventType = ("clock.synchronised", Severity::Info);
const CLOCK_LOST: SystemEventType = ("clock.unsynchronised", Severity::Low);
const DISK_FAILING: SystemEventType = ("disk.failing", Severity::Medium);
const DISK_WORKS: SystemEventType = ("disk.works", Severity::Info);

/// The subject of events about the program as a whole.
const PROGRAM: &str = "sluice";

/// The states of clock and disk as they were last told.
#[derive(Debug, Default)]
pub(super) struct SystemNews {
    /// Whether NTP time is known. `None` before the first answer.
    is_synchronised: Option<bool>,
    is_failing: bool,
}

impl SystemNews {
    /// The changes of clock and disk since the last call.
    pub(super) fn tick(
        &mut self,
        clock: &ClockState,
        recording: Option<&RecordingHealth>,
        at: NtpTime,
    ) -> Vec<EventRow> {
        let mut events = Vec::new();
        match clock {
            ClockState::Synchronised { offset, servers, .. } => {
                if self.is_synchronised.replace(true) != Some(true) {
                    let text = format!(
                        "NTP time is known: this machine's clock is off by {:.3} s",
                        offset.seconds()
                    );
                    let data = json!({ "offset_seconds": offset.seconds(), "servers": servers });
                    events.push(EventRow::new(at, CLOCK_SYNCHRONISED, "clock", text).with_data(data));
                }
            }
            ClockState::Unsynchronised { reason: UnsyncReason::Off | UnsyncReason::Starting, .. } => {}
            ClockState::Unsynchronised { reason, .. } => {
                if self.is_synchronised.replace(false) != Some(false) {
                    let text = format!("NTP time is not known: {reason}");
                    events.push(EventRow::new(at, CLOCK_LOST, "clock", text));
                }
            }
        }
        let failure = recording.and_then(|health| health.write_errors.first());
        match failure {
            Some(failure) if !self.is_failing => {
                let text = format!("{} can't be written: {}", failure.file.display(), failure.error);
                let data = json!({ "error": failure.error });
                events.push(EventRow::new(at, DISK_FAILING, "disk", text).with_data(data));
            }
            None if self.is_failing => {
                events.push(EventRow::new(at, DISK_WORKS, "disk", "records are written to the disk again"));
            }
            Some(_) | None => {}
        }
        self.is_failing = failure.is_some();
        events
    }
}

/// The start of the program. `last` is the newest event of the run before.
pub(super) fn start(last: Option<&EventRow>, at: NtpTime) -> EventRow {
    let version = env!("CARGO_PKG_VERSION");
    let is_unclean = last.is_some_and(|last| last.kind != STOP.0);
    let before = if is_unclean { "; the last run ended without a shutdown" } else { "" };
    let text = format!("Sluice {version} started{before}");
    EventRow::new(at, START, PROGRAM, text)
        .with_data(json!({ "version": version, "after_crash": is_unclean }))
}

/// The end of the program.
pub(super) fn stop(at: NtpTime) -> EventRow {
    EventRow::new(at, STOP, PROGRAM, "Sluice is shutting down")
}

/// A reload of these sections of the configuration.
pub(super) fn reload(sections: &[&str], at: NtpTime) -> EventRow {
    let text = format!("the configuration was reloaded: {}", sections.join(", "));
    EventRow::new(at, RELOAD, PROGRAM, text).with_data(json!({ "sections": sections }))
}

/// A step of this machine's clock.
pub(super) fn clock_set(at: NtpTime) -> EventRow {
    EventRow::new(at, CLOCK_SET, "clock", "this machine's clock was set")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Offset;
    use crate::record::WriteError;

    fn time(second: u32) -> NtpTime {
        format!("2026-11-21T01:00:{second:02}Z").parse().unwrap()
    }

    #[test]
    fn clock_and_disk_are_told_when_they_change() {
        let mut news = SystemNews::default();
        let off = ClockState::Unsynchronised { since: time(0), reason: UnsyncReason::Starting };
        let known = ClockState::Synchronised {
            offset: Offset::from_micros(1_500_000),
            error_bound: std::time::Duration::ZERO,
            servers: 3,
            at: time(0),
        };
        let lost =
            ClockState::Unsynchronised { since: time(0), reason: UnsyncReason::NoAnswer(String::from("x")) };
        let error = WriteError { file: "data/shares.csv".into(), error: "full".into(), since: time(0) };
        let failing = RecordingHealth { write_errors: vec![error], ..RecordingHealth::default() };
        let good = RecordingHealth::default();
        let mut kinds = Vec::new();
        for (clock, health) in [
            (&off, &good),
            (&known, &good),
            (&known, &failing),
            (&lost, &failing),
            (&lost, &good),
            (&known, &good),
        ] {
            let events = news.tick(clock, Some(health), time(1));
            kinds.extend(events.into_iter().map(|event| event.kind.into_owned()));
        }
        let expected = [
            "clock.synchronised",
            "disk.failing",
            "clock.unsynchronised",
            "disk.works",
            "clock.synchronised",
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn a_start_knows_whether_the_last_run_ended_in_order() {
        let ended = stop(time(1));
        assert!(!start(Some(&ended), time(2)).text.contains("without a shutdown"));
        assert!(!start(None, time(2)).text.contains("without a shutdown"));
        let began = start(None, time(2));
        assert!(start(Some(&began), time(3)).text.contains("without a shutdown"));
    }
}
