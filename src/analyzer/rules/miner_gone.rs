//! `miner.gone`: a known worker has no connection. Many at once are one alert.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::worker_roll::{WorkerEntry, WorkerRoll};
use super::{AlertContext, AlertType};
use crate::config::Severity;
use crate::record::ShownNames;
use crate::util::format::{count, span};

const GONE: AlertType = ("miner.gone", Severity::Medium);

/// The subjects of alerts about more than one worker.
const ALL: &str = "all miners";
const MANY: &str = "many miners";

/// More workers than this that are missed at the same time are one alert: the owner of a farm needs no hundred messages
/// about one switch.
const MAX_NAMED_AT_ONCE: usize = 10;
/// Caps the alerts about one worker each. The list of alerts has room for 40 of one rule.
const MAX_NAMED: usize = 30;
/// Caps the names in a sentence, and in the evidence.
const MAX_IN_SENTENCE: usize = 5;
const MAX_IN_EVIDENCE: usize = 50;

#[derive(Debug)]
pub(super) struct MinerGoneRule {
    /// `rules.miner_gone_after`; `None` for never.
    pub(super) after: Option<Duration>,
    /// The workers with an alert of their own.
    named: BTreeSet<String>,
    /// The workers in the alert about many.
    grouped: BTreeSet<String>,
}

impl MinerGoneRule {
    pub(super) fn new(after: Option<Duration>) -> MinerGoneRule {
        MinerGoneRule { after, named: BTreeSet::new(), grouped: BTreeSet::new() }
    }

    pub(super) fn tick(&mut self, roll: &WorkerRoll, context: &mut AlertContext<'_>) {
        let Some(after) = self.after else { return };
        let missed: BTreeSet<&str> = roll
            .workers()
            .iter()
            .filter(|(_, worker)| worker.absent_seconds >= after.as_secs_f64())
            .map(|(name, _)| name.as_str())
            .collect();
        self.resolve_returned(roll, context);
        let shown = context.state.shown_names.clone();
        let is_all = missed.len() > 1 && missed.len() == roll.workers().len();
        if is_all {
            context.raise(GONE, ALL, || {
                let miners = count(missed.len() as u64, "miner");
                let description = format!(
                    "none of your {miners} has had a connection for {}; check the network, the power, and that the \
                     miners have the right address of this machine",
                    span(after)
                );
                (description, group_evidence(&missed))
            });
        } else if roll.workers().values().any(|worker| worker.connections > 0) {
            context.resolve(GONE.0, ALL);
        } else {
            context.keep_open(GONE.0, ALL);
        }
        self.named.retain(|name| missed.contains(name.as_str()));
        self.grouped.retain(|name| missed.contains(name.as_str()));
        if !is_all {
            self.assign_new(&missed);
        }
        for (name, worker) in roll.workers().iter().filter(|(name, _)| self.named.contains(*name)) {
            context.raise(GONE, name, || describe(shown.name_of(name), name, worker, after));
        }
        // Some may be missed soon, after a restart for example.
        let is_pending =
            |worker: &WorkerEntry| worker.connections == 0 && worker.absent_seconds < after.as_secs_f64();
        if self.grouped.is_empty() && roll.workers().values().any(is_pending) {
            context.keep_open(GONE.0, MANY);
        } else if self.grouped.is_empty() {
            context.resolve(GONE.0, MANY);
        } else {
            context.raise(GONE, MANY, || {
                let miners = count(self.grouped.len() as u64, "miner");
                let names: BTreeSet<&str> = self.grouped.iter().map(String::as_str).collect();
                let description = format!(
                    "{miners} of {} have had no connection for {}: {}; check their network and power",
                    roll.workers().len(),
                    span(after),
                    listed(&names, &shown)
                );
                (description, group_evidence(&names))
            });
        }
    }

    /// Ends the alerts about workers that are back or forgotten, and keeps those about the others open.
    fn resolve_returned(&self, roll: &WorkerRoll, context: &mut AlertContext<'_>) {
        if !context.alerts.is_open(GONE.0) {
            return;
        }
        for subject in context.alerts.open_subjects(GONE.0) {
            match roll.workers().get(&subject) {
                Some(worker) if worker.connections == 0 => context.keep_open(GONE.0, &subject),
                None if [ALL, MANY].contains(&subject.as_str()) => {}
                Some(_) | None => context.resolve(GONE.0, &subject),
            }
        }
    }

    /// Decides in which alert those are that are missed since this tick.
    fn assign_new(&mut self, missed: &BTreeSet<&str>) {
        let is_new = |name: &&&str| !self.named.contains(**name) && !self.grouped.contains(**name);
        let new: Vec<String> = missed.iter().filter(is_new).map(|name| (*name).to_owned()).collect();
        let has_room = self.named.len() + new.len() <= MAX_NAMED;
        let to = if new.len() <= MAX_NAMED_AT_ONCE && has_room { &mut self.named } else { &mut self.grouped };
        to.extend(new);
    }
}

fn describe(shown: &str, name: &str, worker: &WorkerEntry, after: Duration) -> (String, Value) {
    let address = worker.address.map(|address| address.to_string());
    let device = worker.user_agent.as_deref().map_or(String::new(), |agent| format!(", {agent}"));
    let description = format!(
        "miner {} has had no connection for {} (last seen {} from {}{device}); check its power and its network",
        shown,
        span(after),
        worker.last_seen.timestamp().strftime("%Y-%m-%d %H:%M UTC"),
        address.as_deref().unwrap_or("an unknown address"),
    );
    let evidence = json!({
        "worker": name,
        "address": address,
        "user_agent": worker.user_agent,
        "last_seen": worker.last_seen.to_string(),
        "seconds": worker.absent_seconds as u64,
    });
    (description, evidence)
}

