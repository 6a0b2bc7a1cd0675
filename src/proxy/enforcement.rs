//! Carries out what the analyzer asks for after an alert, if the configuration says so: it takes the pool out
//! of rotation and closes the sessions on it, so that their miners reconnect to the next one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::Proxy;
use crate::analyzer::EnforcementRequest;
use crate::upstream::UpstreamId;
use crate::util::stop::Stop;
use crate::util::supervise::{self, service};

/// Caps the requests that wait. Every bad job makes one, so a request that is dropped is made again.
const MAX_WAITING_REQUESTS: usize = 64;
/// The thread's heartbeat is later than this only if something holds it.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// The time between two checks whether the program ends.
const STOP_CHECK: Duration = Duration::from_millis(200);

/// The channel on which the analyzer sends its requests.
pub fn channel() -> (Sender<EnforcementRequest>, Receiver<EnforcementRequest>) {
    bounded(MAX_WAITING_REQUESTS)
}

/// Starts the thread that carries out requests until `stop`.
///
/// # Errors
/// When no thread can be started.
pub fn start(proxy: &Arc<dyn Proxy>, requests: Receiver<EnforcementRequest>, stop: &Stop) -> io::Result<()> {
    let (proxy, stop) = (proxy.clone(), stop.clone());
    service("enforcement").beats_within(STUCK_AFTER).start(move || {
        while stop.check().is_ok() {
            supervise::beat();
            match requests.recv_timeout(STOP_CHECK) {
                Ok(request) => enforce(&*proxy, &request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    })?;
    Ok(())
}

fn enforce(proxy: &dyn Proxy, request: &EnforcementRequest) {
    let (upstreams, upstream) = (proxy.upstreams(), UpstreamId(request.upstream));
    if request.upstream >= upstreams.count() {
        return;
    }
    upstreams.block(upstream, &request.description);
    // Sessions that had chosen the pool before it was blocked are closed too.
    proxy.leave_pool(upstream);
}
