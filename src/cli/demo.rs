//! `sluice demo`: two simulated pools, miners that really hash, and the proxy between them, on loopback; and every half
//! minute something that Sluice is for.

mod device;
mod output;
mod story;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use self::device::{DEVICES, DemoDevice, STALLED, UNPLUGGED, open_interfaces};
use self::output::{Output, time};
use self::story::{Cue, Incident, Story};
use super::CommandFailure;
use super::data_dir_lock::DataDirLock;
use super::run::service_failure;
use super::signals::stop_on_signals;
use crate::analyzer::{AnalyzerCounts, Snapshot};
use crate::app::{App, AppError, AppOptions};
use crate::config::{Config, DevicesRead, HttpConfig, Mode, UpstreamConfig};
use crate::devices::DevicePorts;
use crate::sim::{Misbehaviour, PoolOptions, SimPool};
use crate::status::server::{HttpServer, PagePort};
use crate::stratum::{Difficulty, Nbits};
use crate::util::format::count;
use crate::util::os_error::describe;
use crate::util::stop::Stop;

/// The simulated pools' difficulty until a miner suggests another one: a share every 1.4 s at 150 kH/s.
const POOL_DIFFICULTY: f64 = 0.000_05;
/// The pools' difficulty in aggregate mode, for all miners together: a NerdMiner alone would find a share in a day.
const SHARED_DIFFICULTY: f64 = 0.000_8;
const TICK: Duration = Duration::from_millis(200);
/// The silence after which a device has stalled: usually 10 minutes.
const LEAST_STALL: Duration = Duration::from_secs(10);
const FIGURES_INTERVAL: Duration = Duration::from_secs(15);
/// The accepted shares that are printed one by one, and the rejected ones of a scene. The figures count the others.
const MAX_PRINTED_SHARES: u64 = 10;
const MAX_PRINTED_REJECTS: u64 = 5;
/// The network's target, as on mainnet in 2026; that of Bitcoin Cash; and one that the demo's miners meet every 5 s.
const BITCOIN: Nbits = Nbits(0x1702_3a04);
const BITCOIN_CASH: Nbits = Nbits(0x1801_3ce9);
const EASY_COIN: Nbits = Nbits(0x1e03_4150);

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
    /// Keep the records here, as `run` does [default: keep none]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
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
    let mut world = DemoWorld::start(options, &stop)?;
    let mut stdout = io::stdout().lock();
    let mut out = Output::new(&mut stdout, world.began);
    let mut story = Story::default();
    // If stdout is a closed pipe, the demo ends.
    let result = world.run(&mut out, &mut story, options.seconds.map(Duration::from_secs), &stop);
    let ended = world.shut_down(&mut out, &story);
    match result.and(ended) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => service_failure(),
    }
}

struct DemoWorld {
    pools: [SimPool; 2],
    devices: Vec<DemoDevice>,
    app: App,
    began: Instant,
    data_dir: Option<(PathBuf, DataDirLock)>,
    printed_shares: u64,
    /// The rejected shares that were printed in this scene.
    printed_rejects: u64,
    /// The blocks before the scene in which one is found.
    blocks_before: u64,
}

