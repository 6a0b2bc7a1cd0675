//! The analyzer's findings.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice::analyzer::Alert;
use sluice::config::Severity;

/// The book at one moment.
pub struct Book {
    pub alerts: Vec<Arc<Alert>>,
    pub counts: BTreeMap<&'static str, u64>,
}

impl Book {
    /// The ids above info, and how often each was raised.
    pub fn above_info(&self) -> Vec<(&'static str, u64)> {
        let is_info = |id: &str| {
            matches!(
                id,
                "payout.unverifiable"
                    | "chain.empty_job"
                    | "share.stale"
                    | "share.best"
                    | "share.near_miss"
                    | "block.found"
            )
        };
        self.counts.iter().filter(|(id, _)| !is_info(id)).map(|(id, count)| (*id, *count)).collect()
    }

    /// The only alert of this rule.
    pub fn the(&self, id: &str) -> &Alert {
        let found: Vec<&Arc<Alert>> = self.alerts.iter().filter(|alert| alert.id == id).collect();
        assert_eq!(found.len(), 1, "{id}: {:?}", self.alerts);
        found[0]
    }

    pub fn is(&self, id: &str, severity: Severity, evidence: &[&str]) -> &Alert {
        let alert = self.the(id);
        assert_eq!(alert.severity, severity, "{id}");
        for field in evidence {
            assert!(!alert.evidence[*field].is_null(), "{id} lacks {field}: {}", alert.evidence);
        }
        alert
    }
}
