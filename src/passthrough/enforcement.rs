//! What follows from a finding that costs money, where the configuration says so: the upstream leaves the
//! rotation, and the sessions on it are closed, so that their miners come back on the next one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::Services;
use crate::analyzer::Offence;
use crate::stop::{Stop, Stopped};
use crate::thread::{SERVICE_STACK, spawn};
use crate::upstream::Rank;

/// Offences that may wait. Each bad job is one, so that none is missed for good.
const MOST_WAITING: usize = 64;
/// How often it is looked whether the program ends.
const LOOK: Duration = Duration::from_millis(200);

/// Where the analyzer sends what it finds.
pub fn channel() -> (Sender<Offence>, Receiver<Offence>) {
    bounded(MOST_WAITING)
}

/// Starts the thread that acts upon offences until `stop`.
pub(super) fn start(services: &Arc<Services>, offences: Receiver<Offence>, stop: &Stop) -> io::Result<()> {
    let (services, stop) = (services.clone(), stop.clone());
    spawn("enforcement", SERVICE_STACK, move || {
        while stop.check().is_ok() {
            match offences.recv_timeout(LOOK) {
                Ok(offence) => enforce(&services, &offence),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok::<(), Stopped>(())
    })?;
    Ok(())
}

fn enforce(services: &Services, offence: &Offence) {
    if offence.upstream >= services.upstreams.count() {
        return;
    }
    services.upstreams.block(Rank(offence.upstream), &offence.description);
    // Also of sessions that had chosen it before it was blocked.
    let is_on_it = |place: Option<usize>| place == Some(offence.upstream);
    for session in services.registry.all() {
        if is_on_it(session.conversation.upstream()) {
            session.close();
        }
    }
}