impl DemoWorld {
    fn start(options: &DemoOptions, stop: &Stop) -> Result<DemoWorld, CommandFailure> {
        let difficulty = if options.aggregate { SHARED_DIFFICULTY } else { POOL_DIFFICULTY };
        let pools = [start_pool(1, difficulty)?, start_pool(2, difficulty)?];
        let mut config = demo_config(&pools, options.aggregate);
        if let Some(dir) = &options.data_dir {
            // The page shows it.
            config.data_dir.clone_from(dir);
        }
        let data_dir = options.data_dir.as_ref().map(lock_data_dir).transpose()?;
        let mut interfaces = open_interfaces();
        let http = interfaces.first().map_or(0, |(_, device)| device.address().port());
        let app_options = AppOptions {
            device_ports: DevicePorts { http, cgminer: 0 },
            least_stall: Some(LEAST_STALL),
            page: page_port(options)?,
            record_to: options.data_dir.clone(),
            owns_process: true,
            ..AppOptions::default()
        };
        let app = App::start(&config, app_options, stop)?;
        let start = |(place, device)| {
            let own = interfaces.iter().position(|(of, _)| *of == place);
            let interface = own.map(|index| interfaces.swap_remove(index).1);
            DemoDevice::start(device, interface, app.addresses()[0])
        };
        let devices = DEVICES.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        let began = Instant::now();
        Ok(DemoWorld {
            pools,
            devices,
            app,
            began,
            data_dir,
            printed_shares: 0,
            printed_rejects: 0,
            blocks_before: 0,
        })
    }

