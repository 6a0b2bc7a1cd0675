//! `sluice demo`: two simulated pools, miners that really hash, and the proxy between them, on loopback; with an outage
//! of the first pool on the way.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;

use super::CommandFailure;
use super::run::service_failure;
use super::signals::stop_on_signals;
use crate::analyzer::AnalyzerCounts;
use crate::app::{App, AppError, AppOptions};
use crate::config::{Config, HttpConfig, Mode, UpstreamConfig};
use crate::sim::{MinerModel, MinerOptions, MinerStats, PoolOptions, SimHashRate, SimMiner, SimPool};
use crate::status::server::{HttpServer, PagePort};
use crate::stratum::{Difficulty, Nbits};
use crate::util::format::count;
use crate::util::stop::Stop;

/// The example address of BIP173, whose key is public: nobody can mistake the demo for earnings.
const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// The miners. NerdMiners have their real hash rates; the others have rates that do not load the processor.
const MINERS: [(&str, MinerModel, f64); 5] = [
    ("nerd-1", MinerModel::NerdMiner, 300e3),
    ("nerd-2", MinerModel::NerdMiner, 250e3),
    ("nerd-3", MinerModel::NerdMiner, 60e3),
    ("bitaxe", MinerModel::Bitaxe, 300e3),
    ("laptop", MinerModel::Cpuminer, 200e3),
];

/// The simulated pools' difficulty until a miner suggests another one: a share every 1.4 s at 300 kH/s.
const POOL_DIFFICULTY: f64 = 0.0001;
/// The pools' difficulty in aggregate mode, for all miners together: a NerdMiner alone would find a share a minute.
const SHARED_DIFFICULTY: f64 = 0.004;
/// When the first pool is down.
const OUTAGE: std::ops::Range<Duration> = Duration::from_secs(20)..Duration::from_secs(30);
const NEW_BLOCK: Duration = Duration::from_secs(45);
const TICK: Duration = Duration::from_millis(200);
const TABLE_INTERVAL: Duration = Duration::from_secs(15);
/// The network's target, as on mainnet in 2026.
const NBITS: Nbits = Nbits(0x1702_3a04);

/// The flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// End after this many seconds [default: at Ctrl-C]
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// The address of the page; "" for off [default: 127.0.0.1:8080, or another port if that is in use]
    #[arg(long, value_name = "ADDR", value_parser = parse_page_address)]
    http: Option<PageAddress>,
    /// Join all miners on one connection to the pool, at a difficulty too high for each alone
    #[arg(long)]
    aggregate: bool,
}

/// The address to listen on; `None` for off.
#[derive(Debug, Clone, Copy)]
struct PageAddress(Option<SocketAddr>);

fn parse_page_address(text: &str) -> Result<PageAddress, &'static str> {
    let address = if text.is_empty() { Ok(None) } else { text.parse().map(Some) };
    address.map(PageAddress).map_err(|_| "it must be an address with a port, such as 127.0.0.1:8080")
}

/// Runs the demo until `stop`, a signal, or the end of the time.
pub fn run(options: &DemoOptions, stop: Stop) -> Result<(), CommandFailure> {
    stop_on_signals(&stop)?;
    let world = DemoWorld::start(options, &stop)?;
    let mut out = io::stdout().lock();
    // If stdout is a closed pipe, the demo ends.
    let result = world.run(&mut out, options.seconds.map(Duration::from_secs), &stop);
    let ended = world.shut_down(&mut out);
    match result.and(ended) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => service_failure(),
    }
}

struct DemoWorld {
    pools: [SimPool; 2],
    miners: Vec<SimMiner>,
    app: App,
    began: Instant,
}

impl DemoWorld {
    fn start(options: &DemoOptions, stop: &Stop) -> Result<DemoWorld, CommandFailure> {
        let difficulty = if options.aggregate { SHARED_DIFFICULTY } else { POOL_DIFFICULTY };
        let pools = [start_pool(1, difficulty)?, start_pool(2, difficulty)?];
        let config = demo_config(&pools, options.aggregate);
        let app_options =
            AppOptions { page: page_port(options)?, owns_process: true, ..AppOptions::default() };
        let app = App::start(&config, app_options, stop)?;
        let mut miners = Vec::new();
        for (name, model, rate) in MINERS {
            let mut options = MinerOptions::new(app.addresses()[0], model, format!("{ADDRESS}.{name}"));
            options.hash_rate_limit = Some(SimHashRate(rate));
            options.retry_wait = Some(Duration::from_millis(500));
            miners.push(SimMiner::start(options)?);
        }
        Ok(DemoWorld { pools, miners, app, began: Instant::now() })
    }

    fn run(&self, out: &mut impl Write, seconds: Option<Duration>, stop: &Stop) -> io::Result<()> {
        self.print_introduction(out)?;
        let mut seen = vec![MinerStats::default(); self.miners.len()];
        let mut next_table = TABLE_INTERVAL;
        let (mut out_since, mut block_due) = (None, true);
        while stop.sleep(TICK).is_ok() && seconds.is_none_or(|seconds| self.began.elapsed() < seconds) {
            let now = self.began.elapsed();
            for (place, miner) in self.miners.iter().enumerate() {
                let stats = miner.stats();
                self.print_changes(out, MINERS[place].0, [&seen[place], &stats])?;
                seen[place] = stats;
            }
            if out_since.is_none() && OUTAGE.contains(&now) {
                self.pools[0].stop();
                out_since = Some(now);
                self.print(out, "the first pool goes down: the miners move to the second")?;
            }
            if out_since.is_some() && now >= OUTAGE.end && self.pools[0].restart().is_ok() {
                out_since = None;
                self.print(out, "the first pool is back: the miners return to it")?;
            }
            if block_due && now >= NEW_BLOCK {
                block_due = false;
                self.pools.iter().for_each(SimPool::new_block);
                self.print(out, "the network has a new block: all miners get a clean job")?;
            }
            if now >= next_table {
                next_table += TABLE_INTERVAL;
                self.print_table(out)?;
            }
        }
        Ok(())
    }

