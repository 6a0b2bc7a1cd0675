//! What becomes of a miner's shares: looked up, hashed, judged, answered or passed on. The miner's lock is held from
//! the look-up to the answer. It is let go before the share is sent to the pool, which may have to be waited for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use serde_json::json;

use super::version_rolling::{bits_for_pool, mask_for};
use super::{Flow, MinerRequests};
use crate::analyzer::TOO_MANY_PENDING;
use crate::net::Stamp;
use crate::proxy::aggregate::identity::MinerName;
use crate::proxy::aggregate::miner::ConnectedMiner;
use crate::proxy::aggregate::miner::share_verdict::{
    RejectKind, ShareContext, ShareVerdict, Stale, judge, wrong_length,
};
use crate::proxy::aggregate::miner::work::MinerWork;
use crate::proxy::aggregate::pool::connection::{AtPool, Connection};
use crate::proxy::aggregate::pool::pending::Requester;
use crate::stratum::{Envelope, RefusalCode, StratumError, Submit, accept_line, refuse_line};
use crate::tap::offer_hash;
use crate::work::{HashedShare, RebuildError, RebuiltShare, ShareTerms};

/// A share whose job is known.
struct SubmittedShare {
    submit: Submit,
    context: ShareContext,
    /// Where it would go, and what the pool has said about its name and version bits. `None` when the connection
    /// of its job is gone.
    pool: Option<(Arc<Connection>, AtPool)>,
    /// Whether the miner has said that it is called so.
    is_named: bool,
}

