//! `sluice demo`: a complete world on loopback. Two pools with real work, miners that really hash,
//! the proxy between them, and an outage on the way.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;

use super::CommandFailure;
use super::run::after_failure;
use super::signals::stop_on_signals;
use crate::analyzer::AnalyzerCounts;
use crate::app::{App, AppOptions};
use crate::config::{Config, FailoverConfig, HttpConfig, Mode, UpstreamConfig};
use crate::sim::{MinerModel, MinerOptions, MinerStats, PoolOptions, SimHashRate, SimMiner, SimPool};
use crate::status::server::{HttpServer, PagePort};
use crate::stratum::{Difficulty, Nbits};
use crate::util::plural::count;
use crate::util::stop::Stop;

/// An address whose key is public (BIP173's example), so that nobody takes the demo for earnings.
const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// Who mines. The rates are a real NerdMiner's, and for the others what does not burn a processor.
const MINERS: [(&str, MinerModel, f64); 5] = [
    ("nerd-1", MinerModel::NerdMiner, 300e3),
    ("nerd-2", MinerModel::NerdMiner, 250e3),
    ("nerd-3", MinerModel::NerdMiner, 60e3),
    ("bitaxe", MinerModel::Bitaxe, 300e3),
    ("laptop", MinerModel::Cpuminer, 200e3),
];

/// What the simulated pools ask for until a miner suggests something else: a share every 1.4 s at
/// 300 kH/s.
const POOL_DIFFICULTY: f64 = 0.0001;
/// The same for all of them together: a NerdMiner alone would find one in a minute.
const SHARED_DIFFICULTY: f64 = 0.004;
/// When the preferred pool goes away, and when it is back.
const OUTAGE: std::ops::Range<Duration> = Duration::from_secs(20)..Duration::from_secs(30);
const NEW_BLOCK: Duration = Duration::from_secs(45);
const TICK: Duration = Duration::from_millis(200);
const TABLE_INTERVAL: Duration = Duration::from_secs(15);
/// The network's target, as on mainnet in 2026.
const NBITS: Nbits = Nbits(0x1702_3a04);

/// The flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// End by itself after so many seconds [default: at Ctrl-C]
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Where the page is [default: 127.0.0.1:8080, or another port when that is taken; "" for off]
    #[arg(long, value_name = "ADDR")]
    http: Option<PageAddress>,
    /// Join all miners on one connection to the pool, which asks for more than they could do alone
    #[arg(long)]
    aggregate: bool,
}

/// An address to listen on; `None` for off.
#[derive(Debug, Clone, Copy)]
struct PageAddress(Option<SocketAddr>);

impl FromStr for PageAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<PageAddress, &'static str> {
        match text {
            "" => Ok(PageAddress(None)),
            text => text
                .parse()
                .map(|address| PageAddress(Some(address)))
                .map_err(|_| "it must be an address with a port, such as 127.0.0.1:8080"),
        }
    }
}

/// Shows the world until `stop`, a signal, or the time is over.
///
/// # Errors
/// When it could not start.
pub fn run(options: &DemoOptions, stop: Stop) -> Result<(), CommandFailure> {
    stop_on_signals(&stop).map_err(failure)?;
    let world = DemoWorld::start(options, &stop)?;
    let mut out = io::stdout().lock();
    // Nobody may be there to read it; then there is nothing to show.
    let shown = world.show(&mut out, options.seconds.map(Duration::from_secs), &stop);
    let ended = world.end(&mut out);
    match shown.and(ended) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failure(error)),
        _ => after_failure(),
    }
}

struct DemoWorld {
    pools: [SimPool; 2],
    miners: Vec<SimMiner>,
    app: App,
    address: SocketAddr,
    began: Instant,
}

impl DemoWorld {
    fn start(options: &DemoOptions, stop: &Stop) -> Result<DemoWorld, CommandFailure> {
        let difficulty = if options.aggregate { SHARED_DIFFICULTY } else { POOL_DIFFICULTY };
        let pools = [start_pool(1, difficulty)?, start_pool(2, difficulty)?];
        let config = configuration(&pools, options.aggregate);
        let parts = AppOptions { page: page_port(options)?, owns_process: true, ..AppOptions::default() };
        let app = App::start(&config, parts, stop).map_err(CommandFailure::Runtime)?;
        let address = app.addresses()[0];
        let mut miners = Vec::new();
        for (name, habit, rate) in MINERS {
            let mut options = MinerOptions::new(address, habit, format!("{ADDRESS}.{name}"));
            options.hash_rate_limit = Some(SimHashRate(rate));
            options.retry_wait = Some(Duration::from_millis(500));
            miners.push(SimMiner::start(options).map_err(failure)?);
        }
        Ok(DemoWorld { pools, miners, app, address, began: Instant::now() })
    }

    fn show(&self, out: &mut impl Write, seconds: Option<Duration>, stop: &Stop) -> io::Result<()> {
        self.introduce(out)?;
        let mut seen = vec![MinerStats::default(); self.miners.len()];
        let mut next_table = TABLE_INTERVAL;
        let (mut out_since, mut block_due) = (None, true);
        while stop.sleep(TICK).is_ok() && seconds.is_none_or(|seconds| self.began.elapsed() < seconds) {
            let now = self.began.elapsed();
            for (place, miner) in self.miners.iter().enumerate() {
                let stats = miner.stats();
                self.tell_news(out, MINERS[place].0, &seen[place], &stats)?;
                seen[place] = stats;
            }
            if out_since.is_none() && OUTAGE.contains(&now) {
                self.pools[0].stop();
                out_since = Some(now);
                self.say(out, "the first pool goes down: miners go on with the second")?;
            }
            if out_since.is_some() && now >= OUTAGE.end && self.pools[0].restart().is_ok() {
                out_since = None;
                self.say(out, "the first pool is back: the miners return to it")?;
            }
            if block_due && now >= NEW_BLOCK {
                block_due = false;
                self.pools.iter().for_each(SimPool::new_block);
                self.say(out, "the network has a new block: all miners get a clean job")?;
            }
            if now >= next_table {
                next_table += TABLE_INTERVAL;
                self.table(out)?;
            }
        }
        Ok(())
    }

