//! Handling of a share: validate, count, answer.

use std::time::Instant;

use super::SimPoolWorld;
use super::judge::{SimAssignment, judge, unreadable};
use super::outbox::Outgoing;
use super::session::{SimPoolSession, SimSessionState};
use super::stats::{AcceptedShare, keep};
use crate::stratum::{
    Envelope, ErrorForm, FieldError, RefusalCode, StratumError, Submit, accept_line, refuse_line,
};
use crate::work::{Target, share_difficulty};

impl SimPoolSession {
    /// Judges a share and answers it.
    pub(super) fn submit(&self, world: &SimPoolWorld, request: &Envelope<'_>) {
        let mut state = self.lock();
        let submit = Submit::from_params(request.params);
        let worker = submit.as_ref().map_or("", |submit| &submit.worker).to_owned();
        let (mut refusal, mut new_block) = (None, None);
        match self.judge(world, &mut state, submit) {
            Err(why) => refusal = Some(why),
            Ok(share) => {
                if share.is_block && world.options.blocks_from_shares {
                    new_block = Some(share.hash);
                }
                world.stats.update(|stats| keep(&mut stats.accepted_shares, share));
                self.adapt_difficulty(world, &mut state);
            }
        }
        if refusal.is_none() && world.misbehaviour().reject_valid_shares {
            refusal = Some(StratumError::new(RefusalCode::LowDifficulty, "Above target"));
        }
        world.stats.update(|stats| stats.record_verdict(&worker, refusal.as_ref()));
        self.answer_submit(world, request.id(), refusal);
        drop(state);
        if let Some(found) = new_block {
            world.new_block(Some(found));
        }
    }

    fn judge(
        &self,
        world: &SimPoolWorld,
        state: &mut SimSessionState,
        submit: Result<Submit, FieldError>,
    ) -> Result<AcceptedShare, StratumError> {
        if !state.subscribed {
            return Err(StratumError::new(RefusalCode::NotSubscribed, "Not subscribed"));
        }
        let submit = submit.map_err(|error| unreadable(&error))?;
        if !state.workers.contains(&submit.worker) {
            return Err(StratumError::new(RefusalCode::Unauthorized, "Unauthorized worker"));
        }
        let assigned = state.jobs.iter().rev().find(|assigned| assigned.job.job_id == submit.job_id);
        let Some(assigned) = assigned else {
            return Err(StratumError::new(RefusalCode::JobNotFound, "Job not found"));
        };
        let required = assigned.difficulty.min(state.difficulty);
        let assignment = SimAssignment {
            job: &assigned.job,
            extranonce1: &assigned.extranonce1,
            extranonce2_size: world.options.extranonce2_size,
            version_mask: state.version_mask,
            required,
            stale: assigned.stale,
        };
        let hash = judge(&assignment, &submit, &mut world.chain().seen)?;
        let is_block = Target::from_nbits(assigned.job.nbits).is_ok_and(|target| target.is_met_by(&hash));
        Ok(AcceptedShare {
            worker: submit.worker,
            job_id: submit.job_id,
            hash,
            difficulty: share_difficulty(&hash),
            required,
            is_block,
        })
    }

    fn adapt_difficulty(&self, world: &SimPoolWorld, state: &mut SimSessionState) {
        let Some(vardiff) = world.options.vardiff else {
            return;
        };
        let current = state.difficulty;
        if let Some(new) = state.rate.share(&vardiff, current, Instant::now()) {
            self.send_difficulty(state, new);
            self.send_job_locked(world, state, false);
        }
    }

    fn answer_submit(&self, world: &SimPoolWorld, id: &str, refusal: Option<StratumError>) {
        let misbehaviour = world.misbehaviour();
        if misbehaviour.swallow_submit_answers {
            return;
        }
        let form = world.options.error_form;
        let last = refusal.is_some() && form == ErrorForm::PlainText;
        let line = match refusal {
            None => accept_line(id),
            Some(refusal) => refuse_line(id, &refusal, form),
        };
        let due = misbehaviour.delay_submit_answers.map(|delay| Instant::now() + delay);
        self.send(Outgoing { due, last, ..Outgoing::now(line) });
    }
}
