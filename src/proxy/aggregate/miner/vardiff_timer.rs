//! The thread that lets time pass for all miners: a difficulty that no share reaches eases by itself, and a miner
//! that was sent nothing for long is reminded of it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::proxy::aggregate::{AggregateServices, ConnectedMiner, MinerGroup};
use crate::util::stop::Stop;
use crate::util::supervise::{self, service};

/// The thread's heartbeat is later than this only if something holds it.
const STUCK_AFTER: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// Starts the thread.
///
/// # Errors
/// When there is no room for it.
pub(crate) fn start(services: &Arc<AggregateServices>, stop: &Stop) -> io::Result<()> {
    let (services, stop) = (services.clone(), stop.clone());
    service("vardiff").beats_within(STUCK_AFTER).start(move || {
        while stop.sleep(SECOND.min(services.limits.remind_after / 4)).is_ok() {
            supervise::beat();
            services.listener_context.log_left_out();
            each_alone(services.registry.all(), step, |miner| {
                // It reconnects, and starts over.
                log::error!("session {} closed: adjusting its difficulty failed", miner.id());
                miner.close();
            });
        }
    })?;
    Ok(())
}

fn step(miner: &Arc<ConnectedMiner>) {
    miner.remind_if_quiet();
    // Silence shows nothing about a miner that has no work.
    let has_pool = |group: &Arc<MinerGroup>| group.connection().is_some_and(|pool| !pool.is_over());
    let Some(group) = miner.group().filter(has_pool) else { return };
    let is_urgent = miner.work().tick(Instant::now());
    if is_urgent {
        group.resend_job(miner);
    }
}

/// Calls `step` for each. A panic over one is not the others' end; what it leaves is behind locks.
fn each_alone<T>(all: Vec<T>, step: impl Fn(&T), failed: impl Fn(&T)) {
    for one in &all {
        if catch_unwind(AssertUnwindSafe(|| step(one))).is_err() {
            failed(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_panic_over_one_miner_does_not_end_the_others() {
        let (seen, failed) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let step = |number: &i32| {
            assert_ne!(*number, 2, "on purpose");
            seen.borrow_mut().push(*number);
        };
        each_alone(vec![1, 2, 3], step, |number| failed.borrow_mut().push(*number));
        assert_eq!((seen.into_inner(), failed.into_inner()), (vec![1, 3], vec![2]));
    }
}