    fn run(
        &mut self,
        out: &mut Output<'_, impl Write>,
        story: &mut Story,
        seconds: Option<Duration>,
        stop: &Stop,
    ) -> io::Result<()> {
        self.print_introduction(out)?;
        let mut next_figures = FIGURES_INTERVAL;
        while stop.sleep(TICK).is_ok() && seconds.is_none_or(|seconds| self.began.elapsed() < seconds) {
            let now = self.began.elapsed();
            self.print_miners(out)?;
            self.devices.iter_mut().for_each(DemoDevice::measure);
            let snapshot = self.app.snapshot();
            out.events(&snapshot.events)?;
            let has_block = blocks(&snapshot) > self.blocks_before;
            let is_over = story.running() == Some(Incident::BlockFound) && has_block;
            match story.cue(now, is_over) {
                Some(Cue::Begin(scene)) => {
                    out.happens(scene.at_begin)?;
                    (self.blocks_before, self.printed_rejects) = (blocks(&snapshot), 0);
                    self.begin(scene.incident)?;
                }
                Some(Cue::End(scene)) => {
                    out.happens(scene.at_end)?;
                    self.end(scene.incident)?;
                }
                None => {}
            }
            self.keep_pools_up(story.running());
            if now >= next_figures {
                next_figures += FIGURES_INTERVAL;
                out.figures(&snapshot)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, incident: Incident) -> io::Result<()> {
        let normal = Misbehaviour::default;
        match incident {
            Incident::StrangerPaid => self.misbehave(Misbehaviour { swap_payout_after: Some(0), ..normal() }),
            Incident::FirstPoolDown => self.pools[0].stop(),
            Incident::MinerUnplugged => self.devices[UNPLUGGED].switch_off(),
            Incident::NewBlock => self.pools.iter().for_each(SimPool::new_block),
            Incident::OtherCoin => self.misbehave(Misbehaviour { nbits: Some(BITCOIN_CASH), ..normal() }),
            Incident::BlockFound => self.misbehave(Misbehaviour { nbits: Some(EASY_COIN), ..normal() }),
            Incident::SilentPool => self.misbehave(Misbehaviour { silent: true, ..normal() }),
            Incident::GoodSharesRejected => {
                self.misbehave(Misbehaviour { reject_valid_shares: true, ..normal() });
            }
            Incident::NoPool => self.pools.iter().for_each(SimPool::stop),
            Incident::DeviceStalls => self.devices[STALLED].miner.set_stalled(true),
        }
        Ok(())
    }

    fn end(&mut self, incident: Incident) -> io::Result<()> {
        match incident {
            Incident::MinerUnplugged => self.devices[UNPLUGGED].switch_on()?,
            Incident::DeviceStalls => self.devices[STALLED].miner.set_stalled(false),
            // The pools listen again in the next round of `keep_pools_up`.
            Incident::NewBlock | Incident::FirstPoolDown | Incident::NoPool => {}
            Incident::BlockFound => {
                self.misbehave(Misbehaviour::default());
                self.pools.iter().for_each(SimPool::new_block);
            }
            Incident::StrangerPaid
            | Incident::OtherCoin
            | Incident::SilentPool
            | Incident::GoodSharesRejected => self.misbehave(Misbehaviour::default()),
        }
        Ok(())
    }

    /// Changes how the first pool behaves, from a new job on.
    fn misbehave(&self, how: Misbehaviour) {
        self.pools[0].set_misbehaviour(how);
        self.pools[0].refresh_job();
    }

    /// Restarts the pools that should run. If another program has the port for a moment, the next round does it.
    fn keep_pools_up(&self, running: Option<Incident>) {
        let down = match running {
            Some(Incident::NoPool) => 2,
            Some(Incident::FirstPoolDown) => 1,
            _ => 0,
        };
        for pool in &self.pools[down..] {
            let _ = pool.restart();
        }
    }

    fn print_introduction(&self, out: &mut Output<'_, impl Write>) -> io::Result<()> {
        out.plain("A simulation on this machine alone; Ctrl-C ends it.\n")?;
        let names = DEVICES.map(|(name, ..)| name).join(", ");
        out.plain(&format!("  {} miners  {names}", self.devices.len()))?;
        let address = self.app.addresses()[0];
        out.plain(&format!("  sluice    {address}  (you can connect a miner of your own, too)"))?;
        out.plain(&format!("  2 pools   {}, then {}", self.pools[0].addr(), self.pools[1].addr()))?;
        if let Some(page) = self.app.page_address() {
            out.plain(&format!("  the page  http://{page}/"))?;
        }
        if let Some((dir, _)) = &self.data_dir {
            out.plain(&format!("  records   {}", dir.display()))?;
        }
        out.plain(
            "\nEvery share is really hashed, and the pools check its hash. So the devices are slow: a Bitaxe\n\
             makes 600 kH/s here, not 1 TH/s, and a NerdMiner 60 H/s, not 60 kH/s.\n",
        )
    }

    /// Prints the miners' connections, the first accepted shares, and rejected ones.
    fn print_miners(&mut self, out: &mut Output<'_, impl Write>) -> io::Result<()> {
        for device in &mut self.devices {
            let now = device.miner.stats();
            let before = std::mem::replace(&mut device.printed, now.clone());
            // During an outage miners connect and are closed again and again.
            if now.difficulty.is_some() && now.connections > device.printed_connections {
                device.printed_connections = now.connections;
                let is_first = device.totals().reconnects() == 0;
                out.says(device.name, if is_first { "connected" } else { "connected again" })?;
            }
            if now.accepted > before.accepted && self.printed_shares < MAX_PRINTED_SHARES {
                self.printed_shares += 1;
                let millis = now.round_trips.back().map_or(0.0, |time| time.as_secs_f64() * 1e3);
                out.says(device.name, &format!("share accepted in {millis:.2} ms"))?;
                if self.printed_shares == MAX_PRINTED_SHARES {
                    out.says("", "(further accepted shares are only counted)")?;
                }
            }
            for (reason, count) in &now.reasons {
                let is_new = before.reasons.get(reason).is_none_or(|before| before < count);
                if is_new && self.printed_rejects < MAX_PRINTED_REJECTS {
                    self.printed_rejects += 1;
                    out.says(device.name, &format!("share rejected: {reason}"))?;
                }
            }
        }
        Ok(())
    }

    fn print_table(&self, out: &mut Output<'_, impl Write>) -> io::Result<()> {
        out.plain("\n  miner          accepted  rejected        best  difficulty  reconnects")?;
        for device in &self.devices {
            let totals = device.totals();
            out.plain(&format!(
                "  {:<13} {:>9} {:>9} {:>11.7} {:>11} {:>11}",
                device.name,
                totals.accepted,
                totals.rejected,
                totals.best_difficulty,
                device.miner.stats().difficulty.map_or(0.0, Difficulty::value),
                totals.reconnects()
            ))?;
        }
        Ok(())
    }

    /// Shuts down the proxy first, so that the last shares get their answers, then the rest. Prints the totals.
    fn shut_down(mut self, out: &mut Output<'_, impl Write>, story: &Story) -> io::Result<()> {
        out.happens("ending: shares in flight get their answers")?;
        self.print_table(out)?;
        let page = self.app.page_address();
        let snapshot = self.app.shut_down(|_| ());
        self.devices.iter_mut().for_each(DemoDevice::switch_off);
        let acknowledged: u64 = self.devices.iter().map(|device| device.totals().accepted).sum();
        let accepted = self.pools.iter().map(|pool| pool.stats().accepted()).sum();
        self.pools.iter().for_each(SimPool::stop);
        let accepted = count(accepted, "share");
        out.plain(&format!("\n  pools accepted {accepted}; miners received the answers to {acknowledged}"))?;
        print_delay(out, &snapshot.summary)?;
        if story.shown().is_empty() {
            return Ok(());
        }
        let seen = format!("In {} you have seen", time(self.began.elapsed()));
        out.plain(&format!("\n{seen:<54} which Sluice reported as"))?;
        for scene in story.shown() {
            let reported = match scene.rule {
                Some(rule) if out.has_raised(&snapshot, rule) => rule,
                Some(_) => "(not yet)",
                None => "stale shares, in the figures",
            };
            out.plain(&format!("  {:<52} {reported}", scene.title))?;
        }
        out.plain("\nWhat each of them means: docs/rules.md")?;
        match &self.data_dir {
            Some((dir, _)) => {
                let dir = dir.display();
                out.plain(&format!("The records: {dir}"))?;
                out.plain(&format!("A summary of them: sluice report {dir}"))?;
            }
            None => {
                out.plain("With --data-dir DIR the demo keeps its records: alerts, events, shares, blocks.")?
            }
        }
        if page.is_some() {
            out.plain("The page has had all of it under alerts and events while the demo ran.")?;
        }
        out.plain("With your own pool: sluice run --pool stratum+tcp://solo.ckpool.org:3333")
    }
}

fn blocks(snapshot: &Snapshot) -> u64 {
    snapshot.totals.as_ref().map_or(0, |totals| totals.blocks)
}

/// Creates the directory for records and locks it.
fn lock_data_dir(dir: &PathBuf) -> Result<(PathBuf, DataDirLock), CommandFailure> {
    let failed = |why: io::Error| vec![format!("--data-dir {}: {}", dir.display(), describe(&why))];
    std::fs::create_dir_all(dir).map_err(failed)?;
    let lock = DataDirLock::take(dir).map_err(|why| vec![why])?;
    Ok((dir.clone(), lock))
}

fn print_delay(out: &mut Output<'_, impl Write>, summary: &AnalyzerCounts) -> io::Result<()> {
    let messages = count(summary.messages_up + summary.messages_down, "message");
    out.plain(&format!("  {messages}; delay added by sluice:"))?;
    out.plain(&format!("    up    {}", summary.latency_up))?;
    out.plain(&format!("    down  {}", summary.latency_down))
}

fn start_pool(seed: u64, difficulty: f64) -> Result<SimPool, CommandFailure> {
    let mut options = PoolOptions::with_difficulty(difficulty).map_err(AppError::from)?;
    options.follow_suggested_difficulty = true;
    options.refresh_interval = Some(Duration::from_secs(10));
    options.nbits = BITCOIN;
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
    // Faster than usual, so that a scene does not last for minutes.
    config.failover.failback_after = Duration::from_secs(5);
    config.failover.silence_timeout = Duration::from_secs(10);
    config.rules.miner_gone_after = Some(Duration::from_secs(20));
    (config.devices.read, config.devices.interval) = (DevicesRead::Connected, Duration::from_secs(2));
    // All miners have one address, and all connect again when the line is down.
    config.ratelimit.max_connections_per_minute = 0;
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
