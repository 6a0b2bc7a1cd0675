//! The pool's own statistics in `/status`.

use serde::{Serialize, Serializer};

use super::value::TimeJson;
use crate::analyzer::CreditView;
use crate::pool_stats::{CreditVerdict, StatsHealth};

/// The statistics that the pool publishes, and their comparison with the proven work.
pub(super) struct PoolStatsJson<'a>(pub(super) &'a StatsHealth, pub(super) Option<&'a CreditView>);

impl Serialize for PoolStatsJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let PoolStatsJson(health, credit) = self;
        let figures = credit.map(|credit| &credit.figures);
        let rate = figures.and_then(|figures| figures.hash_rate);
        let (verdict, credited, proven) = match credit.map(|credit| credit.verdict) {
            Some(CreditVerdict::CreditsLess { credited, proven, .. }) => {
                ("credits_less", Some(credited), Some(proven))
            }
            Some(CreditVerdict::Agrees) => ("agrees", None, None),
            Some(CreditVerdict::Unknown) | None => ("unknown", None, None),
        };
        object!(
            to,
            answered = health.answered,
            failed = health.failed,
            last_error = health.last_error,
            at = figures.map(|figures| TimeJson(figures.at)),
            hashrate = rate.map(|rate| rate.per_second),
            hashrate_window_seconds = rate.and_then(|rate| rate.window).map(|window| window.as_secs()),
            credited_total = figures.and_then(|figures| figures.accepted_difficulty_total),
            last_share_unix = figures.and_then(|figures| figures.last_share),
            workers = figures.and_then(|figures| figures.workers),
            best = figures.and_then(|figures| figures.best),
            verdict = verdict,
            credited = credited,
            proven = proven,
        )
    }
}
