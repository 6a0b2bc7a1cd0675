//! Handles a miner's shares: they are looked up, hashed, judged, and answered or forwarded. The lock on the
//! miner is held from the look-up to the reply. It is released before the share is sent to the pool, which
//! may have to be waited for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::MutexGuard;
use serde_json::json;

use super::version_rolling::{bits_for_pool, mask_for};
use super::{Flow, MinerRequests};
use crate::analyzer::TOO_MANY_PENDING;
use crate::net::Stamp;
use crate::proxy::aggregate::miner::share_verdict::{
    RejectKind, ShareContext, ShareVerdict, Stale, judge, wrong_length,
};
use crate::proxy::aggregate::pool::state::ShareAtPool;
use crate::proxy::aggregate::{ConnectedMiner, MinerName, MinerWork, Requester, SharedConnection};
use crate::stratum::{Envelope, RefusalCode, StratumError, Submit, accept_line, refuse_line};
use crate::tap::offer_hash;
use crate::work::{HashedShare, RebuildError, RebuiltShare, ShareTerms};

/// A share whose job is known.
struct SubmittedShare {
    submit: Submit,
    context: ShareContext,
    /// The connection of its job, and what the pool has said about its name and version bits. `None` when the
    /// connection is gone.
    pool: Option<(Arc<SharedConnection>, ShareAtPool)>,
    /// Whether the miner has authorized this name.
    is_named: bool,
}

