//! A connection to a pool, followed from outside.

use std::collections::HashMap;

use sluice::stratum::{
    Difficulty, DifficultyRange, DifficultyTimeline, Envelope, Extranonce1, Extranonce2Size, JobId, Notify,
    ResponseVerdict, Submit, SubscribeAnswer, VersionMask, elements, granted_version_mask,
};
use sluice::work::{PreparedJob, RebuildError, RebuiltShare, ShareTerms};

/// One connection to a pool, as somebody sees it who reads along.
pub struct Session {
    pub extranonce1: Extranonce1,
    pub size: Extranonce2Size,
    pub mask: Option<VersionMask>,
    pub timeline: DifficultyTimeline,
    jobs: HashMap<JobId, PreparedJob>,
    /// Requests without an answer yet, by id; ids are used again.
    asked: Vec<(String, Asked)>,
}

enum Asked {
    Subscribe,
    Configure,
    Share(Box<Submit>),
}

impl Session {
    pub fn new() -> Session {
        Session {
            extranonce1: Extranonce1::default(),
            size: Extranonce2Size::new(0).unwrap(),
            mask: None,
            timeline: DifficultyTimeline::new(),
            jobs: HashMap::new(),
            asked: Vec::new(),
        }
    }

    pub fn notify(&mut self, job: Notify) {
        self.timeline.notify(job.job_id.clone());
        self.jobs.insert(job.job_id.clone(), PreparedJob::new(job, self.extranonce1.clone()));
    }

    pub fn rebuild(&self, submit: &Submit) -> Result<RebuiltShare, RebuildError> {
        let terms = ShareTerms {
            extranonce2_size: self.size,
            version_mask: self.mask,
            difficulty: self.timeline.lowest(&submit.job_id).unwrap(),
        };
        self.jobs[&submit.job_id].rebuild(submit, &terms)
    }

    pub fn request(&mut self, envelope: &Envelope<'_>) {
        let asked = match envelope.method().as_deref() {
            Some("mining.subscribe") => Asked::Subscribe,
            Some("mining.configure") => Asked::Configure,
            Some("mining.submit") => match Submit::from_params(envelope.params) {
                Ok(submit) => Asked::Share(Box::new(submit)),
                Err(_) => return,
            },
            _ => return,
        };
        self.asked.push((envelope.id().to_owned(), asked));
    }

    /// For the answer to a share of a known job: the share, what could be asked of it, and whether
    /// it was accepted.
    pub fn message(&mut self, envelope: &Envelope<'_>) -> Option<(RebuiltShare, DifficultyRange, bool)> {
        match envelope.method().as_deref() {
            Some("mining.notify") => self.notify(Notify::from_params(envelope.params).ok()?),
            Some("mining.set_difficulty") => {
                let params = elements("params", envelope.params?).ok()?;
                self.timeline.set_difficulty(Difficulty::from_json(params.first()?).ok()?);
            }
            Some(_) => {}
            None => {
                let index = self.asked.iter().position(|(id, _)| id == envelope.id())?;
                match self.asked.remove(index).1 {
                    Asked::Subscribe => {
                        let answer = SubscribeAnswer::from_result(envelope.result?).ok()?;
                        (self.extranonce1, self.size) = (answer.extranonce1, answer.extranonce2_size);
                    }
                    Asked::Configure => {
                        self.mask = granted_version_mask(envelope.result);
                    }
                    Asked::Share(submit) => {
                        let range = self.timeline.range(&submit.job_id)?;
                        let share = self.rebuild(&submit).ok()?;
                        return Some((share, range, ResponseVerdict::of(envelope).is_accepted()));
                    }
                }
            }
        }
        None
    }
}
