//! A pool with a real one's habits, or a bad one's.

use std::collections::HashSet;

use sluice::stratum::MerkleBranch;
use sluice::upstream::PoolStatus;
use sluice::work::{BlockHash, account_of_worker, payout_script};

use crate::forensics::blocks::{Layout, MAINNET};

pub const MINE: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
pub const STRANGER: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const POOL: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";
const REWARD: u64 = 314_000_000;

/// The payee of a block.
#[derive(Debug, Clone, PartialEq)]
pub enum Pays {
    /// The miner, less so many percent for the pool.
    Miner(u64),
    /// The miner, and 2 % to this address.
    MinerAnd(&'static str),
    /// The miner gets so many percent, a stranger the rest.
    Crumb(u64),
    /// This address alone.
    Only(&'static str),
    /// Many, others in each job.
    Members,
}

/// How a pool behaves. Scripts change it while time passes.
#[derive(Debug, Clone)]
pub struct Habit {
    pub layout: Layout,
    pub pays: Pays,
    pub extranonce1: usize,
    pub extranonce2: usize,
    /// All connections get the same extranonce1 and coinbase.
    pub same_space: bool,
    /// Seconds between jobs of one block.
    pub cadence: f64,
    pub transactions: usize,
    /// A new block's first job is empty, and a full one follows after so many seconds.
    pub empty_first: Option<f64>,
    pub difficulty: f64,
    /// Adapts the difficulty to so many seconds a share.
    pub vardiff: Option<f64>,
    /// public-pool: a clean job comes with each difficulty, which holds for every share.
    pub clean_with_difficulty: bool,
    pub first_clean: bool,
    /// Jobs and difficulty come before the answer to the authorize.
    pub early_job: bool,
    pub decimal_ids: bool,
    pub nbits: u32,
    /// A test network's rule: so long after the last block, in seconds, the easiest target.
    pub easy_after: Option<f64>,
    /// Added to the time in jobs.
    pub ntime: i64,
    pub height: i64,
    /// Parents that nobody worked for.
    pub bad_parents: bool,
    /// Parents of another chain, which meet these nbits.
    pub foreign_parents: Option<u32>,
    /// Learns of no block.
    pub frozen: bool,
    /// Sends no jobs.
    pub mute: bool,
    /// Not even the first one.
    pub workless: bool,
    /// Answers nothing.
    pub swallows: bool,
    pub accepts_all: bool,
    /// The part of good shares that it refuses, with these words.
    pub refuses: Option<(f64, &'static str)>,
    pub refuses_workers: bool,
    /// The job comes before the answer to the subscribe.
    pub job_first: bool,
    /// Stands behind each job id.
    pub id_tail: String,
    /// The extranonce1 as the subscribe answer has it, of the one that counts.
    pub extranonce1_form: Option<fn(&str) -> String>,
    /// A job's line as it is sent, of the one that every miner reads.
    pub form: Option<fn(&str) -> Vec<u8>>,
}

impl Default for Habit {
    /// ckpool solo.
    fn default() -> Habit {
        Habit {
            layout: Layout::ScriptSig,
            pays: Pays::Miner(2),
            extranonce1: 4,
            extranonce2: 8,
            same_space: false,
            cadence: 60.0,
            transactions: 12,
            empty_first: None,
            difficulty: 1e-9,
            vardiff: None,
            clean_with_difficulty: false,
            first_clean: true,
            early_job: false,
            decimal_ids: false,
            nbits: MAINNET,
            easy_after: None,
            ntime: 0,
            height: 0,
            bad_parents: false,
            foreign_parents: None,
            frozen: false,
            mute: false,
            workless: false,
            swallows: false,
            accepts_all: false,
            refuses: None,
            refuses_workers: false,
            job_first: false,
            id_tail: String::new(),
            extranonce1_form: None,
            form: None,
        }
    }
}

#[derive(Debug)]
pub struct Pool {
    pub habit: Habit,
    /// The block it works on.
    pub height: u32,
    pub parent: BlockHash,
    pub block_at: u64,
    pub is_empty: bool,
    pub jobs: u64,
    pub connections: u32,
    /// The difficulty of all that it accepted.
    pub accepted: f64,
    /// As connecting and probing know it.
    pub status: PoolStatus,
}

/// A connection, at the pool's end.
#[derive(Debug)]
pub struct Link {
    pub extranonce1: Vec<u8>,
    pub difficulty: f64,
    pub jobs: Vec<Job>,
    pub seen: HashSet<BlockHash>,
    /// Vardiff counts.
    pub counted: (u64, u32),
    pub mark: u32,
}

/// A job, as both ends know it.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: String,
    pub difficulty: f64,
    pub parent: BlockHash,
    pub coinb1: Vec<u8>,
    pub coinb2: Vec<u8>,
    pub branches: Vec<MerkleBranch>,
    pub ntime: u32,
    pub nbits: u32,
    /// Higher than that of those before.
    pub number: u64,
    pub is_dead: bool,
}

impl Pool {
    pub fn outputs(&self, worker: &str) -> Vec<(u64, Vec<u8>)> {
        let to = |address: &str| payout_script(address).unwrap().0.as_bytes().to_vec();
        let account = account_of_worker(worker);
        let own = payout_script(account).map_or_else(|_| to(POOL), |(script, _)| script.as_bytes().to_vec());
        let percent = |part: u64| REWARD / 100 * part;
        match &self.habit.pays {
            Pays::Miner(0) => vec![(REWARD, own)],
            Pays::Miner(fee) => vec![(percent(100 - fee), own), (percent(*fee), to(POOL))],
            Pays::MinerAnd(other) => vec![(percent(98), own), (percent(2), to(other))],
            Pays::Crumb(part) => vec![(percent(100 - part), to(STRANGER)), (percent(*part), own)],
            Pays::Only(address) => vec![(REWARD, to(address))],
            Pays::Members => (0..19)
                .map(|place: u64| {
                    let mut script = vec![0x00, 0x14];
                    script.extend([(self.jobs % 251) as u8; 12]);
                    script.extend(place.to_be_bytes());
                    (REWARD / 19, script)
                })
                .collect(),
        }
    }

    /// Its answer to a share of this job and this worth: `None` for yes.
    pub fn judge(&self, link: &Link, job: &str, hash: BlockHash, worth: f64) -> Option<(i64, &'static str)> {
        if self.habit.accepts_all {
            return None;
        }
        let Some(job) = link.jobs.iter().find(|known| known.id == job) else {
            return Some((21, "Job not found"));
        };
        if job.is_dead {
            return Some((21, "Stale"));
        }
        if link.seen.contains(&hash) {
            return Some((22, "Duplicate"));
        }
        let asked = if self.habit.clean_with_difficulty { link.difficulty } else { job.difficulty };
        (worth < asked).then_some((23, "Above target"))
    }
}
