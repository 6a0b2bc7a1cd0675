//! The lines of `events.jsonl` and the entries of `alerts.log`: when pools, miners and Sluice itself were away, and what
//! was raised.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};

use serde::Deserialize;
use serde_json::Value;

use super::fields::{TimeParser, UnixMs, widen};
use super::selection::ReportSelection;
use super::text_lines::each_line;
use crate::config::Severity;

/// Caps the notes that are kept, the newest.
const MAX_NOTES: usize = 2000;
/// Caps the outages that are kept, the first.
const MAX_OUTAGES: usize = 1000;
/// Caps the pools and alert ids that are told apart.
const MAX_NAMES: usize = 200;
/// The beginnings of kinds that are notes although they are no trouble: what was away is back.
const SHOWN_KINDS: [&str; 5] = ["block.found", "miner.back", "pool.failed_back", "pool.returned", "program."];

/// Everything that was noted over time.
#[derive(Debug, Default)]
pub(super) struct TimeLine {
    /// The newest notes above info, returns, and those about the program.
    pub notes: VecDeque<TimedNote>,
    /// Notes that were left out because there are too many.
    pub left_out: u64,
    /// When pools were away.
    pub pool_outages: Vec<Outage>,
    /// When Sluice did not run.
    pub sluice_outages: Vec<Outage>,
    /// States that alerts reported, by rule and subject.
    pub alert_states: Vec<AlertState>,
    /// The alerts of each rule: how many began or happened.
    pub alert_counts: BTreeMap<String, (Severity, u64)>,
    /// The pools by their rank in the configuration.
    pub ranks: BTreeMap<u64, String>,
    pub events: u64,
    pub alerts: u64,
    /// The times of the first and the last event or alert.
    pub period: Option<(UnixMs, UnixMs)>,
    /// The directory of the events that were read last. What is open in it tells nothing about another Sluice.
    directory: Option<usize>,
    open_pools: BTreeMap<String, UnixMs>,
    stopped_at: Option<UnixMs>,
    last_event_at: Option<UnixMs>,
}

/// One thing on the time line.
#[derive(Debug, Clone)]
pub(super) struct TimedNote {
    pub at: UnixMs,
    pub severity: Severity,
    pub kind: String,
    pub text: String,
}

/// A time in which something was away.
#[derive(Debug, Clone)]
pub(super) struct Outage {
    pub subject: String,
    pub from: UnixMs,
    /// `None` if it still lasts at the end of the records.
    pub to: Option<UnixMs>,
    /// After a crash, the time of its beginning is not recorded.
    pub is_crash: bool,
    pub reason: String,
}

/// A state that an alert has reported.
#[derive(Debug, Clone)]
pub(super) struct AlertState {
    pub rule: String,
    pub upstream: Option<String>,
    pub worker: Option<String>,
    pub severity: Severity,
    pub from: UnixMs,
    pub to: Option<UnixMs>,
    pub text: String,
    pub data: Value,
}

/// A line of `events.jsonl`, as far as the report needs it.
#[derive(Deserialize)]
struct EventLine {
    at: String,
    kind: String,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    worker: Option<String>,
    #[serde(default)]
    upstream: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    data: Value,
}

