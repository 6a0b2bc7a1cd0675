//! `pool.unreachable`: no configured pool can be used. `pool.failed_over`: miners work on a less preferred pool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::pool_reach::{Failover, PoolReach, failover, troubles};
use super::{AlertContext, AlertType};
use crate::config::Severity;

const UNREACHABLE: AlertType = ("pool.unreachable", Severity::High);
const FAILED_OVER: AlertType = ("pool.failed_over", Severity::Medium);
/// The time after which an outage is reported. A router restart or a line that drops takes less in most cases, and
/// probes come every second at first.
const REPORT_AFTER: Duration = Duration::from_secs(30);
/// The subject, which is all pools together.
const SUBJECT: &str = "pools";

#[derive(Debug, Default)]
pub(in super::super) struct PoolReachRules {
    /// The newest state of all pools; empty before the first.
    pools: Arc<[PoolReach]>,
    /// The time since which no pool can be used.
    none_since: Option<Instant>,
    /// Miners have moved to a less preferred pool because of a failure, and are not back.
    has_failed_over: bool,
}

impl PoolReachRules {
    pub(in super::super) fn set_pools(&mut self, pools: Arc<[PoolReach]>, now: Instant) {
        let is_usable = pools.iter().any(PoolReach::is_usable);
        self.none_since = if is_usable { None } else { self.none_since.or(Some(now)) };
        self.pools = pools;
    }

    /// The newest state of all pools.
    pub(in super::super) fn pools(&self) -> &Arc<[PoolReach]> {
        &self.pools
    }

    /// Whether no pool can be used now.
    pub(super) fn is_out(&self) -> bool {
        self.none_since.is_some()
    }

    pub(super) fn tick(&mut self, now: Instant, context: &mut AlertContext<'_>) {
        self.unreachable(now, context);
        self.failed_over(context);
    }

    fn unreachable(&self, now: Instant, context: &mut AlertContext<'_>) {
        let lasted = self.none_since.map(|since| now.saturating_duration_since(since));
        match lasted {
            Some(lasted) if lasted >= REPORT_AFTER => {
                let seconds = lasted.as_secs();
                context.raise(UNREACHABLE, SUBJECT, || {
                    let reasons = troubles(&self.pools);
                    let description = format!(
                        "no configured pool has been usable for {seconds} s, so miners that connect are disconnected, and \
                         nobody mines ({reasons}); check the internet connection, or add an [[upstream]]"
                    );
                    (description, json!({ "seconds": seconds, "pools": reasons }))
                });
            }
            None => context.resolve(UNREACHABLE.0, SUBJECT),
            Some(_) => {}
        }
    }

    fn failed_over(&mut self, context: &mut AlertContext<'_>) {
        let found = failover(&self.pools);
        // A changed order alone is no failover: miners move to the preferred pool by and by.
        self.has_failed_over = found.is_some_and(|found| self.has_failed_over || found.has_reason);
        let Some(Failover { preferred, used, .. }) = found.filter(|_| self.has_failed_over) else {
            return context.resolve(FAILED_OVER.0, SUBJECT);
        };
        context.raise(FAILED_OVER, SUBJECT, || {
            let reasons = troubles(&self.pools);
            let because = if reasons.is_empty() { String::new() } else { format!(" ({reasons})") };
            let description = format!(
                "miners work on {}, because {} can't be used{because}; they return by themselves when it has worked for \
                 failover.failback_after",
                used.name, preferred.name
            );
            (description, json!({ "upstream": used.name, "preferred": preferred.name, "pools": reasons }))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{test_clock, test_time};
    use super::*;
    use crate::analyzer::alerts::AlertBook;
    use crate::record::AlertKind;
    use crate::upstream::PoolStatus;

    /// The alerts of a run of 300 s, in which `pools` says how they are at each second.
    fn reported(pools: impl Fn(i64) -> Vec<PoolReach>) -> Vec<(i64, &'static str, AlertKind)> {
        let (mut alerts, mut rules, began) = (AlertBook::new(&[]), PoolReachRules::default(), Instant::now());
        let mut reported = Vec::new();
        for second in 0..300 {
            let (now, at) = (began + Duration::from_secs(second as u64), test_time(second));
            rules.set_pools(pools(second).into(), now);
            let tick = |context: &mut AlertContext<'_>| rules.tick(now, context);
            let mut rows = AlertContext::for_tests(&mut alerts, &test_clock(), at, tick);
            rows.extend(alerts.expire(at));
            reported.extend(rows.into_iter().map(|row| (second, row.id, row.kind)));
        }
        reported
    }

    #[test]
    fn an_outage_is_reported_after_half_a_minute_and_ends_with_a_pool() {
        let reported = reported(|second| {
            // A short outage first, then a long one.
            let is_out = (5..25).contains(&second) || (50..120).contains(&second);
            let status = if is_out { PoolStatus::Failed } else { PoolStatus::Up };
            vec![PoolReach::for_tests(0, status, false)]
        });
        let expected =
            [(80, "pool.unreachable", AlertKind::Begins), (180, "pool.unreachable", AlertKind::Ends)];
        assert_eq!(reported, expected);
    }

    #[test]
    fn a_failover_lasts_until_no_miner_is_on_a_less_preferred_pool() {
        let reported = reported(|second| {
            let first = if (10..40).contains(&second) { PoolStatus::Failed } else { PoolStatus::Up };
            let (uses_first, uses_second) = (!(10..100).contains(&second), (12..120).contains(&second));
            vec![
                PoolReach::for_tests(0, first, uses_first),
                PoolReach::for_tests(1, PoolStatus::Up, uses_second),
            ]
        });
        let expected =
            [(12, "pool.failed_over", AlertKind::Begins), (180, "pool.failed_over", AlertKind::Ends)];
        assert_eq!(reported, expected);
    }

    #[test]
    fn a_changed_order_is_no_failover() {
        let reported = reported(|second| {
            vec![
                PoolReach::for_tests(0, PoolStatus::Up, second > 200),
                PoolReach::for_tests(1, PoolStatus::Up, second < 250),
            ]
        });
        assert_eq!(reported, []);
    }
}
