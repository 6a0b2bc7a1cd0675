//! The alerts in `state.json`: those that lasted when it was saved, and the number of alerts of each rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::events_jsonl::severity;
use super::json;
use crate::clock::NtpTime;
use crate::config::Severity;

/// Caps the alerts that are kept.
const MAX_SAVED_ALERTS: usize = 200;
/// Caps the rules whose counts are kept. There are fewer.
const MAX_COUNTS: usize = 200;
/// Caps the bytes of an alert's evidence; more is replaced by a note.
const MAX_EVIDENCE: usize = 8 * 1024;

/// Alerts that survive a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedAlerts {
    /// The alerts about states that last.
    pub open: Vec<SavedAlert>,
    /// The number of alerts of each rule, over all runs.
    pub counts: BTreeMap<String, u64>,
}

/// An alert about a state that lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedAlert {
    pub id: String,
    #[serde(with = "severity")]
    pub severity: Severity,
    pub subject: String,
    pub description: String,
    pub evidence: Value,
    #[serde(with = "json::time")]
    pub began: NtpTime,
    pub count: u64,
}

impl SavedAlerts {
    /// Applies the limits, before a save and after a load.
    #[must_use]
    pub fn bounded(mut self) -> SavedAlerts {
        // The worst stay.
        self.open.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
        self.open.truncate(MAX_SAVED_ALERTS);
        for alert in &mut self.open {
            let bytes = alert.evidence.to_string().len();
            if bytes > MAX_EVIDENCE {
                alert.evidence = json!({ "left_out": "too long", "bytes": bytes });
            }
        }
        while self.counts.len() > MAX_COUNTS {
            self.counts.pop_last();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_alerts_are_kept_and_long_evidence_is_not() {
        let alert = |number: usize, severity| SavedAlert {
            id: String::from("miner.gone"),
            severity,
            subject: format!("w{number}"),
            description: String::new(),
            evidence: json!({ "text": "x".repeat(number * 100) }),
            began: "2026-11-21T01:00:00Z".parse().unwrap(),
            count: 1,
        };
        let mut open: Vec<SavedAlert> = (0..300).map(|number| alert(number, Severity::Low)).collect();
        open.push(alert(300, Severity::High));
        let counts = (0..300).map(|number| (format!("rule{number}"), 1)).collect();
        let bounded = SavedAlerts { open, counts }.bounded();
        assert_eq!((bounded.open.len(), bounded.counts.len()), (MAX_SAVED_ALERTS, MAX_COUNTS));
        assert_eq!(bounded.open[0].severity, Severity::High);
        assert_eq!(bounded.open[0].evidence["left_out"], "too long");
        let json = serde_json::to_string(&bounded).unwrap();
        assert_eq!(serde_json::from_str::<SavedAlerts>(&json).unwrap(), bounded);
    }
}
