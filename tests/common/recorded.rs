//! A proxy in this process that records, and its files read back.

use std::collections::HashMap;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use sluice::analyzer::{Setup, Snapshot};
use sluice::app::AppOptions;
use sluice::clock::Clock;
use sluice::config::{Config, Overrides};
use sluice::record::Recorder;
use sluice::stratum::Difficulty;
use sluice::tap::TapMessage;

use super::{Proxy, wait_for};

/// A proxy whose analyzer writes into a directory of its own.
pub struct Recorded {
    pub proxy: Proxy,
    pub directory: tempfile::TempDir,
}

/// One row of `shares.csv`, by column.
pub type Row = HashMap<String, String>;

/// The files of a proxy that has ended.
pub struct Records {
    pub rows: Vec<Row>,
    pub state: Value,
    pub history: Value,
    /// The files of `blocks/`, in the order of their names.
    pub blocks: Vec<Value>,
    pub snapshot: Arc<Snapshot>,
}

/// As [`Proxy::start`] reads its text.
pub fn config(text: &str) -> Config {
    let listen = "[listen]\nstratum = [\"127.0.0.1:0\"]\n";
    let listen = if text.contains("[listen]") { "" } else { listen };
    let text = format!("{listen}{text}{}", super::patient_failover(text));
    Config::parse(&text, &Overrides::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// The setup of an analyzer that records into `directory`.
pub fn setup(config: &Config, directory: &Path) -> Setup {
    let (recorder, saved) = Recorder::start(&config.record, directory, Clock::system()).unwrap();
    // Shares must be cheap here.
    let least_proof = Difficulty::new(1e-12).unwrap();
    Setup { recorder: Some(recorder), saved, least_proof, ..Setup::of(config) }
}

impl Recorded {
    pub fn start(text: &str) -> Recorded {
        Recorded::start_by(Clock::system(), text)
    }

    /// As [`Recorded::start`], by this clock.
    pub fn start_by(clock: Clock, text: &str) -> Recorded {
        let (config, directory) = (config(text), tempfile::tempdir().unwrap());
        let record_to = Some(directory.path().to_owned());
        let options = AppOptions { record_to, clock: Some(clock), ..AppOptions::default() };
        Recorded { proxy: Proxy::with_options(&config, options), directory }
    }

    /// The forwarding only; copies pile up until somebody takes them out of the queue.
    pub fn stalled(text: &str) -> (Recorded, crossbeam_channel::Receiver<TapMessage>, Config) {
        let (config, directory) = (config(text), tempfile::tempdir().unwrap());
        let (queue, copies) = crossbeam_channel::bounded(config.analysis.queue);
        let options = AppOptions { queue: Some(queue), ..AppOptions::default() };
        (Recorded { proxy: Proxy::with_options(&config, options), directory }, copies, config)
    }

    pub fn connect(&self) -> TcpStream {
        self.proxy.connect()
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.proxy.snapshot()
    }

    /// Waits until what the analyzer published fulfils the condition.
    pub fn wait(&self, what: &str, condition: impl Fn(&Snapshot) -> bool) {
        wait_for(what, || condition(&self.snapshot()));
    }

    /// Waits until so many shares have their verdict, whatever it is.
    pub fn wait_judged(&self, count: u64) {
        self.wait(&format!("{count} judged shares"), |snapshot| judged(snapshot) >= count);
    }

    /// Ends the proxy and reads what it wrote.
    pub fn finish(mut self) -> Records {
        let snapshot = self.proxy.shut_down();
        let directory = self.directory.path();
        let json = |name: &str| {
            std::fs::read(directory.join(name))
                .map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
        };
        let (state, history) = (json("state.json"), json("history.json"));
        let shares = std::fs::read(directory.join("shares.csv")).unwrap_or_default();
        assert!(shares.last().is_none_or(|last| *last == b'\n'), "shares.csv ends within a row");
        Records { rows: rows(directory), state, history, blocks: blocks(directory), snapshot }
    }
}

/// Shares with any outcome.
pub fn judged(snapshot: &Snapshot) -> u64 {
    snapshot
        .totals
        .as_ref()
        .map_or(0, |totals| totals.accepted + totals.rejected + totals.unanswered + totals.unknown)
}

/// The complete rows of `shares.csv`; each has all the columns. Sluice may be writing the last one.
pub fn rows(directory: &Path) -> Vec<Row> {
    let Ok(text) = std::fs::read(directory.join("shares.csv")) else { return Vec::new() };
    let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    csv::Reader::from_reader(&text[..complete]).deserialize().map(Result::unwrap).collect()
}

fn blocks(directory: &Path) -> Vec<Value> {
    let Ok(entries) = std::fs::read_dir(directory.join("blocks")) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect()
}
