//! What the pool says, for all who are on a link.

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

/// Longer words are not passed on: they would fill the queue of every miner that does not take them at once.
const MOST_SAID: usize = 64 * 1024;
/// A pool that wants to be connected to later is obeyed after so long at the latest.
const MOST_WAIT: Duration = Duration::from_secs(10);

impl MinerGroup {
    /// A miner's worker was judged by the pool.
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

    /// The pool has judged a share.
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

    /// A job came, as it differs from the one before.
    pub(in super::super) fn job(&self, connection: &Arc<Connection>, task: &Arc<MinerJob>, news: JobNews) {
        let miners: Vec<Arc<ConnectedMiner>> = {
            let mut state = self.lock();
            if !state.is_current(connection) {
                // Somebody may wait for this one to be ready.
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

    /// The pool asks for another difficulty. Who works above it gets a job at once: shares that only the
    /// pool would have liked are lost.
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

    /// Says the pool's own words to everybody, but for very long ones.
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

    /// The pool asks for another connection, perhaps to another port. Only a configured host is followed
    /// (wire reference, section 2.10): the keeper makes the next connection first.
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
            // Another port of the pool's own host is followed; a name of another configured pool is not.
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
