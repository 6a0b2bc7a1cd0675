//! `/api/alerts`, and the summary of the alerts in `/status`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::Time;
use crate::analyzer::{Alert, AlertsView};
use crate::config::Severity;
use crate::status::labels;
use crate::status::snapshot::StatusSnapshot;

/// Caps `limit`. No more alerts than this are ever kept.
const MOST: usize = 500;
/// Caps the alerts in `/status`.
const NEWEST: usize = 5;

#[derive(Debug, Serialize)]
struct AlertsJson<'a> {
    at: Time,
    total: usize,
    active: Active,
    counts: &'a BTreeMap<&'static str, u64>,
    not_kept: u64,
    alerts: Vec<AlertFullJson<'a>>,
}

/// The number of active alerts by severity.
#[derive(Debug, Default, Serialize)]
struct Active {
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
    began: Time,
    last: Time,
    count: u64,
    ended: Option<Time>,
}

/// The summary in `/status`.
#[derive(Debug, Serialize)]
pub(super) struct Overview<'a> {
    active: Active,
    counts: &'a BTreeMap<&'static str, u64>,
    not_kept: u64,
    newest: Vec<AlertBriefJson<'a>>,
}

/// Lists active alerts first, then the newest.
pub(super) fn alerts(sight: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 100, 1..=MOST)?;
    let view = &sight.snapshot.alerts;
    Ok(text(&AlertsJson {
        at: Time(sight.at),
        total: view.alerts.len(),
        active: Active::of(view),
        counts: &view.counts,
        not_kept: view.overflowed,
        alerts: view.alerts.iter().take(limit).map(|alert| AlertFullJson::of(alert)).collect(),
    }))
}

impl<'a> Overview<'a> {
    pub(super) fn of(view: &'a AlertsView) -> Overview<'a> {
        Overview {
            active: Active::of(view),
            counts: &view.counts,
            not_kept: view.overflowed,
            newest: view.alerts.iter().take(NEWEST).map(|alert| AlertBriefJson::of(alert)).collect(),
        }
    }
}

impl Active {
    fn of(view: &AlertsView) -> Active {
        let mut active = Active::default();
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
            severity: labels::severity(alert.severity),
            subject: &alert.subject,
            description: &alert.description,
            began: Time(alert.began),
            last: Time(alert.last),
            count: alert.count,
            ended: alert.ended.map(Time),
        }
    }
}
