//! Would a NerdMiner work at this pool (wire reference, sections 1.2 and 7)?

use std::time::Duration;

use super::observations::Observations;
use crate::stratum::Difficulty;
use crate::util::format::count;
use crate::work::expected_hashes;

/// The firmware's coinbase buffer of 511 hex digits, in bytes. With a larger coinbase all shares are wrong.
pub const MAX_COINBASE_BYTES: usize = 255;
/// The firmware's memory for one parsed line, in bytes. It ignores a job that needs more.
pub const MAX_JSON_MEMORY: usize = 4096;
/// The memory of one JSON value besides its text, in bytes.
const SLOT_BYTES: usize = 16;
/// The firmware's timeout for the answer to subscribe.
pub const SUBSCRIBE_TIMEOUT: Duration = Duration::from_millis(1200);
/// The firmware takes a partial line as complete after this pause.
pub const MAX_PAUSE: Duration = Duration::from_secs(1);
/// The firmware reconnects after this time without a job.
pub const MAX_JOB_GAP: Duration = Duration::from_secs(600);
/// A shorter interval wastes work, since each job discards the work on the one before.
const MIN_JOB_INTERVAL: Duration = Duration::from_secs(2);
/// The fewest jobs from which the interval is judged.
const MIN_JOBS_FOR_INTERVAL: u64 = 4;
/// The extranonce2 sizes that the firmware supports.
const EXTRANONCE2_SIZES: [usize; 3] = [2, 4, 8];
/// The hash rate of the firmware of 2023 and 2024, in hashes per second.
pub const HASH_RATE: f64 = 78e3;
const DAY: f64 = 86_400.0;

/// The compatibility of a pool with NerdMiners.
#[derive(Debug, Clone, PartialEq)]
pub struct NerdMinerCheck {
    pub coinbase_bytes: Option<usize>,
    pub longest_line: usize,
    /// The memory for the largest line, of [`MAX_JSON_MEMORY`].
    pub largest_memory: usize,
    /// The mean time of one share at [`HASH_RATE`] and the newest difficulty, in seconds.
    pub share_time: Option<f64>,
    /// The reasons why a NerdMiner would not work. Empty for a compatible pool.
    pub obstacles: Vec<String>,
    /// The problems with which a NerdMiner still works.
    pub nuisances: Vec<String>,
}

impl NerdMinerCheck {
    /// Checks the observations. `None` if the pool never answered subscribe.
    pub fn of(observations: &Observations) -> Option<NerdMinerCheck> {
        let subscribed = observations.subscribed.as_ref()?;
        let coinbase_bytes = Some(observations.jobs.largest_coinbase).filter(|bytes| *bytes > 0);
        let share_time =
            observations.difficulty.newest.map(|difficulty| expected_hashes(difficulty) / HASH_RATE);
        let (longest_line, largest_memory) = (observations.longest_line, observations.largest_memory);
        let (mut obstacles, mut nuisances) = (Vec::new(), Vec::new());
        if let Some(bytes) = coinbase_bytes.filter(|bytes| *bytes > MAX_COINBASE_BYTES) {
            obstacles.push(format!(
                "the coinbase has {bytes} bytes, but a NerdMiner has room for {MAX_COINBASE_BYTES} only: all its shares would be wrong"
            ));
        }
        if largest_memory > MAX_JSON_MEMORY {
            obstacles.push(format!(
                "a line needs about {largest_memory} bytes of memory, but a NerdMiner has {MAX_JSON_MEMORY} bytes: it would ignore the line"
            ));
        }
        let extranonces = &subscribed.extranonces;
        if extranonces.extranonce1.as_bytes().is_empty() {
            obstacles.push("the extranonce1 is empty, which a NerdMiner rejects".to_owned());
        }
        let size = extranonces.extranonce2_size.bytes();
        if !EXTRANONCE2_SIZES.contains(&size) {
            let size = count(size as u64, "byte");
            obstacles.push(format!("the extranonce2 has {size}; a NerdMiner supports 2, 4 and 8"));
        }
        if subscribed.took > SUBSCRIBE_TIMEOUT {
            let took = subscribed.took.as_secs_f64();
            obstacles
                .push(format!("the answer to subscribe took {took:.1} s; a NerdMiner gives up after 1.2 s"));
        }
        if observations.jobs.longest_gap.is_some_and(|gap| gap > MAX_JOB_GAP) {
            obstacles.push("no job for ten minutes, after which a NerdMiner reconnects".to_owned());
        }
        if observations.cut_jobs > 0 {
            let jobs = count(observations.cut_jobs, "job");
            obstacles.push(format!(
                "{jobs} came in pieces more than a second apart: a NerdMiner can't read that and stays on the job before"
            ));
        }
        if observations.is_first_line_other {
            let text = "another line comes before the answer to subscribe, which a NerdMiner expects first";
            obstacles.push(text.to_owned());
        }
        let interval =
            observations.jobs.interval().filter(|_| observations.jobs.count >= MIN_JOBS_FOR_INTERVAL);
        if interval.is_some_and(|interval| interval < MIN_JOB_INTERVAL) {
            nuisances.push("jobs come so often that a NerdMiner wastes work".to_owned());
        }
        if share_time.is_some_and(|seconds| seconds > DAY) {
            nuisances.push("the difficulty is too high for a share a day".to_owned());
        }
        Some(NerdMinerCheck {
            coinbase_bytes,
            longest_line,
            largest_memory,
            share_time,
            obstacles,
            nuisances,
        })
    }

    /// Tells whether a NerdMiner would work.
    pub fn is_fit(&self) -> bool {
        self.obstacles.is_empty()
    }
}

/// The difficulty that a NerdMiner reaches once a day on average.
pub fn best_in_a_day() -> f64 {
    HASH_RATE * DAY / expected_hashes(Difficulty::ONE)
}

/// The memory that ArduinoJson needs for a line: one slot for each value, and the texts with their
/// terminators. Zero for a line that is not JSON.
pub(super) fn json_memory(line: &[u8]) -> usize {
    serde_json::from_slice(line).map_or(0, |value| value_memory(&value))
}

fn value_memory(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    SLOT_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len() + 1,
            Value::Array(values) => values.iter().map(value_memory).sum(),
            Value::Object(members) => {
                members.iter().map(|(key, value)| key.len() + 1 + value_memory(value)).sum()
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_in_slots_and_texts() {
        assert_eq!(json_memory(b"{}"), SLOT_BYTES);
        assert_eq!(json_memory(br#"{"id":null,"params":["abc",[1,2]]}"#), 7 * SLOT_BYTES + 3 + 7 + 4);
        assert_eq!(json_memory(b"words"), 0);
    }

    #[test]
    fn a_day_of_a_nerdminer_reaches_difficulty_1_and_a_half() {
        assert!((best_in_a_day() - 1.569).abs() < 0.001, "{}", best_in_a_day());
    }
}
