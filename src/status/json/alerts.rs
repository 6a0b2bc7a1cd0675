//! `/api/alerts`, and the summary of the alerts in `/status`.

use serde::Serialize;

use super::object::{Fields, Object};
use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::{PairsJson, TimeJson};
use crate::analyzer::Alert;
use crate::status::snapshot::StatusSnapshot;

/// Caps `limit`. No more alerts than this are ever kept.
const MAX_LIMIT: usize = 500;
/// Caps the alerts in `/status`.
const MAX_IN_SUMMARY: usize = 5;

/// Lists active alerts first, then the newest.
pub(super) fn alerts(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 100, 1..=MAX_LIMIT)?;
    let alerts = &status.snapshot.alerts;
    Ok(text(&object!(
        at = TimeJson(status.at),
        total = alerts.alerts.len(),
        active = PairsJson(status.active_by_severity()),
        counts = &alerts.counts,
        not_kept = alerts.overflowed,
        alerts = alerts
            .alerts
            .iter()
            .take(limit)
            .map(|alert| brief(alert).and(object!(evidence = &alert.evidence)))
            .collect::<Vec<_>>(),
    )))
}

/// The part of `/status`, without evidence.
pub(super) fn summary(status: &StatusSnapshot) -> impl Serialize {
    let alerts = &status.snapshot.alerts;
    let newest = alerts.alerts.iter().take(MAX_IN_SUMMARY);
    object!(
        active = PairsJson(status.active_by_severity()),
        counts = &alerts.counts,
        not_kept = alerts.overflowed,
        newest = newest.map(|alert| brief(alert)).collect::<Vec<_>>(),
    )
}

fn brief(alert: &Alert) -> Object<impl Fields> {
    object!(
        id = alert.id,
        severity = alert.severity.as_str(),
        subject = &alert.subject,
        description = &alert.description,
        began = TimeJson(alert.began),
        last = TimeJson(alert.last),
        count = alert.count,
        ended = alert.ended.map(TimeJson),
    )
}
