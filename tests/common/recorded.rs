//! A proxy in this process that records, and its files read back.

use std::collections::HashMap;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use sluice::analyzer::{Analyzer, Expectations, Setup, Snapshot};
use sluice::clock::Clock;
use sluice::config::{Config, Overrides};
use sluice::proxy::passthrough::Passthrough;
use sluice::record::Recorder;
use sluice::tap::TapMessage;
use sluice::util::stop::Stop;

use super::{Proxy, wait_for};

/// A proxy whose analyzer writes into a directory of its own.
pub struct Recorded {
    pub proxy: Proxy,
    pub directory: tempfile::TempDir,
}

/// One row of `shares.csv`, by column.
pub type Row = HashMap<String, String>;

/// What was left behind.
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
    let text = if text.contains("[listen]") { text.to_owned() } else { format!("{listen}{text}") };
    Config::parse(&text, &Overrides::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// What an analyzer needs that records into `directory`.
pub fn setup(config: &Config, directory: &Path) -> Setup {
    setup_by(Clock::system(), config, directory)
}

/// As [`setup`], by this clock.
pub fn setup_by(clock: Clock, config: &Config, directory: &Path) -> Setup {
    let (recorder, state, history) = Recorder::start(&config.record, directory, clock.clone()).unwrap();
    Setup {
        analysis: config.analysis.clone(),
        expectations: Expectations::new(&config.payout, config.network),
        rules: config.rules.clone(),
        silence: config.failover.silence_timeout,
        first_job: config.failover.first_job_timeout,
        enforcement: None,
        clock,
        recorder: Some(recorder),
        notifier: None,
        state,
        history,
        upstreams: config.upstreams.iter().collect(),
        outside: None,
        account: None,
        reports_restarts: false,
    }
}

impl Recorded {
    pub fn start(text: &str) -> Recorded {
        Recorded::start_by(Clock::system(), text)
    }

    /// As [`Recorded::start`], by this clock.
    pub fn start_by(clock: Clock, text: &str) -> Recorded {
        let (config, directory) = (config(text), tempfile::tempdir().unwrap());
        let (analyzer, sender) = Analyzer::start(setup_by(clock, &config, directory.path())).unwrap();
        let passthrough = Passthrough::start(&config, Some(sender), &Stop::new()).unwrap();
        Recorded { proxy: Proxy { passthrough: Some(passthrough), analyzer: Some(analyzer) }, directory }
    }

    /// The forwarding only; copies pile up until somebody takes them out of the queue.
    pub fn stalled(text: &str) -> (Recorded, crossbeam_channel::Receiver<TapMessage>, Config) {
        let (config, directory) = (config(text), tempfile::tempdir().unwrap());
        let (sender, copies) = crossbeam_channel::bounded(config.analysis.queue);
        let passthrough = Passthrough::start(&config, Some(sender), &Stop::new()).unwrap();
        let proxy = Proxy { passthrough: Some(passthrough), analyzer: None };
        (Recorded { proxy, directory }, copies, config)
    }

    pub fn connect(&self) -> TcpStream {
        self.proxy.connect()
    }

    pub fn analyzer(&self) -> &Analyzer {
        self.proxy.analyzer.as_ref().unwrap()
    }

    /// Waits until what the analyzer published fulfils the condition.
    pub fn wait(&self, what: &str, condition: impl Fn(&Snapshot) -> bool) {
        wait_for(what, || condition(&self.analyzer().snapshot()));
    }

    /// Waits until so many shares have their verdict, whatever it is.
    pub fn wait_judged(&self, count: u64) {
        self.wait(&format!("{count} judged shares"), |snapshot| judged(snapshot) >= count);
    }

    /// Ends the proxy and reads what it wrote.
    pub fn finish(mut self) -> Records {
        if let Some(passthrough) = self.proxy.passthrough.take() {
            passthrough.shut_down();
        }
        let snapshot = self.proxy.analyzer.take().unwrap().finish();
        let directory = self.directory.path();
        let json = |name: &str| {
            std::fs::read(directory.join(name))
                .map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
        };
        let (state, history) = (json("state.json"), json("history.json"));
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

/// The rows of `shares.csv`; each has all the columns.
pub fn rows(directory: &Path) -> Vec<Row> {
    let file = directory.join("shares.csv");
    if !file.exists() {
        return Vec::new();
    }
    csv::Reader::from_path(file).unwrap().deserialize().map(Result::unwrap).collect()
}

fn blocks(directory: &Path) -> Vec<Value> {
    let Ok(entries) = std::fs::read_dir(directory.join("blocks")) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect()
}
