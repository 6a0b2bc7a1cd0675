//! Shares that are found quickly, and judged as a pool would.

use serde_json::{Value, json};
use sluice::stratum::{
    Difficulty, Extranonce1, Extranonce2, Extranonce2Size, Nonce, Notify, Submit, Version, VersionBits,
};
use sluice::work::{BlockHash, ShareValues, Target};

use crate::aggregate::site::Line;

pub fn target(difficulty: f64) -> Target {
    Target::from_difficulty(Difficulty::new(difficulty).unwrap())
}

/// A search for shares in what a miner was given.
pub struct Field {
    pub job: Notify,
    pub extranonce1: Extranonce1,
    pub extranonce2: Extranonce2,
    pub worker: String,
    /// The version that is hashed, and what is submitted for it.
    pub version: Version,
    pub bits: Option<VersionBits>,
    nonce: u32,
}

impl Field {
    /// The miner's newest job, with an extranonce2 of this number.
    pub fn of(line: &Line, extranonce2: u64) -> Field {
        let size = Extranonce2Size::new(u8::try_from(line.extranonce2_size).unwrap()).unwrap();
        let job = line.job.clone().unwrap();
        Field {
            extranonce1: line.extranonce1.clone(),
            extranonce2: Extranonce2::from_counter(extranonce2, size),
            worker: line.worker.clone(),
            version: job.version,
            job,
            bits: None,
            nonce: 0xda54_0000,
        }
    }

    /// The next share whose hash `fits`.
    pub fn find(&mut self, fits: impl Fn(&BlockHash) -> bool) -> Submit {
        let values = ShareValues {
            extranonce2: self.extranonce2.clone(),
            ntime: self.job.ntime,
            nonce: Nonce(0),
            version: self.version,
        };
        let mut header = values.header(&self.job, &self.extranonce1);
        loop {
            self.nonce = self.nonce.wrapping_add(1);
            header.nonce = Nonce(self.nonce);
            if fits(&header.hash()) {
                return Submit {
                    worker: self.worker.clone(),
                    job_id: self.job.job_id.clone(),
                    extranonce2: self.extranonce2.clone(),
                    ntime: self.job.ntime,
                    nonce: Nonce(self.nonce),
                    version_bits: self.bits,
                };
            }
        }
    }

    /// The next share of at least this difficulty.
    pub fn at_least(&mut self, difficulty: f64) -> Submit {
        let low = target(difficulty);
        self.find(|hash| low.is_met_by(hash))
    }

    /// The next share from one difficulty to another.
    pub fn between(&mut self, least: f64, most: f64) -> Submit {
        let (low, high) = (target(least), target(most));
        self.find(|hash| low.is_met_by(hash) && !high.is_met_by(hash))
    }
}

/// The params of a submit, as a well-behaved miner writes them.
pub fn params(share: &Submit) -> Value {
    let mut params = vec![
        share.worker.clone(),
        share.job_id.to_string(),
        share.extranonce2.to_string(),
        share.ntime.to_string(),
        share.nonce.to_string(),
    ];
    params.extend(share.version_bits.map(|bits| bits.to_string()));
    json!(params)
}

/// The code of a refusal in the form that every miner reads; `None` for an acceptance.
pub fn code(answer: &Value) -> Option<i64> {
    if answer["result"] == true {
        assert!(answer["error"].is_null(), "{answer}");
        return None;
    }
    let error = answer["error"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let is_in_form =
        answer["result"].is_null() && error.len() == 3 && error[1].is_string() && error[2].is_null();
    assert!(is_in_form, "{answer}");
    Some(error[0].as_i64().unwrap())
}