impl MinerRequests {
    /// Takes a share, with the lock on the miner, which is taken once.
    pub(crate) fn submit(
        &mut self,
        message: &Envelope<'_>,
        (miner, mut desk): (&ConnectedMiner, MutexGuard<'_, MinerWork>),
        at: Stamp,
    ) -> Flow {
        let id = message.id();
        let refuse = |desk: &mut MinerWork, refusal: &StratumError| {
            miner.answer_in(desk, refuse_line(id, refusal, Default::default()), at);
        };
        let submit = match Submit::from_miner(message.params) {
            Ok(submit) => submit,
            Err(error) => {
                refuse(&mut desk, &StratumError::new(RefusalCode::Other, error.to_string()));
                return self.fault();
            }
        };
        let mut share = match self.look_up(submit, &desk) {
            Ok(share) => share,
            Err(refusal) => {
                refuse(&mut desk, &refusal);
                // What was on its way when the pool changed is nobody's fault.
                let is_unknown = refusal.code == RefusalCode::JobNotFound;
                let is_late = is_unknown && desk.may_be_late(Instant::now());
                return if is_late { Flow::GoOn } else { self.fault() };
            }
        };
        let (hash, for_pool) = match self.judged(&mut share) {
            ShareVerdict::Forward { hash, is_block, is_good_here } => (hash, Some((is_block, is_good_here))),
            ShareVerdict::Count { hash } => (hash, None),
            ShareVerdict::Refuse(refusal, fault) => {
                refuse(&mut desk, &refusal);
                // Without a pool there is nothing that it could mine instead.
                let is_excused = fault == RejectKind::Stale && share.pool.is_none()
                    || desk.is_excused(fault, Instant::now());
                let (asked_mask, narrowed_at) = (desk.asked_mask, desk.narrowed_at);
                drop(desk);
                let is_rolled = fault == RejectKind::Rolled;
                let forgiven = is_rolled.then(|| self.forgive_rolled(asked_mask, narrowed_at)).flatten();
                return forgiven.unwrap_or_else(|| if is_excused { Flow::GoOn } else { self.fault() });
            }
        };
        let is_block = for_pool.is_some_and(|(is_block, _)| is_block);
        // A block is worth a try under any name.
        if !share.is_named && !is_block {
            refuse(&mut desk, &unauthorized());
            return self.fault();
        }
        let is_new = desk.is_new(hash);
        let refused_name = share.pool.as_ref().and_then(|(_, at_pool)| at_pool.refusal.as_ref());
        let refused_name = refused_name.filter(|_| !is_block);
        // Noted before it is sent: the answer may be faster.
        let is_to_be_sent = for_pool.is_some() && refused_name.is_none();
        let was_sent = share.pool.as_ref().is_some_and(|(connection, _)| match is_to_be_sent {
            true => !connection.note_forwarded(hash),
            false => connection.was_forwarded(&hash),
        });
        // A repeated one that the pool has not had, and wants now, is still worth something to it.
        if was_sent || !is_new && for_pool.is_none() {
            refuse(&mut desk, &StratumError::new(RefusalCode::Duplicate, "Duplicate share"));
            return self.fault();
        }
        let is_urgent = is_new && desk.count(share.context.asked, Instant::now());
        match (&share.pool, for_pool) {
            // A share is for the pool only when there is one.
            (Some((connection, at_pool)), Some((_, is_good_here))) if is_to_be_sent => {
                let deadline = Instant::now() + self.services.config.analysis.share_timeout;
                let (mut desk, place) = miner.reserve_until(desk, id, deadline);
                let Some(place) = place else {
                    connection.forget_forwarded(&hash);
                    refuse(&mut desk, &StratumError::new(RefusalCode::Other, TOO_MANY_PENDING));
                    return self.credit(is_new, is_urgent);
                };
                drop(desk);
                let asker =
                    Requester { miner: Arc::downgrade(&self.miner), place, id: id.into(), is_good_here };
                let params = params_for_pool(&share, at_pool);
                if let Err(unsent) = connection.submit(asker, &params, at, deadline) {
                    connection.forget_forwarded(&hash);
                    let (asker, refusal) = unsent.into_refusal();
                    miner.complete(asker.place, refuse_line(&asker.id, &refusal, Default::default()), at);
                }
            }
            _ => {
                match refused_name {
                    // It is work all the same, and the miner's difficulty goes by it.
                    Some(refusal) => refuse(&mut desk, refusal),
                    None => miner.answer_in(&mut desk, accept_line(id), at),
                }
                drop(desk);
            }
        }
        self.credit(is_new, is_urgent)
    }

    /// The job that a share is for, and all that it is judged by.
    fn look_up(&self, submit: Submit, desk: &MinerWork) -> Result<SubmittedShare, StratumError> {
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
        let name = match desk.workers.first() {
            // A block by an unknown name is its own all the same.
            Some(first) if !is_named => self.services.naming.text(first.name.as_str()),
            _ => name,
        };
        let asked = desk.difficulty().map_or(given.difficulty, |now| now.min(given.difficulty));
        let job = &given.task.job;
        // Not the link's: one that was left for a better pool lives on for a moment.
        let pool = job.source.upgrade().filter(|one| !one.is_over()).map(|connection| {
            let name = self.services.naming.at_pool(&MinerName::new(name), &connection.configured.user);
            let at_pool = connection.at_pool(name);
            (connection, at_pool)
        });
        let stale = match &pool {
            None => Some(Stale::Gone),
            Some((connection, _)) if job.generation < connection.generation() => Some(Stale::Cleaned),
            Some(_) => job.is_replaced.load(Ordering::Acquire).then_some(Stale::Replaced),
        };
        let of_pool = match &pool {
            Some((_, at_pool)) => at_pool.mask.unwrap_or_else(|| self.services.likely_mask()),
            None => job.mask,
        };
        let mask = mask_for(&submit, [desk.mask, given.mask, of_pool, job.mask]).or(of_pool);
        let of_job = job.difficulty();
        let asked_by_pool =
            pool.as_ref().map_or(of_job, |(connection, _)| connection.difficulty().min(of_job));
        let context = ShareContext { given, mask, asked, pool: asked_by_pool, stale };
        Ok(SubmittedShare { submit, context, pool, is_named })
    }

    /// Hashes and judges a share. From then on it has the extranonce2 that the pool knows it by.
    fn judged(&self, share: &mut SubmittedShare) -> ShareVerdict {
        let SubmittedShare { submit, context, .. } = share;
        let (job, seat) = (&context.given.task.job, &context.given.seat);
        if !submit.extranonce2.has_size(seat.extranonce2_size) {
            // Never passed on: some pools let a wrong length spoil the job for everybody.
            return wrong_length(&submit.extranonce2, seat.extranonce2_size);
        }
        submit.extranonce2 = job.space.split.upstream_extranonce2(&seat.prefix, &submit.extranonce2);
        let terms = ShareTerms {
            extranonce2_size: job.space.split.pool_size(),
            version_mask: context.mask,
            difficulty: context.asked.min(context.pool),
        };
        let rebuilt = job.prepared.rebuild(submit, &terms);
        if let Some(RebuiltShare { header, hash, .. }) =
            rebuilt.as_ref().map_or_else(RebuildError::share, Some)
        {
            offer_hash(&self.services.to_analyzer, &self.miner.conversation, || HashedShare {
                job: job.prepared.clone(),
                extranonce2: submit.extranonce2.clone(),
                header: *header,
                hash: *hash,
            });
        }
        judge(submit, rebuilt, context)
    }

    /// A share was good, if it was new.
    fn credit(&mut self, is_new: bool, is_urgent: bool) -> Flow {
        if !is_new {
            return self.fault();
        }
        self.budget.earn();
        if is_urgent {
            self.give_again();
        }
        Flow::GoOn
    }

    /// The current job, as other work and with another difficulty.
    pub(crate) fn give_again(&self) {
        if let Some(link) = self.miner.link() {
            link.again(&self.miner);
        }
    }
}

/// The params of `mining.submit` as the pool gets them.
fn params_for_pool(share: &SubmittedShare, at_pool: &AtPool) -> serde_json::Value {
    let SubmittedShare { submit, context, .. } = share;
    let job = context.job();
    let mut params = vec![
        json!(at_pool.name.0),
        json!(job.job_id.as_str()),
        json!(submit.extranonce2.to_string()),
        json!(submit.ntime.to_string()),
        json!(submit.nonce.to_string()),
    ];
    let bits = bits_for_pool(submit, at_pool.mask.flatten(), job.version);
    params.extend(bits.map(|bits| json!(bits.to_string())));
    serde_json::Value::Array(params)
}

fn unauthorized() -> StratumError {
    StratumError::new(RefusalCode::Unauthorized, "Unauthorized worker")
}
