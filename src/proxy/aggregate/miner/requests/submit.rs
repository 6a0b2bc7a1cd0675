//! What becomes of a miner's shares: looked up, judged, answered or passed on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;

use super::version_rolling::bits_for_pool;
use super::{Flow, MinerRequests};
use crate::analyzer::TOO_MANY;
use crate::net::Stamp;
use crate::proxy::aggregate::identity::{MinerName, PoolName};
use crate::proxy::aggregate::miner::share_verdict::{RejectKind, ShareContext, ShareVerdict, Stale, judge};
use crate::proxy::aggregate::miner::work::AssignedJob;
use crate::proxy::aggregate::pool::connection::{Connection, SubmitError};
use crate::proxy::aggregate::pool::pending::Requester;
use crate::stratum::{Difficulty, Envelope, RefusalCode, StratumError, Submit, accepted, refused};
use crate::work::BlockHash;

/// A share, and what was found about it.
struct Judged {
    submit: Submit,
    judgement: ShareVerdict,
    given: AssignedJob,
    /// What the miner is credited with.
    worth: Difficulty,
    /// Where it would go; `None` when that is gone.
    connection: Option<Arc<Connection>>,
    /// Whether the miner has said that it is called so.
    is_named: bool,
}

impl MinerRequests {
    pub(crate) fn submit(&mut self, message: &Envelope<'_>, at: Stamp) -> Flow {
        let submit = match Submit::from_miner(message.params) {
            Ok(submit) => submit,
            Err(error) => {
                self.refuse(message.id(), RefusalCode::Other, &error.to_string(), at);
                return self.fault();
            }
        };
        match self.judged(submit) {
            Ok(judged) => self.act(message.id(), &judged, at),
            Err(refusal) => {
                self.miner.answer(refused(message.id(), &refusal, Default::default()), at);
                // What was on its way when the pool changed is nobody's fault.
                let is_unknown = refusal.code == RefusalCode::JobNotFound;
                let is_late = is_unknown && self.miner.desk().may_be_late(Instant::now());
                if is_late { Flow::GoOn } else { self.fault() }
            }
        }
    }

    /// What is to be done with a share, and the job it is for.
    fn judged(&self, submit: Submit) -> Result<Judged, StratumError> {
        let desk = self.miner.desk();
        if desk.seat.is_none() {
            return Err(StratumError::new(RefusalCode::NotSubscribed, "Not subscribed"));
        }
        let name = self.services.naming.text(&submit.worker);
        let is_named = desk.workers.iter().any(|worker| worker.name.as_str() == name);
        let given = match desk.find(&submit.job_id).cloned() {
            Some(given) if desk.is_authorized => given,
            _ if !desk.is_authorized || !is_named => return Err(unauthorized()),
            _ => return Err(StratumError::new(RefusalCode::JobNotFound, "Job not found")),
        };
        let asked = desk.difficulty().map_or(given.difficulty, |now| now.min(given.difficulty));
        let negotiated = desk.mask;
        drop(desk);
        let job = &given.task.job;
        // Not the link's: one that was left for a better pool lives on for a moment.
        let connection = job.source.upgrade().filter(|one| !one.is_over());
        let mask = self.mask_for(&submit, negotiated, &given, connection.as_deref());
        let (pool, stale) = match &connection {
            Some(connection) => {
                let stale = match () {
                    () if job.generation < connection.generation() => Some(Stale::Cleaned),
                    () if job.is_replaced.load(Ordering::Acquire) => Some(Stale::Replaced),
                    () => None,
                };
                (connection.difficulty().min(job.difficulty()), stale)
            }
            None => (job.difficulty(), Some(Stale::Gone)),
        };
        let terms = ShareContext {
            job: &job.notify,
            ntime: job.notify.ntime,
            extranonce1: &given.seat.extranonce1,
            extranonce2_size: given.seat.extranonce2_size,
            mask,
            asked,
            pool,
            stale,
        };
        let judgement = judge(&submit, &terms);
        Ok(Judged { submit, judgement, given, worth: asked, connection, is_named })
    }