impl TimeLine {
    /// Reads `events.jsonl` of the Sluice in this directory. Calls `damaged` with the line and the reason for each line that can't be used.
    ///
    /// # Errors
    /// Errors of the disk and of a damaged gzip.
    pub fn read_events(
        &mut self,
        source: impl Read,
        directory: usize,
        selection: &ReportSelection,
        mut damaged: impl FnMut(u64, &'static str),
    ) -> io::Result<()> {
        if self.directory.replace(directory).is_some_and(|before| before != directory) {
            self.leave_directory();
        }
        let mut times = TimeParser::default();
        each_line(source, |number, line| {
            let Some(line) = line else { return damaged(number, "longer than 64 KiB") };
            if line.trim().is_empty() {
                return;
            }
            let Ok(event) = serde_json::from_str::<EventLine>(line) else {
                return damaged(number, "no event");
            };
            let Some(at) = times.parse(&event.at) else { return damaged(number, "its time can't be read") };
            if selection.has_time(at) {
                self.event(at, event, selection);
            }
        })
    }

    fn event(&mut self, at: UnixMs, event: EventLine, selection: &ReportSelection) {
        self.events += 1;
        widen(&mut self.period, at);
        let severity = event.severity.as_deref().and_then(Severity::parse).unwrap_or(Severity::Info);
        let pool = event.upstream.clone().unwrap_or_else(|| event.subject.clone());
        if let Some(rank) = event.data.get("rank").and_then(Value::as_u64) {
            if self.ranks.len() < MAX_NAMES {
                self.ranks.insert(rank, pool.clone());
            }
        }
        let reason = || event.data.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
        match event.kind.as_str() {
            "pool.failed" | "pool.no_work" | "pool.blocked"
                if self.open_pools.len() < MAX_NAMES && !self.open_pools.contains_key(&pool) =>
            {
                self.open_pools.insert(pool.clone(), at);
                let outage = Outage { subject: pool, from: at, to: None, is_crash: false, reason: reason() };
                push_bounded(&mut self.pool_outages, outage, selection);
            }
            "pool.returned" | "pool.connected" => self.close_pool(&pool, at),
            "program.stop" => self.stopped_at = Some(at),
            "program.start" => self.started(at, &event.data),
            "alert.begun" | "alert.ended" | "alert.happened" => {
                self.alert_event(at, &event, severity, selection)
            }
            _ => {}
        }
        self.last_event_at = Some(at);
        // An alert's end is known from its beginning and its lane in the plot.
        let is_above_info = severity > Severity::Info && event.kind != "alert.ended";
        let is_shown = is_above_info || SHOWN_KINDS.iter().any(|kind| event.kind.starts_with(kind));
        let is_selected = selection.has_subjects(event.worker.as_deref(), event.upstream.as_deref());
        if is_shown && is_selected {
            self.note(TimedNote { at, severity, kind: event.kind, text: event.text });
        }
    }

    /// Forgets what is open: the next events are another Sluice's. A pool's state is not known after a stop.
    fn leave_directory(&mut self) {
        if let Some(stopped) = self.stopped_at.take() {
            self.close_pools(stopped);
        }
        self.open_pools.clear();
        self.last_event_at = None;
    }

    fn close_pools(&mut self, at: UnixMs) {
        for pool in self.open_pools.keys().cloned().collect::<Vec<_>>() {
            self.close_pool(&pool, at);
        }
    }

    fn close_pool(&mut self, pool: &str, at: UnixMs) {
        if self.open_pools.remove(pool).is_some() {
            let open = self
                .pool_outages
                .iter_mut()
                .rev()
                .find(|outage| outage.subject == pool && outage.to.is_none());
            if let Some(open) = open {
                open.to = Some(at.max(open.from));
            }
        }
    }

    fn started(&mut self, at: UnixMs, data: &Value) {
        let is_crash = data.get("after_crash").and_then(Value::as_bool).unwrap_or(false);
        let from = self.stopped_at.take().filter(|stopped| *stopped <= at);
        if from.is_some() || is_crash {
            let outage = Outage {
                subject: String::from("sluice"),
                from: from.or(self.last_event_at).unwrap_or(at).min(at),
                to: Some(at),
                is_crash: from.is_none(),
                reason: String::new(),
            };
            if self.sluice_outages.len() < MAX_OUTAGES {
                self.sluice_outages.push(outage);
            }
        }
        // A pool's state is not known over a restart.
        self.close_pools(at);
    }

    fn alert_event(
        &mut self,
        at: UnixMs,
        event: &EventLine,
        severity: Severity,
        selection: &ReportSelection,
    ) {
        let rule = &event.subject;
        let is_same = |state: &&mut AlertState| {
            state.rule == *rule
                && state.upstream == event.upstream
                && state.worker == event.worker
                && state.to.is_none()
        };
        if event.kind == "alert.ended" {
            if let Some(state) = self.alert_states.iter_mut().rev().find(is_same) {
                state.to = Some(at);
            }
            return;
        }
        if !selection.has_subjects(event.worker.as_deref(), event.upstream.as_deref()) {
            return;
        }
        let state = AlertState {
            rule: rule.clone(),
            upstream: event.upstream.clone(),
            worker: event.worker.clone(),
            severity,
            from: at,
            to: (event.kind == "alert.happened").then_some(at),
            text: event.text.clone(),
            data: event.data.clone(),
        };
        if self.alert_states.len() < MAX_NOTES {
            self.alert_states.push(state);
        }
    }

    /// Reads `alerts.log`. Its entries do not name their worker and pool, so a selection of one counts none of them.
    /// Calls `damaged` as [`TimeLine::read_events`] does.
    ///
    /// # Errors
    /// Errors of the disk and of a damaged gzip.
    pub fn read_alerts(
        &mut self,
        source: impl Read,
        selection: &ReportSelection,
        mut damaged: impl FnMut(u64, &'static str),
    ) -> io::Result<()> {
        let mut times = TimeParser::default();
        let mut entry: Option<(UnixMs, Severity, String)> = None;
        each_line(source, |number, line| {
            let Some(line) = line else { return damaged(number, "longer than 64 KiB") };
            if let Some(head) = line.strip_prefix('[') {
                entry = alert_head(head, &mut times);
                if entry.is_none() {
                    damaged(number, "no alert");
                }
            } else if let Some(text) = line.strip_prefix("Description: ") {
                match entry.take() {
                    Some((at, severity, id)) if selection.has_time(at) && selection.has_everybody() => {
                        widen(&mut self.period, at);
                        self.alert(severity, &id, text);
                    }
                    Some(_) => {}
                    None => damaged(number, "no alert"),
                }
            } else if !line.starts_with("Data: ") && !line.starts_with("-----") && !line.trim().is_empty() {
                damaged(number, "no alert");
            }
        })
    }

    fn alert(&mut self, severity: Severity, id: &str, text: &str) {
        self.alerts += 1;
        if text.starts_with("over since ") {
            return;
        }
        if self.alert_counts.len() < MAX_NAMES || self.alert_counts.contains_key(id) {
            let count = self.alert_counts.entry(id.to_owned()).or_insert((severity, 0));
            count.0 = count.0.max(severity);
            count.1 += 1;
        }
    }

    fn note(&mut self, note: TimedNote) {
        if self.notes.len() >= MAX_NOTES {
            self.notes.pop_front();
            self.left_out += 1;
        }
        self.notes.push_back(note);
    }
}

fn push_bounded(outages: &mut Vec<Outage>, outage: Outage, selection: &ReportSelection) {
    if outages.len() < MAX_OUTAGES && selection.has_upstream(&outage.subject) {
        outages.push(outage);
    }
}

/// The time, severity and id of an entry: `2026-11-21T01:53:42.512Z] HIGH: payout.mismatch`.
fn alert_head(head: &str, times: &mut TimeParser) -> Option<(UnixMs, Severity, String)> {
    let (time, rest) = head.split_once("] ")?;
    let (severity, id) = rest.split_once(": ")?;
    let is_id =
        id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
    let severity = Severity::parse(&severity.to_ascii_lowercase())?;
    is_id.then_some((times.parse(time)?, severity, id.to_owned()))
}

#[cfg(test)]
mod tests;
