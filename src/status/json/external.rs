//! The pool's own statistics and the recipients of notifications in `/status`.

use serde::Serialize;

use super::value::TimeJson;
use crate::analyzer::CreditView;
use crate::notify::RecipientHealth;
use crate::pool_stats::{CreditVerdict, StatsHealth};

/// The statistics that the pool publishes; `null` when they are not configured.
#[derive(Debug, Serialize)]
pub(super) struct PoolStatsJson<'a> {
    answered: u64,
    failed: u64,
    last_error: Option<&'a str>,
    at: Option<TimeJson>,
    hashrate: Option<f64>,
    hashrate_window_seconds: Option<u64>,
    credited_total: Option<f64>,
    last_share_unix: Option<i64>,
    workers: Option<u64>,
    best: Option<f64>,
    verdict: &'static str,
    credited: Option<f64>,
    proven: Option<f64>,
}

impl<'a> PoolStatsJson<'a> {
    pub(super) fn new(health: &'a StatsHealth, credit: Option<&CreditView>) -> PoolStatsJson<'a> {
        let figures = credit.map(|credit| &credit.figures);
        let rate = figures.and_then(|figures| figures.hash_rate);
        let (verdict, credited, proven) = match credit.map(|credit| credit.verdict) {
            Some(CreditVerdict::CreditsLess { credited, proven, .. }) => {
                ("credits_less", Some(credited), Some(proven))
            }
            Some(CreditVerdict::Agrees) => ("agrees", None, None),
            Some(CreditVerdict::Unknown) | None => ("unknown", None, None),
        };
        PoolStatsJson {
            answered: health.answered,
            failed: health.failed,
            last_error: health.last_error.as_deref(),
            at: figures.map(|figures| TimeJson(figures.at)),
            hashrate: rate.map(|rate| rate.per_second),
            hashrate_window_seconds: rate.and_then(|rate| rate.window).map(|window| window.as_secs()),
            credited_total: figures.and_then(|figures| figures.accepted_difficulty_total),
            last_share_unix: figures.and_then(|figures| figures.last_share),
            workers: figures.and_then(|figures| figures.workers),
            best: figures.and_then(|figures| figures.best),
            verdict,
            credited,
            proven,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct RecipientJson<'a> {
    name: &'a str,
    sent: u64,
    failed: u64,
    held_back: u64,
    last_error: Option<&'a str>,
}

impl<'a> From<&'a RecipientHealth> for RecipientJson<'a> {
    fn from(health: &'a RecipientHealth) -> RecipientJson<'a> {
        RecipientJson {
            name: &health.name,
            sent: health.sent,
            failed: health.failed,
            held_back: health.held_back,
            last_error: health.last_error.as_deref(),
        }
    }
}
