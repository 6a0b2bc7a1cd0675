//! The thread that sees time pass for all miners: a difficulty that nobody reaches eases by itself.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Services;
use super::link::Link;
use crate::stop::{Stop, Stopped};
use crate::thread::{SERVICE_STACK, spawn};

const SECOND: Duration = Duration::from_secs(1);

/// Starts the thread.
///
/// # Errors
/// When there is no room for it.
pub(super) fn start(services: &Arc<Services>, stop: &Stop) -> io::Result<()> {
    let (services, stop) = (services.clone(), stop.clone());
    spawn("vardiff", SERVICE_STACK, move || {
        while stop.sleep(SECOND).is_ok() {
            for miner in services.registry.all() {
                // Silence says nothing of a miner that has no work.
                let has_pool = |link: &Arc<Link>| link.connection().is_some_and(|pool| !pool.is_over());
                let Some(link) = miner.link().filter(has_pool) else { continue };
                let is_urgent = miner.desk().tick(Instant::now());
                if is_urgent {
                    link.again(&miner);
                }
            }
        }
        Ok::<(), Stopped>(())
    })?;
    Ok(())
}
