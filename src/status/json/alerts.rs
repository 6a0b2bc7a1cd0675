//! `/api/alerts`, and the summary of the alerts in `/status`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::TimeJson;
use crate::analyzer::{Alert, AlertsView};
use crate::config::Severity;
use crate::status::snapshot::StatusSnapshot;

/// Caps `limit`. No more alerts than this are ever kept.
const MAX_LIMIT: usize = 500;
/// Caps the alerts in `/status`.
const MAX_IN_SUMMARY: usize = 5;

#[derive(Debug, Serialize)]
struct AlertsJson<'a> {
    at: TimeJson,
    total: usize,
    active: ActiveAlertsJson,
    counts: &'a BTreeMap<&'static str, u64>,
    not_kept: u64,
    alerts: Vec<AlertFullJson<'a>>,
}

/// The number of active alerts by severity.
#[derive(Debug, Default, Serialize)]
struct ActiveAlertsJson {
    high: usize,
    medium: usize,
    low: usize,
    info: usize,
}

#[derive(Debug, Serialize)]
struct AlertFullJson<'a> {
    #[serde(flatten)]
    brief: AlertBriefJson<'a>,
    evidence: &'a Value,
}

#[derive(Debug, Serialize)]
struct AlertBriefJson<'a> {
    id: &'static str,
    severity: &'static str,
    subject: &'a str,
    description: &'a str,
    began: TimeJson,
    last: TimeJson,
    count: u64,
    ended: Option<TimeJson>,
}

#[derive(Debug, Serialize)]
pub(super) struct AlertsSummaryJson<'a> {
    active: ActiveAlertsJson,
    counts: &'a BTreeMap<&'static str, u64>,
    not_kept: u64,
    newest: Vec<AlertBriefJson<'a>>,
}

/// Lists active alerts first, then the newest.
pub(super) fn alerts(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 100, 1..=MAX_LIMIT)?;
    let view = &status.snapshot.alerts;
    Ok(text(&AlertsJson {
        at: TimeJson(status.at),
        total: view.alerts.len(),
        active: ActiveAlertsJson::of(view),
        counts: &view.counts,
        not_kept: view.overflowed,
        alerts: view.alerts.iter().take(limit).map(|alert| AlertFullJson::of(alert)).collect(),
    }))
}

impl<'a> AlertsSummaryJson<'a> {
    pub(super) fn of(view: &'a AlertsView) -> AlertsSummaryJson<'a> {
        AlertsSummaryJson {
            active: ActiveAlertsJson::of(view),
            counts: &view.counts,
            not_kept: view.overflowed,
            newest: view.alerts.iter().take(MAX_IN_SUMMARY).map(|alert| AlertBriefJson::of(alert)).collect(),
        }
    }
}

impl ActiveAlertsJson {
    fn of(view: &AlertsView) -> ActiveAlertsJson {
        let mut active = ActiveAlertsJson::default();
        for alert in view.alerts.iter().filter(|alert| alert.ended.is_none()) {
            *match alert.severity {
                Severity::High => &mut active.high,
                Severity::Medium => &mut active.medium,
                Severity::Low => &mut active.low,
                Severity::Info => &mut active.info,
            } += 1;
        }
        active
    }
}

impl<'a> AlertFullJson<'a> {
    fn of(alert: &'a Alert) -> AlertFullJson<'a> {
        AlertFullJson { brief: AlertBriefJson::of(alert), evidence: &alert.evidence }
    }
}

impl<'a> AlertBriefJson<'a> {
    fn of(alert: &'a Alert) -> AlertBriefJson<'a> {
        AlertBriefJson {
            id: alert.id,
            severity: alert.severity.as_str(),
            subject: &alert.subject,
            description: &alert.description,
            began: TimeJson(alert.began),
            last: TimeJson(alert.last),
            count: alert.count,
            ended: alert.ended.map(TimeJson),
        }
    }
}
