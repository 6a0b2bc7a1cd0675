//! What follows from a finding that costs money, where the configuration says so: the upstream leaves the
//! rotation, and the sessions on it are closed, so that their miners come back on the next one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::Proxy;
use crate::analyzer::EnforcementRequest;
use crate::upstream::UpstreamId;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;
use crate::util::supervise::service;

/// Offences that may wait. Each bad job is one, so that none is missed for good.
const MOST_WAITING: usize = 64;
/// The thread's heartbeat is later than this only if something holds it.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// How often it is looked whether the program ends.
const LOOK: Duration = Duration::from_millis(200);

/// Where the analyzer sends what it finds.
pub fn channel() -> (Sender<EnforcementRequest>, Receiver<EnforcementRequest>) {
    bounded(MOST_WAITING)
}

/// Starts the thread that acts upon requests until `stop`.
///
/// # Errors
/// When no thread can be started.
pub fn start(proxy: &Arc<dyn Proxy>, requests: Receiver<EnforcementRequest>, stop: &Stop) -> io::Result<()> {
    let (proxy, stop) = (proxy.clone(), stop.clone());
    service("enforcement").beats_within(STUCK_AFTER).start(move || {
        while stop.check().is_ok() {
            supervise::beat();
            match requests.recv_timeout(LOOK) {
                Ok(offence) => enforce(&*proxy, &offence),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok::<(), Stopped>(())
    })?;
    Ok(())
}

fn enforce(proxy: &dyn Proxy, offence: &EnforcementRequest) {
    let (upstreams, upstream) = (proxy.upstreams(), UpstreamId(offence.upstream));
    if offence.upstream >= upstreams.count() {
        return;
    }
    upstreams.block(upstream, &offence.description);
    // Also those that had chosen it before it was blocked.
    proxy.leave_pool(upstream);
}
