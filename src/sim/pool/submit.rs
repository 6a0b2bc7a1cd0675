//! Handling of a share: validate, count, answer.

use super::SimPoolWorld;
use super::judge::{SimAssignment, judge, unreadable};
use super::session::{SimPoolSession, SimSessionState};
use super::stats::{AcceptedShare, keep};
use crate::stratum::{Envelope, FieldError, RefusalCode, StratumError, Submit, accept_line};
use crate::work::{Target, share_difficulty};

impl SimPoolSession {
    /// Judges a share and answers it.
    pub(super) fn submit(&self, world: &SimPoolWorld, request: &Envelope<'_>) {
        let state = self.lock();
        let submit = Submit::from_params(request.params);
        let worker = submit.as_ref().map_or("", |submit| &submit.worker).to_owned();
        let misbehaviour = world.misbehaviour();
        let refusal = match self.judge(world, &state, submit) {
            Err(why) => Some(why),
            Ok(share) => {
                world.stats.update(|stats| keep(&mut stats.accepted_shares, share));
                let refusal = || StratumError::new(RefusalCode::LowDifficulty, "Above target");
                misbehaviour.reject_valid_shares.then(refusal)
            }
        };
        world.stats.update(|stats| stats.record_verdict(&worker, refusal.as_ref()));
        match refusal {
            _ if misbehaviour.swallow_submit_answers => {}
            None => self.send_line(accept_line(request.id())),
            Some(StratumError { code, reason }) => self.refuse(world, request, code, &reason),
        }
    }

    fn judge(
        &self,
        world: &SimPoolWorld,
        state: &SimSessionState,
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
        let hash = judge(&assignment, &submit, &mut world.chain.lock().seen)?;
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
}