    fn print_introduction(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "A simulation on this machine alone; Ctrl-C ends it.\n")?;
        writeln!(out, "  {} miners  {}", self.miners.len(), MINERS.map(|(name, _, _)| name).join(", "))?;
        let address = self.app.addresses()[0];
        writeln!(out, "  sluice    {address}  (you can connect a miner of your own, too)")?;
        writeln!(out, "  2 pools   {}, then {}", self.pools[0].addr(), self.pools[1].addr())?;
        if let Some(page) = self.app.page_address() {
            writeln!(out, "  the page  http://{page}/")?;
        }
        writeln!(out, "\nThe miners really hash, and the pools check every share's hash.\n")?;
        out.flush()
    }

    fn print_changes(&self, out: &mut impl Write, name: &str, changed: [&MinerStats; 2]) -> io::Result<()> {
        let [before, now] = changed;
        if now.connections > before.connections {
            self.print(out, &format!("{name:<7} connected"))?;
        }
        if now.accepted > before.accepted {
            let millis = now.round_trips.back().map_or(0.0, |time| time.as_secs_f64() * 1e3);
            let (accepted, best) = (now.accepted, now.best_difficulty);
            self.print(
                out,
                &format!("{name:<7} share accepted in {millis:>7.2} ms  ({accepted} so far, best {best:.6})"),
            )?;
        }
        if now.rejected > before.rejected {
            let reasons: Vec<&str> = now.reasons.keys().map(String::as_str).collect();
            self.print(out, &format!("{name:<7} share rejected: {}", reasons.join(", ")))?;
        }
        Ok(())
    }

    fn print_table(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n  miner    accepted  rejected        best  difficulty  reconnects")?;
        for (place, miner) in self.miners.iter().enumerate() {
            let stats = miner.stats();
            writeln!(
                out,
                "  {:<7} {:>9} {:>9} {:>11.6} {:>11} {:>11}",
                MINERS[place].0,
                stats.accepted,
                stats.rejected,
                stats.best_difficulty,
                stats.difficulty.map_or(0.0, Difficulty::value),
                stats.reconnects
            )?;
        }
        writeln!(out, "{}\n", delay_summary(&self.app.snapshot().summary))?;
        out.flush()
    }

    /// Shuts down the proxy first, so that the last shares get their answers, then the rest. Prints the totals.
    fn shut_down(self, out: &mut impl Write) -> io::Result<()> {
        self.print(out, "ending: shares in flight get their answers")?;
        let snapshot = self.app.shut_down(|_| ());
        self.miners.iter().for_each(SimMiner::stop);
        let acknowledged: u64 = self.miners.iter().map(|miner| miner.stats().accepted).sum();
        let accepted = self.pools.iter().map(|pool| pool.stats().accepted()).sum();
        self.pools.iter().for_each(SimPool::stop);
        writeln!(out, "\n{}", delay_summary(&snapshot.summary))?;
        let accepted = count(accepted, "share");
        writeln!(out, "  pools accepted {accepted}; miners received the answers to {acknowledged}")?;
        out.flush()
    }

    fn print(&self, out: &mut impl Write, text: &str) -> io::Result<()> {
        let seconds = self.began.elapsed().as_secs();
        writeln!(out, "{:02}:{:02}  {text}", seconds / 60, seconds % 60)?;
        out.flush()
    }
}

fn delay_summary(summary: &AnalyzerCounts) -> String {
    format!(
        "  {}; delay added by sluice: up {}; down {}",
        count(summary.messages_up + summary.messages_down, "message"),
        summary.latency_up,
        summary.latency_down
    )
}

fn start_pool(seed: u64, difficulty: f64) -> Result<SimPool, CommandFailure> {
    let mut options = PoolOptions::with_difficulty(difficulty).map_err(AppError::from)?;
    // NerdMiners suggest 0.00015; the demo keeps its own difficulty.
    options.follow_suggested_difficulty = false;
    options.refresh_interval = Some(Duration::from_secs(10));
    options.nbits = NBITS;
    options.seed = seed;
    Ok(SimPool::start(options)?)
}

fn demo_config(pools: &[SimPool; 2], is_aggregate: bool) -> Config {
    let to_upstream = |pool: &SimPool| UpstreamConfig::new(pool.addr().ip().to_string(), pool.addr().port());
    let mut config = Config::with_upstreams(pools.iter().map(to_upstream).collect());
    config.listen.stratum = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    if is_aggregate {
        config.mode = Mode::Aggregate;
        // About as many shares as in passthrough mode.
        config.vardiff.target = Duration::from_secs(2);
    }
    config.failover.failback_after = Duration::from_secs(5);
    config
}

/// Opens the port of the page; `None` when the page is off.
fn page_port(options: &DemoOptions) -> io::Result<Option<PagePort>> {
    let open = |listen| HttpServer::bind(&HttpConfig { listen, ..HttpConfig::default() });
    let usual = HttpConfig::default().listen;
    match options.http {
        Some(PageAddress(listen)) => open(listen),
        None => open(usual).or_else(|_| open(usual.map(|usual| SocketAddr::new(usual.ip(), 0)))),
    }
}