    fn act(&mut self, id: &str, judged: &Judged, at: Stamp) -> Flow {
        let (hash, is_for_pool) = match &judged.judgement {
            ShareVerdict::Forward { hash, .. } => (*hash, true),
            ShareVerdict::Count { hash } => (*hash, false),
            ShareVerdict::Refuse(refusal, fault) => {
                self.miner.answer(refused(id, refusal, Default::default()), at);
                if let Some(then) = (*fault == RejectKind::Rolled).then(|| self.forgive_rolled()).flatten() {
                    return then;
                }
                // Without a pool there is nothing that it could mine instead.
                let is_excused = *fault == RejectKind::Stale && judged.connection.is_none()
                    || self.miner.desk().is_excused(*fault, Instant::now());
                return if is_excused { Flow::GoOn } else { self.fault() };
            }
        };
        let is_block = matches!(judged.judgement, ShareVerdict::Forward { is_block: true, .. });
        // A block is worth a try under any name.
        if !judged.is_named && !is_block {
            self.miner.answer(refused(id, &unauthorized(), Default::default()), at);
            return self.fault();
        }
        let is_new = self.miner.desk().is_new(hash);
        let was_sent = judged.connection.as_ref().is_some_and(|connection| connection.was_forwarded(&hash));
        // A repeated one that the pool has not had, and wants now, is still worth something to it.
        if was_sent || !is_new && !is_for_pool {
            self.refuse(id, RefusalCode::Duplicate, "Duplicate share", at);
            return self.fault();
        }
        let refused_name = judged.connection.as_ref().and_then(|one| self.refused_name(one, &judged.submit));
        match (&judged.connection, refused_name) {
            // It is work all the same, and the miner's difficulty goes by it.
            (_, Some(refusal)) if !is_block => {
                self.miner.answer(refused(id, &refusal, Default::default()), at);
            }
            (Some(connection), _) if is_for_pool => self.forward(id, judged, connection, hash, at),
            // A share is for the pool only when there is one.
            _ => self.miner.answer(accepted(id), at),
        }
        if !is_new {
            return self.fault();
        }
        self.budget.earn();
        let is_urgent = self.miner.desk().count(judged.worth, Instant::now());
        if is_urgent {
            self.give_again();
        }
        Flow::GoOn
    }

    /// The pool's words, where it does not know who has found the share: nobody is credited.
    fn refused_name(&self, connection: &Connection, submit: &Submit) -> Option<StratumError> {
        connection.refusal_of(&self.name_at(connection, &submit.worker))
    }

    /// What the pool calls this worker.
    fn name_at(&self, connection: &Connection, worker: &str) -> PoolName {
        let name = MinerName::new(self.services.naming.text(worker));
        self.services.naming.at_pool(&name, &connection.configured.user)
    }

    fn forward(&self, id: &str, judged: &Judged, connection: &Connection, hash: BlockHash, at: Stamp) {
        let Judged { submit, given, .. } = judged;
        let lost =
            || StratumError::new(RefusalCode::JobNotFound, "Stale share: its connection to the pool is gone");
        let too_many = || StratumError::new(RefusalCode::Other, TOO_MANY);
        let worker = match self.miner.desk().workers.first() {
            // A block by an unknown name is its own all the same.
            Some(first) if !judged.is_named => first.name.as_str().to_owned(),
            _ => submit.worker.clone(),
        };
        let name = self.name_at(connection, &worker);
        let (name, mask) = {
            let facts = connection.facts();
            (facts.names.voice(&name).clone(), facts.mask)
        };
        let deadline = Instant::now() + self.services.config.analysis.share_timeout;
        let Some(place) = self.miner.reserve_until(id, deadline) else {
            return self.miner.answer(refused(id, &too_many(), Default::default()), at);
        };
        let extranonce2 =
            given.task.job.space.split.upstream_extranonce2(&given.seat.prefix, &submit.extranonce2);
        let job = &given.task.job.notify;
        let mut params = vec![
            json!(name.0),
            json!(job.job_id.as_str()),
            json!(extranonce2.to_string()),
            json!(submit.ntime.to_string()),
            json!(submit.nonce.to_string()),
        ];
        params.extend(bits_for_pool(submit, mask, job.version).map(|bits| json!(bits.to_string())));
        // Noted before it is sent: the answer may be faster.
        connection.note_forwarded(hash);
        let is_good_here = matches!(judged.judgement, ShareVerdict::Forward { is_good_here: true, .. });
        let asker = Requester { miner: Arc::downgrade(&self.miner), place, id: id.into(), is_good_here };
        let (asker, refusal) = match connection.submit(asker, &serde_json::Value::Array(params), at, deadline)
        {
            Ok(()) => return,
            Err(SubmitError::Over(asker)) => (asker, lost()),
            Err(SubmitError::Full(asker)) => (asker, too_many()),
        };
        connection.forget_forwarded(&hash);
        self.miner.complete(asker.place, refused(&asker.id, &refusal, Default::default()), at);
    }

    /// The current job, as other work and with another difficulty.
    pub(crate) fn give_again(&self) {
        if let Some(link) = self.miner.link() {
            link.again(&self.miner);
        }
    }
}

fn unauthorized() -> StratumError {
    StratumError::new(RefusalCode::Unauthorized, "Unauthorized worker")
}
