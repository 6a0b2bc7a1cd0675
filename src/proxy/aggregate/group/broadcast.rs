//! Broadcasts what the pool sends to all miners of a group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::super::identity::PoolName;
use super::super::miner::ConnectedMiner;
use super::{JobNews, MinerGroup};
use crate::net::Stamp;
use crate::proxy::aggregate::jobs::MinerJob;
use crate::proxy::aggregate::pool::connection::Connection;
use crate::proxy::aggregate::pool::names::NameStatus;
use crate::proxy::aggregate::pool::pending::Requester;
use crate::proxy::{LogTopic, say};
use crate::stratum::{Difficulty, Reconnect, StratumError, VersionMask};

/// Caps the lines that are passed on. Longer ones would fill the queue of every miner that does not take them
/// at once.
const MOST_SAID: usize = 64 * 1024;
/// Caps the wait before a reconnection at the pool's request.
const MOST_WAIT: Duration = Duration::from_secs(10);

impl MinerGroup {
    /// Handles the pool's verdict on a miner's worker.
    pub(in super::super) fn authorized(&self, asker: &Requester, is_accepted: bool) {
        let Some(miner) = asker.miner.upgrade() else { return };
        if is_accepted {
            miner.desk().is_authorized = true;
            self.begin(&miner);
        } else {
            miner.desk().refusals += 1;
        }
    }

    pub(in super::super) fn name_judged(
        &self,
        connection: &Arc<Connection>,
        name: &PoolName,
        standing: &NameStatus,
    ) {
        if let NameStatus::Refused(refusal) = standing {
            let text = format!("pool {} refuses {:?}: {refusal}", connection.upstream, name.0);
            say(&self.services.reception, connection.conversation.miner(), LogTopic::Pool, &text);
        }
        self.news();
    }

    /// Handles the pool's verdict on a share.
    pub(in super::super) fn share_judged(
        &self,
        connection: &Arc<Connection>,
        refusal: Option<&StratumError>,
    ) {
        let mut facts = connection.facts();
        match refusal {
            None => facts.unauthorized = 0,
            Some(refusal) if facts.names.is_about_a_name(refusal) => facts.unauthorized += 1,
            Some(_) => {}
        }
        let is_news = facts.credits_nobody();
        drop(facts);
        if is_news {
            self.news();
        }
    }

    /// Broadcasts a job. `change` tells how it differs from the one before.
    pub(in super::super) fn job(&self, connection: &Arc<Connection>, task: &Arc<MinerJob>, news: JobNews) {
        let miners: Vec<Arc<ConnectedMiner>> = {
            let mut state = self.lock();
            if !state.is_current(connection) {
                // A thread may wait for this connection to be ready.
                return self.tell(state);
            }
            if news.is_moved {
                self.reseat(&mut state, connection);
            }
            if let Some((_, slots)) = state.slots.as_mut().filter(|_| news.is_other_work) {
                slots.next_job();
            }
            state.miners.values().cloned().collect()
        };
        for miner in &miners {
            miner.give(task, connection, task.job.readable_at);
        }
        self.services.fanned_out(miners.len(), task.job.readable_at);
    }

    /// Handles another difficulty of the pool's. Miners that work above it get a job at once: shares that
    /// only the pool would have accepted would be lost.
    pub(in super::super) fn difficulty_changed(&self, connection: &Arc<Connection>, difficulty: Difficulty) {
        if !self.is_current(connection) {
            return;
        }
        let above: Vec<_> =
            self.miners().into_iter().filter(|miner| miner.desk().is_above(difficulty)).collect();
        if above.is_empty() {
            return;
        }
        if let Some(task) = self.renew(connection) {
            above.iter().for_each(|miner| miner.give(&task, connection, Stamp::now()));
        }
    }

    pub(in super::super) fn mask_changed(
        &self,
        connection: &Arc<Connection>,
        mask: Option<VersionMask>,
        at: Stamp,
    ) {
        if self.is_current(connection) {
            self.services.remember_mask(mask);
            self.miners().iter().for_each(|miner| miner.set_mask(mask, at));
        }
        self.news();
    }

    /// Passes a line of the pool's on to all miners, unless it is very long.
    pub(in super::super) fn pass_on(&self, connection: &Arc<Connection>, line: &[u8], at: Stamp) {
        if line.len() <= MOST_SAID && self.is_current(connection) {
            let line = [line.trim_ascii_end(), b"\n"].concat();
            for miner in self.miners() {
                let is_ready = miner.desk().is_ready();
                if is_ready {
                    miner.say(&line, at);
                }
            }
        }
    }

    /// Handles `client.reconnect`, perhaps to another port. Only a configured host is followed (wire
    /// reference, section 2.10). The manager makes the next connection first.
    pub(in super::super) fn redirected(&self, connection: &Arc<Connection>, params: Option<&RawValue>) {
        let reconnect = Reconnect::from_params(params);
        let services = &self.services;
        if !services.upstreams.lists(&reconnect) {
            let host = &reconnect.host;
            let peer = connection.conversation.miner();
            let text =
                format!("pool {} sends us to another host, {host:?}; not followed", connection.upstream);
            return say(&services.reception, peer, LogTopic::Pool, &text);
        }
        let is_new = {
            let mut facts = connection.facts();
            let is_new = facts.redirection.is_none();
            // Another port of the pool's own host is followed. The port of another configured pool is not.
            let is_own = reconnect.is_to(&connection.configured.host);
            let port = reconnect.port_number().filter(|_| is_own);
            let at = Instant::now() + reconnect.wait.min(MOST_WAIT);
            facts.redirection.get_or_insert((at, port));
            is_new
        };
        if is_new {
            log::info!("pool {} asks us to connect again", connection.upstream);
            self.news();
        }
    }
}
