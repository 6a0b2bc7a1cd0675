//! The raw figures of a run: a line of JSON for each turn of a contender. Tables are made from these alone, so that a
//! published table can be made again, or differently, from the run that is kept beside it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::common::clock::Nanos;

/// The figures of one turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    /// The CPUs that everything shared: proxy, pool and miners.
    pub cpus: usize,
    pub scenario: String,
    pub round: usize,
    pub contender: String,
    /// By name. Times of messages are in microseconds.
    #[serde(flatten)]
    pub figures: BTreeMap<String, f64>,
}

/// The turns so far, which are also written to a file if one is wanted.
pub struct Run {
    pub turns: Vec<Turn>,
    file: Option<File>,
}

impl Run {
    /// A new run. With a name, it is kept as `benches/runs/DATE-NAME.jsonl`.
    pub fn new(name: Option<&str>, machine: &str) -> Run {
        let file = name.map(|name| {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/runs");
            fs::create_dir_all(&directory).unwrap();
            let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
            let mut file = File::create(directory.join(format!("{date}-{name}.jsonl"))).unwrap();
            writeln!(file, "{}", serde_json::json!({ "machine": machine })).unwrap();
            file
        });
        Run { turns: Vec::new(), file }
    }

    /// The turns of a run that was kept, and the machine it was made on.
    pub fn read(path: &str) -> (String, Vec<Turn>) {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut lines = text.lines();
        let head: serde_json::Value = serde_json::from_str(lines.next().unwrap_or_default()).unwrap();
        let machine = head["machine"].as_str().unwrap_or_default().to_owned();
        (machine, lines.map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    pub fn push(&mut self, turn: Turn) {
        if let Some(file) = &mut self.file {
            writeln!(file, "{}", serde_json::to_string(&turn).unwrap()).unwrap();
        }
        self.turns.push(turn);
    }
}

/// Adds quantiles of `times` as NAME50, NAME90, NAME99 and NAME99.9.
pub fn add_quantiles(figures: &mut BTreeMap<String, f64>, name: &str, times: &mut [Nanos]) {
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else { return };
    for percent in [50.0, 90.0, 99.0, 99.9] {
        let place = (last as f64 * percent / 100.0).round() as usize;
        figures.insert(format!("{name}{percent}"), round(times[place].micros()));
    }
}

/// The value with three decimals: more would only be noise, and make the file longer.
pub fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
