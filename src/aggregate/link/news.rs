//! What the pool says, for all who are on a link.

use std::sync::Arc;

use super::super::connection::{Connection, Standing};
use super::super::identity::PoolName;
use super::super::miner::Miner;
use super::super::pending::Asker;
use super::super::work::Task;
use super::{JobNews, Link};
use crate::net::Stamp;
use crate::serving::{Topic, say};
use crate::stratum::{Difficulty, Refusal, RefusalCode, VersionMask};

impl Link {
    /// A miner's worker was judged by the pool.
    pub(in super::super) fn authorized(&self, asker: &Asker, is_accepted: bool) {
        if let Some(miner) = asker.miner.upgrade().filter(|_| is_accepted) {
            miner.desk().is_authorized = true;
            self.begin(&miner);
        }
    }

    pub(in super::super) fn name_judged(
        &self,
        connection: &Arc<Connection>,
        name: &PoolName,
        standing: &Standing,
    ) {
        if let Standing::Refused(refusal) = standing {
            log::warn!("pool {} refuses {name:?}: {refusal}", connection.upstream);
        }
        self.news();
    }

    /// The pool has judged a share.
    pub(in super::super) fn share_judged(&self, connection: &Arc<Connection>, refusal: Option<&Refusal>) {
        {
            let mut facts = connection.facts();
            match refusal {
                None => (facts.accepted, facts.unauthorized) = (facts.accepted + 1, 0),
                Some(refusal) if refusal.code == RefusalCode::Unauthorized => facts.unauthorized += 1,
                Some(_) => {}
            }
        }
        if connection.credits_nobody() {
            self.news();
        }
    }

    /// A job came, as it differs from the one before.
    pub(in super::super) fn job(&self, connection: &Arc<Connection>, task: &Arc<Task>, news: JobNews) {
        let miners: Vec<Arc<Miner>> = {
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
        self.services.remember_mask(mask);
        if self.is_current(connection) {
            self.miners().iter().for_each(|miner| miner.set_mask(mask, at));
        }
        self.news();
    }

    /// Says the pool's own words to everybody.
    pub(in super::super) fn pass_on(&self, connection: &Arc<Connection>, line: &[u8], at: Stamp) {
        if self.is_current(connection) {
            let line = [line.trim_ascii_end(), b"\n"].concat();
            for miner in self.miners() {
                let is_ready = miner.desk().is_ready();
                if is_ready {
                    miner.say(&line, at);
                }
            }
        }
    }

    /// The pool wants to be left for another address. Only a configured one is followed, and by the
    /// usual way (wire reference, section 2.10).
    pub(in super::super) fn redirected(
        &self,
        connection: &Arc<Connection>,
        params: Option<&serde_json::value::RawValue>,
    ) {
        let host = crate::stratum::first_text(params).unwrap_or_default();
        let services = &self.services;
        let is_ours = host.is_empty() || services.upstreams.lists(&host);
        if is_ours {
            log::info!("pool {} asks us to connect again", connection.upstream);
            connection.end();
        } else {
            let peer = connection.conversation.miner();
            let text =
                format!("pool {} sends us to another host, {host:?}; not followed", connection.upstream);
            say(&services.reception, peer, Topic::Pool, &text);
        }
    }
}
