//! Events about miners: first seen, gone, back, another firmware. Many of one kind at once are one event.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::AlertContext;
use super::miner_gone::listed;
use super::seconds_between;
use super::worker_roll::{WorkerChange, WorkerEntry, WorkerRoll};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::EventRow;
use crate::util::format::{count, span};

type EventType = (&'static str, Severity);

const FIRST_SEEN: EventType = ("miner.first_seen", Severity::Info);
const GONE: EventType = ("miner.gone", Severity::Low);
const BACK: EventType = ("miner.back", Severity::Info);
const FIRMWARE: EventType = ("miner.firmware", Severity::Info);
const FORGOTTEN: EventType = ("miner.forgotten", Severity::Info);

/// A miner that is back within this time, or within `rules.miner_gone_after` if that is shorter, was not gone: it
/// reconnected.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// The time for which events of one kind are collected.
const COLLECT_SECONDS: f64 = 10.0;
/// More events of one kind than this, collected at once, become one.
const MAX_SINGLE: usize = 5;
/// Caps the names in the data of a collected event.
const MAX_NAMES: usize = 50;
/// Caps the collected events of one kind. No farm has as many machines.
const MAX_COLLECTED: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct MinerNews {
    /// The workers that are gone, and since when.
    gone: BTreeMap<String, NtpTime>,
    /// The events that are being collected, by kind and worker.
    collected: BTreeMap<&'static str, Vec<EventRow>>,
    collected_since: Option<NtpTime>,
}

impl MinerNews {
    pub(super) fn tick(
        &mut self,
        roll: &WorkerRoll,
        changes: Vec<(String, WorkerChange)>,
        gone_after: Option<Duration>,
        context: &mut AlertContext<'_>,
    ) {
        let at = context.at;
        let shown = context.state.shown_names.clone();
        let gone_after = gone_after.map_or(GONE_AFTER, |after| after.min(GONE_AFTER)).as_secs_f64();
        for (name, change) in changes {
            let entry = roll.workers().get(&name);
            let short = shown.name_of(&name);
            match (change, entry) {
                (WorkerChange::New, Some(entry)) => {
                    let text = format!("{short} mines here for the first time{}", from(entry));
                    self.add(FIRST_SEEN, &name, text, facts(entry), at);
                }
                (WorkerChange::UserAgent { before }, Some(entry)) => {
                    let now = entry.user_agent.as_deref().unwrap_or("nothing");
                    let text = format!("{short} now says that it is {now}; it was {before}");
                    self.add(FIRMWARE, &name, text, json!({ "before": before, "now": now }), at);
                }
                (WorkerChange::Forgotten, _) => {
                    self.gone.remove(&name);
                    let text = format!("{short} has not been seen for a week, and is forgotten");
                    self.add(FORGOTTEN, &name, text, json!({}), at);
                }
                (WorkerChange::New | WorkerChange::UserAgent { .. }, None) => {}
            }
        }
        for (name, entry) in roll.workers() {
            if entry.connections > 0 {
                if let Some(since) = self.gone.remove(name) {
                    let away = seconds_between(since, at).max(0.0);
                    let time = span(Duration::from_secs_f64(away));
                    let text = format!("{} is back after {time}{}", shown.name_of(name), from(entry));
                    self.add(BACK, name, text, json!({ "away_seconds": away as u64 }), at);
                }
            } else if entry.absent_seconds >= gone_after && !self.gone.contains_key(name) {
                self.gone.insert(name.clone(), entry.last_seen);
                let text = format!("{} has disconnected and is not back{}", shown.name_of(name), from(entry));
                self.add(GONE, name, text, facts(entry), at);
            }
        }
        // A worker that had to make room for another one.
        self.gone.retain(|name, _| roll.workers().contains_key(name));
        if self.collected_since.is_some_and(|since| seconds_between(since, at).abs() >= COLLECT_SECONDS) {
            self.flush(context);
        }
    }

    /// Reports what was collected so far.
    pub(super) fn flush(&mut self, context: &mut AlertContext<'_>) {
        self.collected_since = None;
        for (kind, events) in std::mem::take(&mut self.collected) {
            if events.len() <= MAX_SINGLE {
                context.events.extend(events);
                continue;
            }
            let Some(last) = events.last() else { continue };
            let names: BTreeSet<&str> = events.iter().map(|event| event.subject.as_str()).collect();
            let miners = count(names.len() as u64, "miner");
            let what = match kind {
                "miner.first_seen" => "mine here for the first time",
                "miner.gone" => "have disconnected and are not back",
                "miner.back" => "are back",
                "miner.firmware" => "say that they run another program than before",
                _ => "have not been seen for a week, and are forgotten",
            };
            let text = format!("{miners} {what}: {}", listed(&names, &context.state.shown_names));
            let first: Vec<&str> = names.iter().take(MAX_NAMES).copied().collect();
            let data = json!({ "miners": names.len(), "workers": first });
            let subject = String::from("miners");
            context.events.push(EventRow { subject, worker: None, text, data, ..last.clone() });
        }
    }

    fn add(&mut self, kind: EventType, worker: &str, text: String, data: Value, at: NtpTime) {
        self.collected_since.get_or_insert(at);
        let event = EventRow::new(at, kind, worker, text).with_worker(worker).with_data(data);
        let of_kind = self.collected.entry(kind.0).or_default();
        if of_kind.len() < MAX_COLLECTED {
            of_kind.push(event);
        }
    }
}

/// The device and the address, for a sentence.
fn from(entry: &WorkerEntry) -> String {
    let address = entry.address.map(|address| address.to_string());
    let parts: Vec<&str> = [entry.user_agent.as_deref(), address.as_deref()].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn facts(entry: &WorkerEntry) -> Value {
    json!({
        "address": entry.address.map(|address| address.to_string()),
        "user_agent": entry.user_agent,
        "last_seen": entry.last_seen.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{SessionSample, test_clock, test_time};
    use super::*;
    use crate::analyzer::alerts::AlertBook;

    /// Runs for so many seconds with these workers connected.
    fn run(
        news: &mut MinerNews,
        roll: &mut WorkerRoll,
        workers: &[String],
        seconds: std::ops::Range<i64>,
    ) -> Vec<(i64, String, String)> {
        let mut found = Vec::new();
        for second in seconds {
            let at = test_time(second);
            let sample = |worker| SessionSample { worker, accepted: 1, ..SessionSample::for_tests() };
            let samples: Vec<SessionSample<'_>> =
                workers.iter().map(|worker| sample(worker.as_str())).collect();
            let changes = roll.update(&samples, at, false);
            let mut events = Vec::new();
            AlertContext::for_tests(&mut AlertBook::new(&[]), &test_clock(), at, |context| {
                news.tick(roll, changes, None, context);
                events = std::mem::take(context.events);
            });
            found.extend(events.into_iter().map(|event| (second, event.kind.into_owned(), event.text)));
        }
        found
    }

    #[test]
    fn a_miner_is_first_seen_then_gone_then_back() {
        let (mut news, mut roll) = (MinerNews::default(), WorkerRoll::default());
        let rig = [String::from("rig")];
        let kinds = |found: Vec<(i64, String, String)>| -> Vec<(i64, String)> {
            found.into_iter().map(|(second, kind, _)| (second, kind)).collect()
        };
        let first = kinds(run(&mut news, &mut roll, &rig, 0..100));
        assert_eq!(first, [(10, String::from("miner.first_seen"))]);
        // A reconnect is no event.
        assert_eq!(run(&mut news, &mut roll, &[], 100..140), []);
        assert_eq!(run(&mut news, &mut roll, &rig, 140..200), []);
        let gone = kinds(run(&mut news, &mut roll, &[], 200..400));
        assert_eq!(gone, [(269, String::from("miner.gone"))]);
        let back = run(&mut news, &mut roll, &rig, 400..420);
        assert_eq!(back.len(), 1);
        assert!(back[0].1 == "miner.back" && back[0].2.contains("rig is back after 3 min"), "{back:?}");
    }

    #[test]
    fn a_farm_that_goes_at_once_is_one_event() {
        let (mut news, mut roll) = (MinerNews::default(), WorkerRoll::default());
        let farm: Vec<String> = (0..100).map(|number| format!("rig{number:03}")).collect();
        assert_eq!(run(&mut news, &mut roll, &farm, 0..60).len(), 1);
        let gone = run(&mut news, &mut roll, &[], 60..300);
        assert_eq!(gone.len(), 1);
        assert!(gone[0].2.starts_with("100 miners have disconnected and are not back: rig000, "), "{gone:?}");
    }
}
