//! Events about pools: connected, failed, without work, blocked, back; and miners that move to another pool and return.

use serde_json::json;

use super::pool_reach::{Failover, PoolReach, failover};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::EventRow;
use crate::upstream::PoolStatus;

type PoolEventType = (&'static str, Severity);

const CONNECTED: PoolEventType = ("pool.connected", Severity::Info);
const FAILED: PoolEventType = ("pool.failed", Severity::Medium);
const NO_WORK: PoolEventType = ("pool.no_work", Severity::Medium);
const BLOCKED: PoolEventType = ("pool.blocked", Severity::High);
const RETURNED: PoolEventType = ("pool.returned", Severity::Info);
const FAILED_OVER: PoolEventType = ("pool.failed_over", Severity::Medium);
const FAILED_BACK: PoolEventType = ("pool.failed_back", Severity::Info);

/// The events between two states of all pools. `before` has none at the start.
pub(super) fn pool_events(before: &[PoolReach], now: &[PoolReach], at: NtpTime) -> Vec<EventRow> {
    let mut events = Vec::new();
    for (index, pool) in now.iter().enumerate() {
        // A pool that is not listed any more may fail unnoticed.
        if pool.rank.is_some() {
            events.extend(change(before.get(index), pool, at));
        }
    }
    match (failover(before), failover(now)) {
        (None, Some(new)) if new.has_reason => events.push(failed_over(new, at)),
        (Some(old), Some(new)) if old.used.name != new.used.name => events.push(failed_over(new, at)),
        (Some(_), None) => events.extend(failed_back(now, at)),
        _ => {}
    }
    events
}

fn change(before: Option<&PoolReach>, pool: &PoolReach, at: NtpTime) -> Option<EventRow> {
    let status = |pool: &PoolReach| (pool.status, pool.status == PoolStatus::Failed && pool.gives_no_work);
    let was = before.map_or((PoolStatus::Untried, false), status);
    let is = status(pool);
    if was == is {
        return None;
    }
    let name = &pool.name;
    let (kind, text) = match is {
        (PoolStatus::Untried, _) => return None,
        (PoolStatus::Up, _) if was.0 == PoolStatus::Untried => {
            (CONNECTED, format!("connected to pool {name}"))
        }
        (PoolStatus::Up, _) => (RETURNED, format!("pool {name} works again")),
        (PoolStatus::Failed, true) => (NO_WORK, format!("pool {name} gives no work: {}", pool.trouble())),
        (PoolStatus::Failed, false) => (FAILED, format!("pool {name} has failed: {}", pool.trouble())),
        (PoolStatus::Blocked, _) => {
            (BLOCKED, format!("pool {name} is taken out of rotation: {}", pool.trouble()))
        }
    };
    let data = json!({ "reason": pool.reason, "rank": pool.rank });
    Some(EventRow::new(at, kind, name, text).with_upstream(name).with_data(data))
}

fn failed_over(new: Failover<'_>, at: NtpTime) -> EventRow {
    let Failover { preferred, used, .. } = new;
    let reason = if preferred.is_up() { "a better pool has failed" } else { preferred.trouble() };
    let text =
        format!("miners moved to pool {}, because {} can't be used: {reason}", used.name, preferred.name);
    let data = json!({ "preferred": preferred.name, "reason": reason });
    EventRow::new(at, FAILED_OVER, &used.name, text).with_upstream(&used.name).with_data(data)
}

/// Miners are back on the preferred pool. Nobody is back anywhere if no pool is in use.
fn failed_back(now: &[PoolReach], at: NtpTime) -> Option<EventRow> {
    let used = now.iter().find(|pool| pool.rank == Some(0) && pool.is_in_use)?;
    let text = format!("miners are back on the preferred pool {}", used.name);
    Some(EventRow::new(at, FAILED_BACK, &used.name, text).with_upstream(&used.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(before: &[PoolReach], now: &[PoolReach]) -> Vec<String> {
        let at = "2026-11-21T01:00:00Z".parse().unwrap();
        pool_events(before, now, at).into_iter().map(|event| event.kind.into_owned()).collect()
    }

    #[test]
    fn a_failover_and_its_end_are_told_with_the_pools() {
        use PoolStatus::{Failed, Untried, Up};
        let pools = |first, uses_first, second, uses_second| {
            [PoolReach::for_tests(0, first, uses_first), PoolReach::for_tests(1, second, uses_second)]
        };
        let begin = pools(Untried, false, Untried, false);
        assert_eq!(kinds(&[], &begin), [""; 0]);
        let mining = pools(Up, true, Untried, false);
        assert_eq!(kinds(&begin, &mining), ["pool.connected"]);
        let broken = pools(Failed, false, Untried, false);
        assert_eq!(kinds(&mining, &broken), ["pool.failed"]);
        let moved = pools(Failed, false, Up, true);
        assert_eq!(kinds(&broken, &moved), ["pool.connected", "pool.failed_over"]);
        let healed = pools(Up, false, Up, true);
        assert_eq!(kinds(&moved, &healed), ["pool.returned"]);
        assert_eq!(kinds(&healed, &pools(Up, true, Up, false)), ["pool.failed_back"]);
        // All miners are off: nobody is back.
        assert_eq!(kinds(&healed, &pools(Up, false, Up, false)), [""; 0]);
    }

    #[test]
    fn the_reason_is_in_the_text() {
        let before = [PoolReach::for_tests(0, PoolStatus::Up, true)];
        let at = "2026-11-21T01:00:00Z".parse().unwrap();
        let mut now = [PoolReach::for_tests(0, PoolStatus::Failed, false)];
        let events = pool_events(&before, &now, at);
        assert_eq!(events[0].text, "pool pool0:3333 has failed: connection refused");
        assert_eq!(events[0].upstream.as_deref(), Some("pool0:3333"));
        now[0].gives_no_work = true;
        assert_eq!(kinds(&before, &now), ["pool.no_work"]);
        now[0].status = PoolStatus::Blocked;
        assert_eq!(kinds(&before, &now), ["pool.blocked"]);
    }
}
