//! Would a NerdMiner get along with this pool (wire reference, sections 1.2 and 7)?

use std::time::Duration;

use super::observations::Observations;
use crate::stratum::Difficulty;
use crate::util::plural::count;
use crate::work::expected_hashes;

/// The firmware's buffer: 511 hex digits. Beyond it shares are silently wrong.
pub const MOST_COINBASE: usize = 255;
/// The firmware's memory for one parsed line. Beyond it a job is ignored.
pub const MOST_TREE: usize = 4096;
/// What a value takes of that memory besides its text, in bytes.
const SLOT: usize = 16;
/// How long it waits for the answer to subscribe.
pub const MOST_ANSWER: Duration = Duration::from_millis(1200);
/// It takes what has come for a line when nothing more comes for so long.
pub const MAX_PAUSE: Duration = Duration::from_secs(1);
/// It reconnects when no job comes for so long.
pub const MOST_GAP: Duration = Duration::from_secs(600);
/// Each job throws away what is queued for the one before.
const LEAST_INTERVAL: Duration = Duration::from_secs(2);
/// Fewer jobs say nothing of a habit.
const ENOUGH_JOBS: u64 = 4;
/// The extranonce2 sizes it can count in.
const SIZES: [usize; 3] = [2, 4, 8];
/// Hashes per second of one with the firmware of 2023 or 2024.
pub const HASH_RATE: f64 = 78e3;
const DAY: f64 = 86_400.0;

/// Whether a NerdMiner gets along with a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct NerdMinerCheck {
    pub coinbase_bytes: Option<usize>,
    pub longest_line: usize,
    /// Of [`MOST_TREE`].
    pub largest_tree: usize,
    /// How long one share takes on average, at [`HASH_RATE`] and the newest difficulty.
    pub share_time: Option<f64>,
    /// What stops it from working; empty for a pool that fits.
    pub obstacles: Vec<String>,
    /// What it can live with.
    pub nuisances: Vec<String>,
}

impl NerdMinerCheck {
    /// By what was found; `None` when nothing was.
    pub fn of(found: &Observations) -> Option<NerdMinerCheck> {
        let subscribed = found.subscribed.as_ref()?;
        let coinbase_bytes = Some(found.jobs.largest_coinbase).filter(|bytes| *bytes > 0);
        let share_time = found.difficulty.newest.map(|difficulty| expected_hashes(difficulty) / HASH_RATE);
        let mut fitness = NerdMinerCheck {
            coinbase_bytes,
            longest_line: found.longest_line,
            largest_tree: found.largest_tree,
            share_time,
            obstacles: Vec::new(),
            nuisances: Vec::new(),
        };
        if coinbase_bytes.is_some_and(|bytes| bytes > MOST_COINBASE) {
            let bytes = coinbase_bytes.unwrap_or_default();
            fitness.obstacles.push(format!(
                "the coinbase has {bytes} bytes, a NerdMiner has room for {MOST_COINBASE}: all its shares would be wrong"
            ));
        }
        if found.largest_tree > MOST_TREE {
            fitness.obstacles.push(format!(
                "a line takes about {} of the {MOST_TREE} bytes a NerdMiner has for one: it would ignore it",
                found.largest_tree
            ));
        }
        let extranonces = &subscribed.extranonces;
        if extranonces.extranonce1.as_bytes().is_empty() {
            fitness.obstacles.push("the extranonce1 is empty, which a NerdMiner refuses".to_owned());
        }
        let size = extranonces.extranonce2_size.bytes();
        if !SIZES.contains(&size) {
            fitness.obstacles.push(format!(
                "its extranonce2 has {}; a NerdMiner knows 2, 4 and 8",
                count(size as u64, "byte")
            ));
        }
        if subscribed.took > MOST_ANSWER {
            fitness.obstacles.push(format!(
                "the answer to subscribe took {:.1} s; a NerdMiner gives up after 1.2 s",
                subscribed.took.as_secs_f64()
            ));
        }
        if found.jobs.longest_gap.is_some_and(|gap| gap > MOST_GAP) {
            fitness.obstacles.push("no job for ten minutes: a NerdMiner reconnects then".to_owned());
        }
        if found.cut_jobs > 0 {
            fitness.obstacles.push(format!(
                "{} came in pieces more than a second apart: a NerdMiner does not read that and stays with the job \
                 before",
                count(found.cut_jobs, "job")
            ));
        }
        if found.is_first_line_foreign {
            fitness.obstacles.push(
                "something else comes before the answer to subscribe, which must be a NerdMiner's first line"
                    .to_owned(),
            );
        }
        let interval = found.jobs.interval().filter(|_| found.jobs.count >= ENOUGH_JOBS);
        if interval.is_some_and(|interval| interval < LEAST_INTERVAL) {
            fitness.nuisances.push("jobs come so often that each takes work away".to_owned());
        }
        if share_time.is_some_and(|seconds| seconds > DAY) {
            fitness.nuisances.push("the difficulty is too high for a share a day".to_owned());
        }
        Some(fitness)
    }

    /// Whether it would work.
    pub fn is_fit(&self) -> bool {
        self.obstacles.is_empty()
    }
}

/// The best difficulty that a NerdMiner reaches in a day on average.
pub fn best_in_a_day() -> f64 {
    HASH_RATE * DAY / expected_hashes(Difficulty::ONE)
}

/// The memory that ArduinoJson takes for a line: one slot for each value and the texts with their
/// ends. Zero for what is no JSON.
pub(super) fn tree_bytes(line: &[u8]) -> usize {
    serde_json::from_slice(line).map_or(0, |value| bytes_of(&value))
}

fn bytes_of(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    SLOT + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len() + 1,
        Value::Array(values) => values.iter().map(bytes_of).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| key.len() + 1 + bytes_of(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_in_slots_and_texts() {
        assert_eq!(tree_bytes(b"{}"), SLOT);
        assert_eq!(tree_bytes(br#"{"id":null,"params":["abc",[1,2]]}"#), 7 * SLOT + 3 + 7 + 4);
        assert_eq!(tree_bytes(b"words"), 0);
    }

    #[test]
    fn a_day_of_a_nerdminer_reaches_difficulty_1_and_a_half() {
        assert!((best_in_a_day() - 1.569).abs() < 0.001, "{}", best_in_a_day());
    }
}
