//! `/api/alerts`, and the summary of the alerts in `/status`.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::{PairsJson, TimeJson};
use crate::analyzer::Alert;
use crate::status::snapshot::StatusSnapshot;

/// Caps `limit`. No more alerts than this are ever kept.
const MAX_LIMIT: usize = 500;
/// Caps the alerts in `/status`.
const MAX_IN_SUMMARY: usize = 5;

struct AlertsJson<'a> {
    status: &'a StatusSnapshot,
    limit: usize,
}

#[derive(Serialize)]
struct AlertFullJson<'a> {
    #[serde(flatten)]
    brief: AlertBriefJson<'a>,
    evidence: &'a Value,
}

struct AlertBriefJson<'a>(&'a Alert);

/// The part of `/status`, without evidence.
pub(super) struct AlertsSummaryJson<'a>(pub(super) &'a StatusSnapshot);

/// Lists active alerts first, then the newest.
pub(super) fn alerts(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    Ok(text(&AlertsJson { status, limit: query.number("limit", 100, 1..=MAX_LIMIT)? }))
}

impl Serialize for AlertsJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let alerts = &self.status.snapshot.alerts;
        let full = alerts
            .alerts
            .iter()
            .map(|alert| AlertFullJson { brief: AlertBriefJson(alert), evidence: &alert.evidence });
        object!(
            to,
            at = TimeJson(self.status.at),
            total = alerts.alerts.len(),
            active = PairsJson(self.status.active_by_severity()),
            counts = alerts.counts,
            not_kept = alerts.overflowed,
            alerts = full.take(self.limit).collect::<Vec<_>>(),
        )
    }
}

impl Serialize for AlertsSummaryJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let alerts = &self.0.snapshot.alerts;
        let newest = alerts.alerts.iter().take(MAX_IN_SUMMARY);
        object!(
            to,
            active = PairsJson(self.0.active_by_severity()),
            counts = alerts.counts,
            not_kept = alerts.overflowed,
            newest = newest.map(|alert| AlertBriefJson(alert)).collect::<Vec<_>>(),
        )
    }
}

impl Serialize for AlertBriefJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let AlertBriefJson(alert) = self;
        object!(
            to,
            id = alert.id,
            severity = alert.severity.as_str(),
            subject = alert.subject,
            description = alert.description,
            began = TimeJson(alert.began),
            last = TimeJson(alert.last),
            count = alert.count,
            ended = alert.ended.map(TimeJson),
        )
    }
}
