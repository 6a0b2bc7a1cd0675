//! Switches a group to another connection: the new one works before the old one closes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::connect::authorize_all;
use super::{ConnectionManager, MAX_CHECK_INTERVAL};
use crate::proxy::aggregate::SharedConnection;
use crate::upstream::{PoolConnection, UpstreamId};
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::thread::{SERVICE_STACK, spawn};

/// The time for answers that are on their way on a connection that is left.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(2);
/// The time between two checks whether they have arrived.
const DRAIN_CHECK: Duration = Duration::from_millis(10);

impl ConnectionManager<'_> {
    /// Switches to another pool, or to another connection to this one. Make before break: the miners move
    /// when the new connection has answered and given a job.
    pub(super) fn switch_over(
        &mut self,
        to: UpstreamId,
        port: Option<u16>,
        from: &Arc<SharedConnection>,
    ) -> Result<Option<Arc<SharedConnection>>, Stopped> {
        // For a new connection to the same pool the end of the former one is no bad sign.
        let other = Some(&**from).filter(|from| from.upstream != to);
        let Some(dialled) = self.dial_meanwhile(to, port, other)? else { return Ok(None) };
        let Some(next) = self.open(dialled, None, other, Some(from))? else { return Ok(None) };
        log::info!("moving miners to pool {to} {}", self.group.services.upstreams.name(to));
        // Before they are moved: nothing of theirs goes out on this connection.
        self.group.disconnect_others();
        self.group.switch_to(&next);
        authorize_all(self.group, &next);
        drain(self.stop, from, &next);
        Ok(Some(next))
    }

    /// Dials while the miners stay as they are. If their connection ends, this gives up, because that is more
    /// urgent.
    fn dial_meanwhile(
        &mut self,
        to: UpstreamId,
        port: Option<u16>,
        present: Option<&SharedConnection>,
    ) -> Result<Option<PoolConnection>, Stopped> {
        let (group, (sender, receiver)) = (self.group.clone(), crossbeam_channel::bounded(1));
        let deadline = Instant::now() + self.group.services.config.failover.connect_deadline;
        let dialling = spawn(format!("dial-{}", self.group.number), SERVICE_STACK, move || {
            // The thread that waits for this may have given up.
            let upstreams = &group.services.upstreams;
            let dialled = match port {
                Some(port) => upstreams.connect_to_port(to, port, deadline),
                None => upstreams.connect_to(to, deadline),
            };
            let _ = sender.send(dialled.ok());
            group.wake_waiters();
        });
        if let Err(error) = dialling {
            log::error!("can't start a thread for another connection to a pool: {}", describe(&error));
        }
        loop {
            let seen = self.group.change_count();
            self.stop.check()?;
            match receiver.try_recv() {
                Ok(dialled) => return Ok(dialled),
                Err(crossbeam_channel::TryRecvError::Disconnected) => return Ok(None),
                Err(crossbeam_channel::TryRecvError::Empty) => {}
            }
            if present.is_some_and(SharedConnection::is_spent) {
                self.unproven = Some(to);
                return Ok(None);
            }
            self.group.wait_for_change(seen, MAX_CHECK_INTERVAL);
        }
    }
}

/// Ends a connection when the answers that are on their way have arrived, or will not any more. If miners are
/// with the next one already, its end ends the waiting, too.
fn drain(stop: &Stop, from: &SharedConnection, next: &SharedConnection) {
    let deadline = Instant::now() + MAX_DRAIN_TIME;
    while !from.is_over() && !next.is_over() && Instant::now() < deadline {
        if stop.sleep(DRAIN_CHECK).is_err() {
            break;
        }
    }
    from.end();
}
