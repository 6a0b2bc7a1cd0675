//! `payout.address_typo`: a worker's name has the shape of an address, and no Bitcoin block can pay it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::session_event::{EventKind, ProtocolEvent};
use super::{AlertContext, AlertType};
use crate::config::Severity;
use crate::tap::SessionId;
use crate::work::{AddressChain, AddressFault, address_fault};

const ADDRESS_TYPO: AlertType = ("payout.address_typo", Severity::High);

/// Caps the faulty names that are remembered of all sessions.
const MAX_FAULTY_NAMES: usize = 4096;

#[derive(Debug, Default)]
pub(in super::super) struct AddressTypoRule {
    /// The chains that an address may belong to; empty if any is right.
    expected: Vec<AddressChain>,
    /// The faulty names of each session.
    faulty: BTreeMap<SessionId, BTreeMap<String, AddressFault>>,
    names: usize,
    /// The workers with an alert at the last tick.
    raised: BTreeSet<String>,
}

impl AddressTypoRule {
    pub(super) fn new(expected: Vec<AddressChain>) -> AddressTypoRule {
        AddressTypoRule { expected, ..AddressTypoRule::default() }
    }

    /// Applies another network or payout address. Names that were found faulty stay so until their sessions end.
    pub(in super::super) fn set_expected(&mut self, expected: Vec<AddressChain>) {
        self.expected = expected;
        // The rule may have been off.
        self.raised.clear();
    }

    /// Checks a worker's name, whether the pool accepts it or not. A pool that takes any text pays nobody.
    pub(in super::super) fn event(&mut self, event: &ProtocolEvent) {
        let (EventKind::Authorized { worker } | EventKind::AuthorizeRefused { worker, .. }) = &event.kind
        else {
            return;
        };
        let Some(fault) = address_fault(worker, &self.expected) else { return };
        if self.names < MAX_FAULTY_NAMES {
            let of_session = self.faulty.entry(event.session).or_default();
            self.names += usize::from(of_session.insert(worker.clone(), fault).is_none());
        }
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        let names = self.faulty.remove(&session).map_or(0, |names| names.len());
        self.names = self.names.saturating_sub(names);
    }

    pub(super) fn tick(&mut self, context: &mut AlertContext<'_>) {
        let mut faulty: BTreeMap<&str, (SessionId, &AddressFault)> = BTreeMap::new();
        for (session, names) in &self.faulty {
            faulty.extend(names.iter().map(|(worker, fault)| (worker.as_str(), (*session, fault))));
        }
        for (worker, (session, fault)) in &faulty {
            // Names that find the list of alerts full are counted once.
            if self.raised.contains(*worker) {
                context.keep_open(ADDRESS_TYPO.0, worker);
                continue;
            }
            context.raise(ADDRESS_TYPO, worker, || {
                let AddressFault { address, .. } = fault;
                // The name behind the address, if there is one.
                let rest = worker.trim_start().strip_prefix(address.as_str()).unwrap_or_default();
                let rest = rest.trim_start_matches(['.', '_', ' ']);
                let name = if rest.is_empty() { *worker } else { rest };
                let description = format!(
                    "miner {name}: its user name {address:?} {fault}; a block that it finds would not pay you, so correct \
                     the address in the miner's settings"
                );
                let reason = fault.to_string();
                (description, json!({ "worker": worker, "address": address, "reason": reason, "session": session.0 }))
            });
        }
        for worker in self.raised.iter().filter(|worker| !faulty.contains_key(worker.as_str())) {
            context.resolve(ADDRESS_TYPO.0, worker);
        }
        let raised = faulty.keys().map(|worker| (*worker).to_owned()).collect();
        self.raised = raised;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{test_clock, test_time};
    use super::*;
    use crate::analyzer::alerts::AlertBook;
    use crate::net::Stamp;
    use crate::record::AlertKind;

    #[test]
    fn the_alert_names_the_worker_and_ends_when_the_miner_has_gone() {
        let (mut alerts, mut rule) = (AlertBook::new(&[]), AddressTypoRule::default());
        let worker = String::from("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5.garage");
        let mut reported = Vec::new();
        for second in 0..200 {
            if second == 10 {
                let kind = EventKind::Authorized { worker: worker.clone() };
                let at = Stamp::from_nanos(0);
                rule.event(&ProtocolEvent { session: SessionId(7), upstream: None, at, kind });
            }
            if second == 100 {
                rule.closed(SessionId(7));
            }
            let at = test_time(second);
            let mut rows =
                AlertContext::for_tests(&mut alerts, &test_clock(), at, |context| rule.tick(context));
            rows.extend(alerts.expire(at));
            reported.extend(rows.into_iter().map(|row| (second, row)));
        }
        let kinds: Vec<_> = reported.iter().map(|(second, row)| (*second, row.kind)).collect();
        assert_eq!(kinds, [(10, AlertKind::Begins), (160, AlertKind::Ends)]);
        let (_, begin) = &reported[0];
        assert_eq!(begin.data["worker"], worker.as_str());
        assert!(begin.description.starts_with("miner garage: "), "{}", begin.description);
        assert!(begin.description.contains("checksum is wrong"), "{}", begin.description);
        assert_eq!(rule.names, 0);
    }
}
