//! Broadcasts what the pool sends to all miners of a group.

use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::net::Stamp;
use crate::proxy::aggregate::{
    ConnectedMiner, JobChange, MinerGroup, MinerJob, NameStatus, PoolName, Requester, SharedConnection,
};
use crate::stratum::{Difficulty, Reconnect, StratumError, VersionMask};

/// Caps the lines that are passed on. Longer ones would fill the queue of every miner that does not take them
/// at once.
const MAX_PASSED_ON_LINE: usize = 64 * 1024;
/// Caps the wait before a reconnection at the pool's request.
const MAX_RECONNECT_WAIT: Duration = Duration::from_secs(10);

impl MinerGroup {
    /// Handles the pool's verdict on a miner's worker.
    pub(in super::super) fn authorized(&self, requester: &Requester, is_accepted: bool) {
        let Some(miner) = requester.miner.upgrade() else { return };
        if is_accepted {
            miner.work().is_authorized = true;
            self.send_current_job(&miner);
        } else {
            miner.work().refusals += 1;
        }
    }

    pub(in super::super) fn name_judged(
        &self,
        connection: &Arc<SharedConnection>,
        name: &PoolName,
        status: &NameStatus,
    ) {
        if let NameStatus::Refused(refusal) = status {
            let text = format!("pool {} refuses {:?}: {refusal}", connection.upstream, name.0);
            connection.log(&self.services.listener_context, &text);
        }
        self.wake_waiters();
    }

    /// Handles the pool's verdict on a share.
    pub(in super::super) fn share_judged(
        &self,
        connection: &Arc<SharedConnection>,
        refusal: Option<&StratumError>,
    ) {
        let mut connection_state = connection.connection_state();
        match refusal {
            None => connection_state.unauthorized = 0,
            Some(refusal) if connection_state.names.is_about_a_name(refusal) => {
                connection_state.unauthorized += 1
            }
            Some(_) => {}
        }
        let is_change = connection_state.credits_nobody();
        drop(connection_state);
        if is_change {
            self.wake_waiters();
        }
    }

    /// Broadcasts a job, to the miner with the most hashes a second first, and returns when it has been sent to all.
    /// `change` tells how it differs from the one before.
    pub(in super::super) fn job(
        &self,
        connection: &Arc<SharedConnection>,
        miner_job: &Arc<MinerJob>,
        change: JobChange,
    ) {
        let mut miners: Vec<Arc<ConnectedMiner>> = {
            let mut state = self.state.lock();
            if !state.is_current(connection) {
                // A thread may wait for this connection to be ready.
                return self.notify_changed(state);
            }
            if change.is_moved {
                self.move_miners(&mut state, connection);
            }
            if let Some((_, prefixes)) = state.prefixes.as_mut().filter(|_| change.is_other_work) {
                prefixes.next_job();
            }
            state.miners.values().cloned().collect()
        };
        // The last one waits for all others.
        miners.sort_by_cached_key(|miner| Reverse(miner.strength()));
        let (count, readable_at) = (miners.len(), miner_job.pool_job.readable_at);
        self.send_to_all(miners, miner_job, connection, readable_at);
        self.services.fanned_out(count, readable_at);
    }

    /// Sends a job to these miners, the first ones first. `since`: the time from which the delay counts.
    fn send_to_all(
        &self,
        miners: Vec<Arc<ConnectedMiner>>,
        miner_job: &Arc<MinerJob>,
        connection: &Arc<SharedConnection>,
        since: Stamp,
    ) {
        let (miner_job, connection) = (miner_job.clone(), connection.clone());
        self.services.senders.each(miners.len(), move |index| {
            let Some(miner) = miners.get(index) else { return };
            let sending = AssertUnwindSafe(|| miner.send_job(&miner_job, &connection, since));
            if catch_unwind(sending).is_err() {
                // It reconnects, and starts over.
                log::error!("session {} closed: sending it a job failed", miner.id());
                miner.close();
            }
        });
    }

    /// Handles another difficulty of the pool's. Miners that work above it get a job at once: shares that
    /// only the pool would have accepted would be lost.
    pub(in super::super) fn difficulty_changed(
        &self,
        connection: &Arc<SharedConnection>,
        difficulty: Difficulty,
    ) {
        if !self.is_current(connection) {
            return;
        }
        let above: Vec<_> =
            self.miners().into_iter().filter(|miner| miner.work().is_above(difficulty)).collect();
        if above.is_empty() {
            return;
        }
        if let Some(miner_job) = self.renew(connection) {
            self.send_to_all(above, &miner_job, connection, Stamp::now());
        }
    }

    pub(in super::super) fn mask_changed(
        &self,
        connection: &Arc<SharedConnection>,
        mask: Option<VersionMask>,
        at: Stamp,
    ) {
        if self.is_current(connection) {
            self.services.remember_mask(mask);
            self.miners().iter().for_each(|miner| miner.set_mask(mask, at));
        }
        self.wake_waiters();
    }

    /// Passes a line of the pool's on to all miners, unless it is very long.
    pub(in super::super) fn pass_on(&self, connection: &Arc<SharedConnection>, line: &[u8], at: Stamp) {
        if line.len() <= MAX_PASSED_ON_LINE && self.is_current(connection) {
            let line = [line.trim_ascii_end(), b"\n"].concat();
            for miner in self.miners() {
                let is_ready = miner.work().is_ready();
                if is_ready {
                    miner.send(&line, at);
                }
            }
        }
    }

    /// Handles `client.reconnect`, perhaps to another port. Only a configured host is followed (wire
    /// reference, section 2.10). The manager makes the next connection first.
    pub(in super::super) fn redirected(&self, connection: &Arc<SharedConnection>, params: Option<&RawValue>) {
        let reconnect = Reconnect::from_params(params);
        let services = &self.services;
        if !services.upstreams.is_listed_host(&reconnect) {
            let host = &reconnect.host;
            let text = format!(
                "pool {} asks Sluice to reconnect to another host, {host:?}, which is not configured; not followed",
                connection.upstream
            );
            return connection.log(&services.listener_context, &text);
        }
        let is_new = {
            let mut connection_state = connection.connection_state();
            let is_new = connection_state.redirection.is_none();
            // Another port of the pool's own host is followed. The port of another configured pool is not.
            let is_own = reconnect.is_to(&connection.configured.host);
            let port = reconnect.port_number().filter(|_| is_own);
            let at = Instant::now() + reconnect.wait.min(MAX_RECONNECT_WAIT);
            connection_state.redirection.get_or_insert((at, port));
            is_new
        };
        if is_new {
            log::info!("pool {} asks Sluice to reconnect", connection.upstream);
            self.wake_waiters();
        }
    }
}
