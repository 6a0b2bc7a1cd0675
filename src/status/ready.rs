//! `/readyz`: readiness for watchdogs and load balancers.

use super::snapshot::StatusSnapshot;
use crate::upstream::PoolStatus;
use crate::util::format::span;

/// Checks that a miner's session is with a pool that is up and whose newest job is younger than
/// `failover.silence_timeout`. If analysis is off, the age of the pool's last bytes counts instead.
///
/// # Errors
/// The reason why Sluice is not ready, in one line.
pub fn readiness(status: &StatusSnapshot) -> Result<(), String> {
    let limit = status.program.config.failover.silence_timeout;
    let connected = || {
        let upstreams = status.runtime.upstreams.iter().enumerate();
        upstreams.filter(|(_, upstream)| upstream.sessions > 0 && upstream.standing == PoolStatus::Up)
    };
    if connected().next().is_none() {
        return Err(match status.runtime.sessions {
            0 => String::from("no miner is connected, so no pool is"),
            _ if status.runtime.upstreams.iter().any(|one| one.sessions > 0 && one.gives_no_work) => {
                String::from("the pool gives no work")
            }
            _ => String::from("no pool is connected"),
        });
    }
    let newest = match status.program.config.analysis.enabled {
        true => connected()
            .filter_map(|(place, _)| Some(status.age_of(status.pool(place)?.job.as_ref()?.at)))
            .min(),
        false => connected().filter_map(|(_, upstream)| upstream.heard_ago).min(),
    };
    match newest {
        Some(age) if age < limit => Ok(()),
        Some(age) => Err(format!("the newest job is {} old", span(age))),
        None => Err(String::from("the pool has not sent a job yet")),
    }
}
