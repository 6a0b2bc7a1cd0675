//! The lines of Stratum V1 that the simulated pool and miners exchange: of the lengths, and with the changing fields, of
//! a Bitaxe at a solo pool.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

const USER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.bitaxe";
const BRANCHES: usize = 12;
/// The subsidy and fees, as in a coinbase.
const VALUE: &str = "60aaec1200000000";
const PREVHASH: &str = "5b2f9e31d9d6c1c86f0c2c5e8f3b77a1d4e09b1c000199e10000000000000000";

pub fn subscribe() -> String {
    "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bitaxe/BM1370/v2.9.0\"]}\n".to_owned()
}

pub fn authorize() -> String {
    format!("{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{USER}\",\"x\"]}}\n")
}

/// The pool's answer to a subscribe. Every connection has a search space of its own.
pub fn subscribed(id: u64, connection: u32) -> String {
    format!(
        "{{\"id\":{id},\"result\":[[[\"mining.notify\",\"{connection:08x}\"]],\"{connection:08x}\",8],\"error\":null}}\n"
    )
}

pub fn accepted(id: u64) -> String {
    format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n")
}

/// A difficulty that every hash reaches, so that every share is worth an answer.
pub fn set_difficulty() -> String {
    "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1e-10]}\n".to_owned()
}

/// The job with this number, 1,400 bytes or so. Its coinbase is a whole one, which pays the miner and commits to the
/// transactions, and its time is now, so that there is nothing to complain about.
pub fn notify(number: u32) -> String {
    let branches: Vec<String> =
        (0..BRANCHES).map(|i| format!("\"{}\"", format!("{i:02x}").repeat(32))).collect();
    let coinbase = format!(
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2003a4bc0e{number:08x}\",\
         \"2f62656e63686d61726b2f2fffffffff02{VALUE}160014751e76e8199196d454941c45d1b3a323f1433bd6\
         0000000000000000266a24aa21a9ed{}00000000",
        "5c".repeat(32)
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{number:x}\",\"{PREVHASH}\",\"{coinbase}\",[{}],\
         \"20000000\",\"17023a04\",\"{now:08x}\",true]}}\n",
        branches.join(",")
    )
}

/// The request's or answer's number.
pub fn id(line: &str) -> Option<u64> {
    let rest = line.split_once("\"id\":")?.1.trim_start();
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

/// The method without its prefix, as in `submit`. None for an answer.
pub fn method(line: &str) -> Option<&str> {
    let rest = line.split_once("\"method\":")?.1.trim_start();
    rest.strip_prefix("\"mining.")?.split('"').next()
}

/// A miner's knowledge of its work.
#[derive(Debug, Default)]
pub struct MinerWork {
    extranonce2_digits: usize,
    job_id: String,
    ntime: String,
    /// The newest job's line, as long as no share was made from it. Reading it only then keeps the arrival of a job cheap.
    unread: String,
}

impl MinerWork {
    pub fn take_subscribed(&mut self, line: &str) {
        let answer: Value = serde_json::from_str(line).unwrap();
        let size = answer["result"][2].as_u64().unwrap_or_else(|| panic!("no answer to subscribe: {line}"));
        self.extranonce2_digits = 2 * size as usize;
    }

    pub fn take_job(&mut self, line: &str) {
        self.unread.clear();
        self.unread.push_str(line);
    }

    /// Writes a share, which is a new one if `number` is.
    pub fn write_submit(&mut self, id: u64, number: u64, line: &mut String) {
        if !self.unread.is_empty() {
            let job: Value = serde_json::from_str(&self.unread).unwrap();
            let text = |place: usize| job["params"][place].as_str().unwrap().to_owned();
            (self.job_id, self.ntime) = (text(0), text(7));
            self.unread.clear();
        }
        let (job, ntime, digits) = (&self.job_id, &self.ntime, self.extranonce2_digits);
        // The number's lower digits, as many as there are, and a nonce that changes as a miner's does.
        let extranonce2 = if digits < 16 { number & ((1 << (4 * digits)) - 1) } else { number };
        let nonce = (number as u32).wrapping_mul(0x9e37_79b1);
        line.clear();
        let _ = writeln!(
            line,
            "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"{USER}\",\"{job}\",\"{extranonce2:0digits$x}\",\
             \"{ntime}\",\"{nonce:08x}\"]}}"
        );
    }
}
