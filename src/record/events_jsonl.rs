//! A line of `events.jsonl`, and the newest lines read back at the start.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use log::warn;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::json::{self, escape_json};
use super::names::{FileName, rotated_files};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::util::escape::line_text;

/// Caps the characters of a text, and of the name of a worker or pool.
const MAX_TEXT: usize = 512;
const MAX_NAME: usize = 160;
/// Caps the bytes of an event's data; larger data is replaced by a note.
const MAX_DATA: usize = 4 * 1024;

/// The bytes that are read back from the end of a file, about a thousand events.
const MAX_READ_BACK: u64 = 512 * 1024;
/// Caps the bytes of a compressed file that are decompressed to find its end.
const MAX_DECOMPRESSED: u64 = 8 << 20;

/// One event of the time line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    #[serde(with = "json::time")]
    pub at: NtpTime,
    /// Such as `pool.failed`.
    pub kind: Cow<'static, str>,
    #[serde(with = "severity")]
    pub severity: Severity,
    /// The thing that the event is about: a worker, a pool, the id of a rule.
    pub subject: String,
    pub worker: Option<String>,
    /// The pool's host and port.
    pub upstream: Option<String>,
    /// One sentence.
    pub text: String,
    /// Facts for programs.
    #[serde(default)]
    pub data: Value,
}

impl EventRow {
    /// An event without worker, pool and data.
    pub fn new(
        at: NtpTime,
        (kind, severity): (&'static str, Severity),
        subject: &str,
        text: impl Into<String>,
    ) -> EventRow {
        let (subject, text) = (line_text(subject, MAX_NAME), line_text(&text.into(), MAX_TEXT));
        let kind = Cow::Borrowed(kind);
        EventRow { at, kind, severity, subject, worker: None, upstream: None, text, data: json!({}) }
    }

    #[must_use]
    pub fn with_worker(self, worker: &str) -> EventRow {
        EventRow { worker: Some(line_text(worker, MAX_NAME)), ..self }
    }

    #[must_use]
    pub fn with_upstream(self, upstream: &str) -> EventRow {
        EventRow { upstream: Some(line_text(upstream, MAX_NAME)), ..self }
    }

    #[must_use]
    pub fn with_data(self, data: Value) -> EventRow {
        EventRow { data: bounded(data), ..self }
    }

    /// The line with its newline.
    pub(super) fn to_line(&self) -> String {
        // Texts as keys, so this can't fail.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{}\n", escape_json(&json))
    }

    /// Reads a line. `None` if it is none of Sluice's.
    fn parse(line: &str) -> Option<EventRow> {
        let event: EventRow = serde_json::from_str(line).ok()?;
        let name = |name: Option<String>| name.map(|name| line_text(&name, MAX_NAME));
        Some(EventRow {
            kind: Cow::Owned(line_text(&event.kind, MAX_NAME)),
            subject: line_text(&event.subject, MAX_NAME),
            worker: name(event.worker),
            upstream: name(event.upstream),
            text: line_text(&event.text, MAX_TEXT),
            data: bounded(event.data),
            ..event
        })
    }
}

fn bounded(data: Value) -> Value {
    let bytes = data.to_string().len();
    if bytes > MAX_DATA { json!({ "left_out": "too long", "bytes": bytes }) } else { data }
}

/// Reads the newest `max` events back, newest first: from `events.jsonl`, and from the newest rotated file if that has
/// fewer. Torn and foreign lines are skipped. It does not fail: a file that can't be read has no events.
pub(super) fn newest_events(dir: &Path, max: usize) -> Vec<EventRow> {
    let mut events = Vec::new();
    for path in files(dir) {
        match last_lines(&path, max - events.len()) {
            Ok(lines) => events.extend(lines.iter().rev().filter_map(|line| EventRow::parse(line))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!("{}: {error}; the events in it are not read back", path.display()),
        }
        if events.len() >= max {
            break;
        }
    }
    events
}

/// The live file, and the newest rotated one.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut rotated = rotated_files(dir).unwrap_or_default();
    rotated.retain(|(_, rotated)| rotated.file == FileName::EVENTS);
    let newest = rotated.into_iter().max_by_key(|(_, rotated)| (rotated.date, rotated.number));
    let live = dir.join(FileName::EVENTS.live());
    std::iter::once(live).chain(newest.map(|(path, _)| path)).collect()
}

/// The last lines of a file, at most `max`, the newest last.
fn last_lines(path: &Path, max: usize) -> io::Result<VecDeque<String>> {
    let mut file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        return collect_lines(GzDecoder::new(file).take(MAX_DECOMPRESSED), max);
    }
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_READ_BACK)))?;
    collect_lines(file.take(MAX_READ_BACK), max)
}

fn collect_lines(source: impl Read, max: usize) -> io::Result<VecDeque<String>> {
    let mut lines = VecDeque::new();
    let mut reader = BufReader::new(source);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if lines.len() >= max {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(&line).into_owned());
        line.clear();
    }
    Ok(lines)
}

/// A severity as its word, for `#[serde(with = …)]`.
pub(super) mod severity {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::config::Severity;

    pub fn serialize<S: Serializer>(severity: &Severity, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(severity.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Severity, D::Error> {
        let word = String::deserialize(from)?;
        Severity::parse(&word).ok_or_else(|| D::Error::custom("not a severity"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn event(number: u32) -> EventRow {
        let at = "2026-11-21T01:53:42.5Z".parse().unwrap();
        EventRow::new(at, ("miner.gone", Severity::Info), "garage\n\u{202e}", format!("number {number}"))
            .with_worker("garage")
            .with_data(json!({ "number": number }))
    }

    #[test]
    fn a_line_is_one_object_with_the_keys_in_their_order() {
        let line = event(7).to_line();
        assert_eq!(
            line,
            "{\"at\":\"2026-11-21T01:53:42.500Z\",\"kind\":\"miner.gone\",\"severity\":\"info\",\
             \"subject\":\"garage\\\\n\\\\u{202e}\",\"worker\":\"garage\",\"upstream\":null,\"text\":\"number 7\",\
             \"data\":{\"number\":7}}\n"
        );
        assert_eq!(EventRow::parse(&line).unwrap().text, "number 7");
    }

    #[test]
    fn long_texts_and_data_are_cut() {
        let long = event(1).with_worker(&"w".repeat(9999)).with_data(json!({ "list": vec![7; 9999] }));
        assert!(long.to_line().len() < 2000, "{}", long.to_line());
        assert_eq!(long.data["left_out"], "too long");
    }

    #[test]
    fn the_newest_events_are_read_back_over_a_rotation_and_torn_lines() {
        let dir = tempfile::tempdir().unwrap();
        assert!(newest_events(dir.path(), 5).is_empty());
        let lines = |numbers: std::ops::Range<u32>| numbers.map(|number| event(number).to_line());
        let rotated: String = lines(0..1000).collect();
        fs::write(dir.path().join("events-2026-11-20.1.jsonl"), "nothing\n").unwrap();
        fs::write(dir.path().join("events-2026-11-20.2.jsonl"), rotated).unwrap();
        let live: String = lines(1000..1003).collect();
        fs::write(dir.path().join("events.jsonl"), format!("{live}{{\"at\":\"2026-1")).unwrap();
        let numbers = |max| {
            let events = newest_events(dir.path(), max);
            events.iter().map(|event| event.data["number"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(5), [1002, 1001, 1000, 999, 998]);
        assert_eq!(numbers(500).len(), 500);
    }
}
