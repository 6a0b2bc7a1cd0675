//! The loads that contenders are measured under.

use std::collections::BTreeMap;
use std::time::Duration;

use super::common::clock::Nanos;
use super::common::miners::{Load, Miners};
use super::common::pool::Pool;
use super::common::proc::{self, Usage};
use super::contenders::Contender;
use super::runs::{add_quantiles, round};

/// The time after connecting until all threads wait.
const SETTLE: Duration = Duration::from_millis(300);
/// The time between two jobs that go to all.
const JOB_INTERVAL: Duration = Duration::from_millis(150);
/// The time in which system calls are counted, longer where shares are sparse, and the time before and after it, in
/// which the counter starts and ends.
const COUNTED: Duration = Duration::from_secs(1);
const COUNTED_SPARSE: Duration = Duration::from_secs(4);
const COUNTER_START: Duration = Duration::from_millis(700);
/// More threads than that take the counter too long.
const MAX_COUNTED_MINERS: usize = 500;
/// A process a connection is no way to serve more than so many.
const MAX_SOCAT_MINERS: usize = 500;

pub struct Scenario {
    pub name: String,
    pub miners: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Shares are due at random times, each miner's about as often as this.
    Open(Duration),
    /// Each miner has so many shares unanswered.
    Closed(usize),
    /// A job goes to all.
    Burst,
}

impl Scenario {
    pub fn all() -> Vec<Scenario> {
        let mut all = Vec::new();
        // Fewer miners than 2,000 send more often than that, or there would be too few shares to measure.
        for (miners, interval, mean) in [
            (1, "20 to 80 ms", 0.05),
            (10, "100 to 400 ms", 0.25),
            (100, "0.4 to 1.6 s", 1.0),
            (500, "2 to 8 s", 5.0),
            (2000, "5 to 20 s", 12.5),
        ] {
            let who = if miners == 1 { "1 miner".to_owned() } else { format!("{miners} miners") };
            let name = format!("real, {who}, a share every {interval} each");
            all.push(Scenario::open(&name, miners, miners as f64 / mean));
        }
        for miners in [100, 500, 2000] {
            all.push(Scenario::open(&format!("rate, {miners} miners, 2000 shares/s in all"), miners, 2000.0));
        }
        let closed = |name: &str, miners, window| Scenario {
            name: name.to_owned(),
            miners,
            kind: Kind::Closed(window),
        };
        all.push(closed("closed, 20 miners, 1 share unanswered each", 20, 1));
        all.push(closed("saturation, 50 miners, 16 shares unanswered each", 50, 16));
        for miners in [100, 500, 2000, 5000] {
            all.push(Scenario {
                name: format!("burst, a job to {miners} miners"),
                miners,
                kind: Kind::Burst,
            });
        }
        all
    }

    /// Shares at random times, so many a second in all.
    pub fn open(name: &str, miners: usize, rate: f64) -> Scenario {
        let kind = Kind::Open(Duration::from_secs_f64(miners as f64 / rate));
        Scenario { name: name.to_owned(), miners, kind }
    }

    /// True if it takes long until there are enough shares.
    pub fn is_sparse(&self) -> bool {
        self.name.starts_with("real")
    }

    /// True if this contender can take part.
    pub fn suits(&self, contender: &Contender) -> bool {
        contender.name != "socat" || self.miners <= MAX_SOCAT_MINERS
    }

    /// Measures one turn of a contender. Its figures are those of [`super::tables`].
    pub fn measure(
        &self,
        contender: &Contender,
        pool: &Pool,
        time: Duration,
        turn: usize,
    ) -> BTreeMap<String, f64> {
        let mut miners = Miners::connect(contender.address, self.miners);
        // A session's first share touches memory that later ones don't, and is not what is asked for.
        miners.closed_loop(1, Duration::ZERO);
        std::thread::sleep(SETTLE);
        let processes = contender.processes();
        let before = Usage::of(&processes);
        let (mut figures, messages) = match self.kind {
            Kind::Burst => self.bursts(&mut miners, pool, time),
            _ => {
                let load = self.load(&mut miners, time, turn);
                let messages = 2 * load.delays.len();
                (figures_of(load), messages)
            }
        };
        if !processes.is_empty() {
            let usage = Usage::of(&processes).since(before);
            let each = |count: u64| round(count as f64 / messages as f64);
            figures.insert("cpu".to_owned(), round(usage.cpu_nanoseconds as f64 / 1e3 / messages as f64));
            figures.insert("wakeups".to_owned(), each(usage.voluntary_switches));
            figures.insert("preempted".to_owned(), each(usage.involuntary_switches));
            if turn == 0 {
                figures.extend(
                    self.count_calls(&mut miners, &processes).map(|calls| ("calls".to_owned(), calls)),
                );
            }
        }
        figures
    }

    fn load(&self, miners: &mut Miners, time: Duration, seed: usize) -> Load {
        match self.kind {
            Kind::Open(mean) => miners.open_loop(mean, time, 1 + seed as u64),
            Kind::Closed(window) => miners.closed_loop(window, time),
            Kind::Burst => Load::default(),
        }
    }

    /// Sends jobs to all, with a pause between two. Returns figures, and the number of jobs that arrived.
    fn bursts(&self, miners: &mut Miners, pool: &Pool, time: Duration) -> (BTreeMap<String, f64>, usize) {
        let end = Nanos::now() + time.into();
        let (mut all, mut firsts, mut lasts, mut writing) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while Nanos::now() < end {
            std::thread::sleep(JOB_INTERVAL);
            let (delays, broadcast) = miners.burst(pool);
            firsts.extend(delays.first().map(|delay| delay.micros()));
            lasts.extend(delays.last().map(|delay| delay.micros()));
            writing.push(broadcast.took.micros());
            all.extend(delays);
        }
        let mut figures = BTreeMap::new();
        for (name, values) in [("first", firsts), ("last", lasts), ("pool", writing)] {
            figures.insert(name.to_owned(), round(super::common::median(values)));
        }
        let messages = all.len();
        add_quantiles(&mut figures, "p", &mut all);
        (figures, messages)
    }

    /// The number of system calls a message, counted under the same load in a time of its own.
    fn count_calls(&self, miners: &mut Miners, processes: &[u32]) -> Option<f64> {
        if matches!(self.kind, Kind::Burst) || self.miners > MAX_COUNTED_MINERS {
            return None;
        }
        let counted = if self.is_sparse() { COUNTED_SPARSE } else { COUNTED };
        let time = COUNTER_START * 2 + counted;
        std::thread::scope(|scope| {
            let counter = scope.spawn(|| {
                std::thread::sleep(COUNTER_START / 2);
                proc::system_calls(processes, counted)
            });
            let load = self.load(miners, time, 0);
            let rate = 2.0 * load.delays.len() as f64 / time.as_secs_f64();
            counter.join().unwrap().map(|calls| round(calls / counted.as_secs_f64() / rate))
        })
    }
}

fn figures_of(mut load: Load) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::from([
        ("shares".to_owned(), load.delays.len() as f64),
        ("lost".to_owned(), load.lost as f64),
        ("refused".to_owned(), load.refused as f64),
        ("rate".to_owned(), (load.delays.len() as f64 / load.took.seconds()).round()),
    ]);
    add_quantiles(&mut figures, "p", &mut load.delays);
    add_quantiles(&mut figures, "late", &mut load.lateness);
    figures
}
