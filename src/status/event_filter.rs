//! The events that a visitor asks for: of one kind, of one worker.

use crate::record::EventRow;
use crate::util::escape::printable;
use crate::work::name_of_worker;

/// The wanted events; by default all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EventFilter {
    /// A kind such as `pool.failed`, or a family of kinds such as `pool`.
    pub(super) kind: Option<String>,
    /// A worker, by its whole name or without the address.
    pub(super) worker: Option<String>,
}

impl EventFilter {
    /// The filter of a query. An empty value is none.
    pub(super) fn of_query(parameter: impl Fn(&str) -> Option<String>) -> EventFilter {
        let text = |name| parameter(name).filter(|text| !text.is_empty());
        // Events have names in their printable form.
        EventFilter { kind: text("kind"), worker: text("worker").map(|name| printable(&name).into_owned()) }
    }

    pub(super) fn accepts(&self, event: &EventRow) -> bool {
        let is_kind = |wanted: &String| {
            let rest = event.kind.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let is_worker = |wanted: &String| {
            let worker = event.worker.as_deref();
            worker.is_some_and(|worker| worker == wanted || name_of_worker(worker) == wanted)
        };
        self.kind.as_ref().is_none_or(is_kind) && self.worker.as_ref().is_none_or(is_worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    #[test]
    fn a_kind_a_family_and_a_worker_are_found() {
        let at = "2026-11-21T01:00:00Z".parse().unwrap();
        let worker = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.garage";
        let event = EventRow::new(at, ("miner.gone", Severity::Low), worker, "gone").with_worker(worker);
        let accepts = |kind: &str, worker: &str| {
            let query = |name: &str| Some(if name == "kind" { kind } else { worker }.to_owned());
            EventFilter::of_query(query).accepts(&event)
        };
        for (kind, worker) in [("", ""), ("miner", ""), ("miner.gone", "garage"), ("", worker)] {
            assert!(accepts(kind, worker), "{kind} {worker}");
        }
        for (kind, worker) in
            [("mine", ""), ("miner.gon", ""), ("pool", ""), ("", "cellar"), ("pool", "garage")]
        {
            assert!(!accepts(kind, worker), "{kind} {worker}");
        }
    }
}