impl MinerRequests {
    /// Handles a share, with the lock on the miner, which is taken once.
    pub(crate) fn submit(
        &mut self,
        message: &Envelope<'_>,
        (miner, mut work): (&ConnectedMiner, MutexGuard<'_, MinerWork>),
        at: Stamp,
    ) -> Flow {
        let id = message.id();
        let refuse = |work: &mut MinerWork, refusal: &StratumError| {
            miner.answer_in(work, refuse_line(id, refusal, Default::default()), at);
        };
        let submit = match Submit::from_miner(message.params) {
            Ok(submit) => submit,
            Err(error) => {
                refuse(&mut work, &StratumError::new(RefusalCode::Other, error.to_string()));
                return self.fault();
            }
        };
        let mut share = match self.look_up(submit, &work) {
            Ok(share) => share,
            Err(refusal) => {
                refuse(&mut work, &refusal);
                // A share that was on its way when the pool changed is no one's fault.
                let is_unknown = refusal.code == RefusalCode::JobNotFound;
                let is_late = is_unknown && work.may_be_late(Instant::now());
                return if is_late { Flow::Continue } else { self.fault() };
            }
        };
        let (hash, for_pool) = match self.judge_share(&mut share) {
            ShareVerdict::Forward { hash, is_block, is_good_here } => (hash, Some((is_block, is_good_here))),
            ShareVerdict::Count { hash } => (hash, None),
            ShareVerdict::Refuse(refusal, fault) => {
                refuse(&mut work, &refusal);
                // Without a pool there is nothing else that it could mine.
                let is_excused = fault == RejectKind::Stale && share.pool.is_none()
                    || work.is_excused(fault, Instant::now());
                let (asked_mask, narrowed_at) = (work.asked_mask, work.narrowed_at);
                drop(work);
                let is_rolled = fault == RejectKind::Rolled;
                let forgiven = is_rolled.then(|| self.forgive_rolled(asked_mask, narrowed_at)).flatten();
                return forgiven.unwrap_or_else(|| if is_excused { Flow::Continue } else { self.fault() });
            }
        };
        let is_block = for_pool.is_some_and(|(is_block, _)| is_block);
        // A block is sent under any name.
        if !share.is_named && !is_block {
            refuse(&mut work, &unauthorized());
            return self.fault();
        }
        let is_new = work.hashes.is_new(hash);
        let refused_name = share.pool.as_ref().and_then(|(_, at_pool)| at_pool.refusal.as_ref());
        let refused_name = refused_name.filter(|_| !is_block);
        // Noted before it is sent: the answer may be faster.
        let is_to_be_sent = for_pool.is_some() && refused_name.is_none();
        let was_sent = share.pool.as_ref().is_some_and(|(connection, _)| match is_to_be_sent {
            true => !connection.forwarded.lock().note(hash),
            false => connection.forwarded.lock().knows(&hash),
        });
        // A repeated share that the pool has not had, and wants now, still has a value.
        if was_sent || !is_new && for_pool.is_none() {
            refuse(&mut work, &StratumError::new(RefusalCode::Duplicate, "Duplicate share"));
            return self.fault();
        }
        let is_urgent = is_new && work.count(share.context.miner_difficulty, Instant::now());
        if is_new {
            miner.conversation.note_accepted_share();
        }
        match (&share.pool, for_pool) {
            // A share goes to the pool only when there is one.
            (Some((connection, at_pool)), Some((_, is_good_here))) if is_to_be_sent => {
                let deadline = Instant::now() + self.services.config.analysis.share_timeout;
                let (mut work, slot) = miner.reserve_until(work, id, deadline);
                let Some(slot) = slot else {
                    connection.forwarded.lock().forget(&hash);
                    refuse(&mut work, &StratumError::new(RefusalCode::Other, TOO_MANY_PENDING));
                    return self.credit(is_new, is_urgent);
                };
                drop(work);
                let requester =
                    Requester { miner: Arc::downgrade(&self.miner), slot, id: id.into(), is_good_here };
                let params = params_for_pool(&share, at_pool);
                if let Err((requester, refusal)) = connection.submit(requester, &params, at, deadline) {
                    connection.forwarded.lock().forget(&hash);
                    requester.refuse(&refusal, at);
                }
            }
            _ => {
                match refused_name {
                    // It is work all the same, and counts for the miner's difficulty.
                    Some(refusal) => refuse(&mut work, refusal),
                    None => miner.answer_in(&mut work, accept_line(id), at),
                }
                drop(work);
            }
        }
        self.credit(is_new, is_urgent)
    }

    /// The job of a share, and the terms that it is judged by.
    fn look_up(&self, submit: Submit, work: &MinerWork) -> Result<SubmittedShare, StratumError> {
        if work.lease.is_none() {
            return Err(StratumError::new(RefusalCode::NotSubscribed, "Not subscribed"));
        }
        let name = self.services.naming.text(&submit.worker);
        let is_named = work.workers.iter().any(|worker| worker.name.as_str() == name);
        let assigned = match work.find(&submit.job_id).cloned() {
            Some(assigned) if work.is_authorized => assigned,
            _ if !work.is_authorized || !is_named => return Err(unauthorized()),
            _ => return Err(StratumError::new(RefusalCode::JobNotFound, "Job not found")),
        };
        let name = match work.workers.first() {
            // A block under an unknown name is sent under the miner's own name.
            Some(first) if !is_named => self.services.naming.text(first.name.as_str()),
            _ => name,
        };
        let miner_difficulty =
            work.difficulty().map_or(assigned.difficulty, |now| now.min(assigned.difficulty));
        let job = &assigned.miner_job.pool_job;
        // Not the group's connection: one that was left for a better pool lives on for a moment.
        let pool = job.source.upgrade().filter(|one| !one.is_over()).map(|connection| {
            let name = self.services.naming.at_pool(&MinerName::new(name), &connection.configured.user);
            let at_pool = connection.connection_state().at_pool(&name);
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
        let mask = mask_for(&submit, [work.mask, assigned.mask, of_pool, job.mask]).or(of_pool);
        let of_job = job.difficulty();
        let pool_difficulty =
            pool.as_ref().map_or(of_job, |(connection, _)| connection.difficulty().min(of_job));
        let context = ShareContext { assigned, mask, miner_difficulty, pool_difficulty, stale };
        Ok(SubmittedShare { submit, context, pool, is_named })
    }

    /// Hashes and judges a share. From then on it has the extranonce2 that the pool gets.
    fn judge_share(&self, share: &mut SubmittedShare) -> ShareVerdict {
        let SubmittedShare { submit, context, .. } = share;
        let (job, lease) = (&context.assigned.miner_job.pool_job, &context.assigned.lease);
        if !submit.extranonce2.has_size(lease.extranonce2_size) {
            // Never forwarded: at some pools a wrong length spoils the job for all miners.
            return wrong_length(&submit.extranonce2, lease.extranonce2_size);
        }
        submit.extranonce2 = job.space.split.upstream_extranonce2(&lease.prefix, &submit.extranonce2);
        let terms = ShareTerms {
            extranonce2_size: job.space.split.pool_size,
            version_mask: context.mask,
            difficulty: context.miner_difficulty.min(context.pool_difficulty),
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

    /// Credits a good share, if it was new.
    fn credit(&mut self, is_new: bool, is_urgent: bool) -> Flow {
        if !is_new {
            return self.fault();
        }
        self.faults.put_back();
        if is_urgent {
            self.give_again();
        }
        Flow::Continue
    }

    /// Sends the current job, as other work and with another difficulty.
    pub(crate) fn give_again(&self) {
        if let Some(group) = self.miner.group() {
            group.resend_job(&self.miner);
        }
    }
}

/// The params of `mining.submit` as the pool gets them.
fn params_for_pool(share: &SubmittedShare, at_pool: &ShareAtPool) -> serde_json::Value {
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
