//! A job whose every part a test can write as it likes.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;
use sluice::stratum::{Difficulty, Extranonce1, Extranonce2, Nonce, Notify};
use sluice::work::{Midstate, ShareValues, Target};

use super::pool::EXTRANONCE1;

/// A little more than the least that proves work: about a million hashes.
pub const WORK: f64 = 0.00025;

/// The owner's address: BIP173's example.
pub const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
/// The owner's miner, as it authorizes.
pub const WORKER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.rig";

/// The output script of [`ADDRESS`], in hex.
const OWNER: &str = "0014751e76e8199196d454941c45d1b3a323f1433bd6";
/// The output script of somebody else, in hex.
pub const STRANGER: &str = "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac";
/// The value of the only output: 50 BTC, as it is written in a transaction.
const VALUE: &str = "00f2052a01000000";

/// The target of mainnet in 2026.
pub const NBITS: &str = "17023a04";
/// The target of regtest, which every second hash meets.
pub const EASIEST: &str = "207fffff";

/// The parts of a `mining.notify`, each as JSON text or as the hex text inside of a JSON text.
#[derive(Clone)]
pub struct Job {
    /// The job id with its quotes.
    pub id: String,
    pub prevhash: String,
    pub coinb1: String,
    pub coinb2: String,
    /// The merkle branches with their brackets.
    pub branches: String,
    pub version: String,
    pub nbits: String,
    /// With its quotes.
    pub ntime: String,
    pub clean: String,
    /// How many bytes both extranonces have together.
    pub room: usize,
    pub script: &'static str,
}

impl Job {
    /// A job that pays the owner everything, for a connection with 4 bytes of each extranonce.
    pub fn honest(number: u32) -> Job {
        Job::paying(OWNER, number, 8)
    }

    /// A job that pays the owner nothing.
    pub fn stranger(number: u32) -> Job {
        Job::paying(STRANGER, number, 8)
    }

    /// A job for a connection whose extranonces have `room` bytes together.
    pub fn with_room(&self, room: usize) -> Job {
        let number = u32::from_str_radix(self.id.trim_matches(['"', 'j']), 16).unwrap();
        Job::paying(self.script, number, room)
    }

    fn paying(script: &'static str, number: u32, room: usize) -> Job {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // The height 967,017 and a number that makes each coinbase another one.
        let coinb1 = format!("0100000001{}ffffffff{:02x}0369c10e{number:08x}", "00".repeat(32), 4 + 4 + room);
        Job {
            id: format!("\"j{number:x}\""),
            prevhash: "00".repeat(32),
            coinb1,
            coinb2: format!("ffffffff01{VALUE}{:02x}{script}00000000", script.len() / 2),
            branches: "[]".to_owned(),
            version: "20000000".to_owned(),
            nbits: NBITS.to_owned(),
            ntime: format!("\"{now:08x}\""),
            clean: "false".to_owned(),
            room,
            script,
        }
    }

    /// A nonce whose hash has a difficulty of [`WORK`], with an extranonce2 of zeros.
    pub fn mine(&self) -> Nonce {
        let params: Box<RawValue> = serde_json::from_str(&self.params()).unwrap();
        let job = Notify::from_params(Some(&params)).unwrap();
        let values = ShareValues {
            extranonce2: Extranonce2::from_text("00000000").unwrap(),
            ntime: job.ntime,
            nonce: Nonce(0),
            version: job.version,
        };
        let header = values.header(&job, &Extranonce1::from_text(EXTRANONCE1).unwrap());
        let target = Target::from_difficulty(Difficulty::new(WORK).unwrap());
        let (mut midstate, high) = (Midstate::new(&header), target.high());
        let is_found =
            |nonce: &Nonce| midstate.hash_high(*nonce) <= high && target.is_met_by(&midstate.hash(*nonce));
        (0..=u32::MAX).map(Nonce).find(is_found).unwrap()
    }

    /// The same job, to the owner.
    pub fn twin(&self) -> Job {
        Job { coinb2: Job::paying(OWNER, 0, self.room).coinb2, script: OWNER, ..self.clone() }
    }

    /// A job with so many outputs.
    pub fn outputs(&self, count: u16) -> Job {
        let [low, high] = count.to_le_bytes();
        let output = format!("{VALUE}{:02x}{}", self.script.len() / 2, self.script);
        let outputs = output.repeat(usize::from(count));
        Job { coinb2: format!("fffffffffd{low:02x}{high:02x}{outputs}00000000"), ..self.clone() }
    }

    /// Without the brackets around them.
    pub fn elements(&self) -> String {
        let Job { id, prevhash, coinb1, coinb2, branches, version, nbits, ntime, clean, .. } = self;
        format!(
            "{id},\"{prevhash}\",\"{coinb1}\",\"{coinb2}\",{branches},\"{version}\",\"{nbits}\",{ntime},{clean}"
        )
    }

    pub fn params(&self) -> String {
        format!("[{}]", self.elements())
    }

    /// The usual message, without the end of its line.
    pub fn message(&self) -> String {
        self.message_of("mining.notify")
    }

    /// With another method's name, as it is written between quotes.
    pub fn message_of(&self, method: &str) -> String {
        format!("{{\"id\":null,\"method\":\"{method}\",\"params\":{}}}", self.params())
    }

    pub fn line(&self) -> String {
        format!("{}\n", self.message())
    }
}