    fn introduce(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "A world on this machine alone; Ctrl-C ends it.\n")?;
        writeln!(out, "  {} miners  {}", self.miners.len(), MINERS.map(|(name, _, _)| name).join(", "))?;
        writeln!(out, "  sluice    {}  (a miner of your own can come here, too)", self.address)?;
        writeln!(out, "  2 pools   {}, then {}", self.pools[0].addr(), self.pools[1].addr())?;
        if let Some(page) = self.app.page_address() {
            writeln!(out, "  the page  http://{page}/")?;
        }
        writeln!(out, "\nThe miners really hash, the pools judge every share by its hash.\n")?;
        out.flush()
    }

    fn tell_news(
        &self,
        out: &mut impl Write,
        name: &str,
        before: &MinerStats,
        now: &MinerStats,
    ) -> io::Result<()> {
        if now.connections > before.connections {
            self.say(out, &format!("{name:<7} connected"))?;
        }
        if now.accepted > before.accepted {
            let answered = now.round_trips.back().copied().unwrap_or_default();
            let text = format!(
                "{name:<7} share accepted in {:>7.2} ms  ({} so far, best {:.6})",
                answered.as_secs_f64() * 1e3,
                now.accepted,
                now.best_difficulty
            );
            self.say(out, &text)?;
        }
        if now.rejected > before.rejected {
            let reasons: Vec<&str> = now.reasons.keys().map(String::as_str).collect();
            self.say(out, &format!("{name:<7} share rejected: {}", reasons.join(", ")))?;
        }
        Ok(())
    }

    fn table(&self, out: &mut impl Write) -> io::Result<()> {
        let header = ("miner", "accepted", "rejected", "best", "difficulty", "reconnects");
        let (miner, accepted, rejected, best, difficulty, reconnects) = header;
        writeln!(
            out,
            "\n  {miner:<7} {accepted:>9} {rejected:>9} {best:>11} {difficulty:>11} {reconnects:>11}"
        )?;
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
        writeln!(out, "{}\n", delays(&self.app.summary()))?;
        out.flush()
    }

    /// Ends the proxy first, so that the last shares get their answers, then the rest; and adds up.
    fn end(self, out: &mut impl Write) -> io::Result<()> {
        self.say(out, "ending: shares in flight get their answers")?;
        let snapshot = self.app.shut_down(|_| ());
        for miner in &self.miners {
            miner.stop();
        }
        let told: u64 = self.miners.iter().map(|miner| miner.stats().accepted).sum();
        let accepted: u64 = self.pools.iter().map(|pool| pool.stats().accepted()).sum();
        for pool in &self.pools {
            pool.stop();
        }
        writeln!(out, "\n{}", delays(&snapshot.summary))?;
        writeln!(out, "  pools accepted {}, miners were told of {told}", count(accepted, "share"))?;
        out.flush()
    }

    fn say(&self, out: &mut impl Write, text: &str) -> io::Result<()> {
        let seconds = self.began.elapsed().as_secs();
        writeln!(out, "{:02}:{:02}  {text}", seconds / 60, seconds % 60)?;
        out.flush()
    }
}

fn delays(summary: &AnalyzerCounts) -> String {
    format!(
        "  {}; delay added by sluice: up {}; down {}",
        count(summary.messages_up + summary.messages_down, "message"),
        summary.latency_up,
        summary.latency_down
    )
}

fn start_pool(seed: u64, difficulty: f64) -> Result<SimPool, CommandFailure> {
    let mut options =
        PoolOptions::with_difficulty(difficulty).map_err(|why| CommandFailure::Runtime(why.into()))?;
    // NerdMiners suggest 0.00015; a pool that is made for them listens.
    options.follow_suggested_difficulty = false;
    options.refresh_interval = Some(Duration::from_secs(10));
    options.nbits = NBITS;
    options.seed = seed;
    SimPool::start(options).map_err(failure)
}

fn configuration(pools: &[SimPool; 2], is_aggregate: bool) -> Config {
    let upstreams = pools.iter().map(|pool| to_upstream(pool.addr())).collect();
    let mut config = Config::with_upstreams(upstreams);
    config.listen.stratum = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    if is_aggregate {
        config.mode = Mode::Aggregate;
        // As lively as the other world.
        config.vardiff.target = Duration::from_secs(2);
    }
    config.failover = FailoverConfig { failback_after: Duration::from_secs(5), ..config.failover };
    config
}

/// Opens the port of the page; `None` when the page is off.
fn page_port(options: &DemoOptions) -> Result<Option<PagePort>, CommandFailure> {
    let open = |listen| HttpServer::bind(&HttpConfig { listen, ..HttpConfig::default() });
    let usual = HttpConfig::default().listen;
    match options.http {
        Some(PageAddress(listen)) => open(listen),
        None => open(usual).or_else(|_| open(usual.map(|usual| SocketAddr::new(usual.ip(), 0)))),
    }
    .map_err(failure)
}

fn to_upstream(address: SocketAddr) -> UpstreamConfig {
    UpstreamConfig::new(address.ip().to_string(), address.port())
}

fn failure(why: io::Error) -> CommandFailure {
    CommandFailure::Runtime(why.into())
}