fn group_evidence(names: &BTreeSet<&str>) -> Value {
    let workers: Vec<&str> = names.iter().take(MAX_IN_EVIDENCE).copied().collect();
    json!({ "miners": names.len(), "workers": workers })
}

/// The first names, and how many there are more.
pub(super) fn listed(names: &BTreeSet<&str>, shown: &ShownNames) -> String {
    let first: Vec<&str> = names.iter().take(MAX_IN_SENTENCE).map(|name| shown.name_of(name)).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SessionSample, test_clock, test_time};
    use super::*;
    use crate::analyzer::alerts::AlertBook;
    use crate::record::{AlertKind, SavedAlerts};

    const AFTER: Duration = Duration::from_secs(300);

    struct Run {
        alerts: AlertBook,
        roll: WorkerRoll,
        rule: MinerGoneRule,
        second: i64,
    }

    impl Run {
        fn new() -> Run {
            let (alerts, roll) = (AlertBook::new(&[]), WorkerRoll::default());
            Run { alerts, roll, rule: MinerGoneRule::new(Some(AFTER)), second: 0 }
        }

        /// Runs for so long with these workers connected. Returns the seconds, kinds and subjects of alerts.
        fn with(&mut self, workers: &[String], seconds: i64) -> Vec<(i64, AlertKind, String)> {
            let mut found = Vec::new();
            for _ in 0..seconds {
                let at = test_time(self.second);
                let sample = |worker| SessionSample { worker, accepted: 1, ..SessionSample::for_tests() };
                let samples: Vec<SessionSample<'_>> =
                    workers.iter().map(|worker| sample(worker.as_str())).collect();
                self.roll.update(&samples, at, false);
                let tick = |context: &mut AlertContext<'_>| self.rule.tick(&self.roll, context);
                let mut rows = AlertContext::for_tests(&mut self.alerts, &test_clock(), at, tick);
                rows.extend(self.alerts.expire(at));
                found.extend(rows.iter().map(|row| {
                    let subject = row.data["subject"].as_str().unwrap_or_default().to_owned();
                    (self.second, row.kind, subject)
                }));
                self.second += 1;
            }
            found
        }
    }

    fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| format!("rig{number:04}")).collect()
    }

    #[test]
    fn one_missing_miner_is_named_and_its_return_ends_the_alert() {
        let mut run = Run::new();
        assert_eq!(run.with(&names(0..3), 100), []);
        assert_eq!(run.with(&names(1..3), 600), [(399, AlertKind::Begins, String::from("rig0000"))]);
        // A short visit of the others' absence changes nothing.
        assert_eq!(run.with(&names(1..3), 1200), []);
        assert_eq!(run.with(&names(0..3), 100), [(1960, AlertKind::Ends, String::from("rig0000"))]);
    }

    #[test]
    fn all_at_once_are_one_alert() {
        let mut run = Run::new();
        run.with(&names(0..100), 10);
        assert_eq!(run.with(&[], 1200), [(309, AlertKind::Begins, String::from("all miners"))]);
        assert_eq!(run.with(&names(0..100), 70), [(1270, AlertKind::Ends, String::from("all miners"))]);
    }

    #[test]
    fn when_some_return_the_others_are_named() {
        let mut run = Run::new();
        run.with(&names(0..3), 10);
        run.with(&[], 400);
        let after: Vec<_> =
            run.with(&names(1..3), 100).into_iter().map(|(_, kind, subject)| (kind, subject)).collect();
        let expected =
            [(AlertKind::Begins, String::from("rig0000")), (AlertKind::Ends, String::from("all miners"))];
        assert_eq!(after, expected);
    }

    #[test]
    fn a_switch_that_fails_is_one_alert_and_a_further_miner_another() {
        let mut run = Run::new();
        run.with(&names(0..100), 2);
        let many = run.with(&names(20..100), 302);
        assert_eq!(many, [(301, AlertKind::Begins, String::from("many miners"))]);
        let one = run.with(&names(21..100), 302);
        assert_eq!(one, [(603, AlertKind::Begins, String::from("rig0020"))]);
    }

    #[test]
    fn the_alert_stays_over_a_restart_and_does_not_begin_again() {
        let mut run = Run::new();
        run.with(&names(0..3), 10);
        assert_eq!(run.with(&names(1..3), 400).len(), 1);
        let (saved, alerts) = (run.roll.unsaved(test_time(410), true).unwrap(), run.alerts.saved());
        assert_eq!(alerts.open.len(), 1);
        let mut again = Run { second: 1000, ..Run::new() };
        again.roll.restore(&saved);
        let json = serde_json::to_string(&alerts).unwrap();
        again.alerts.restore(&serde_json::from_str::<SavedAlerts>(&json).unwrap(), test_time(1000));
        assert_eq!(again.with(&names(1..3), 1000), []);
        assert_eq!(again.alerts.open_subjects(GONE.0), ["rig0000"]);
        assert_eq!(again.with(&names(0..3), 100).len(), 1);
        assert!(again.alerts.open_subjects(GONE.0).is_empty());
    }
}
