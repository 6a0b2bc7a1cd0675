//! The composition root: the only place that starts the program's parts and connects them. `run`, `demo`, tests and
//! benchmarks start the program here; [`AppOptions`] selects its optional parts.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;

use crate::analyzer::{
    self, Analyzer, Enforcement, ExternalUpdate, MAX_EVENTS, Setup, Snapshot, UpstreamNames,
};
use crate::clock::Clock;
use crate::config::{Config, DevicesRead, Mode};
use crate::devices::{self, DeviceConnection, DevicePorts};
use crate::net::inherited::InheritedSockets;
use crate::notify::Notifier;
use crate::pool_stats::PublishedStats;
use crate::proxy::aggregate::{self, Limits};
use crate::proxy::passthrough;
use crate::proxy::{Proxy, ProxyServer, enforcement};
use crate::record::Recorder;
use crate::reference::{ReferenceTimings, References, Tip};
use crate::status::daily_summary::daily_summary;
use crate::status::server::{HttpServer, PagePort};
use crate::status::snapshot::{ProgramInfo, RuntimeStatus, SnapshotSources, StatusSnapshot, StatusSnapshots};
use crate::status::web::{self, Changeable};
use crate::tap::TapMessage;
use crate::util::os_error::describe;
use crate::util::stop::Stop;
use crate::util::supervise;

/// The reason why the program could not start.
pub type AppError = Box<dyn Error + Send + Sync>;

/// The parts that are started beside the proxy and the analyzer. By default there are none: the program forwards and
/// analyses, writes no file and contacts only pools.
#[derive(Debug, Default)]
pub struct AppOptions {
    /// The directory for records.
    pub record_to: Option<PathBuf>,
    /// Contact the other machines that the configuration names: NTP servers, references, the pool's statistics API,
    /// and recipients of alerts. Devices are read in any case, if `devices.read` says so: they have called first.
    pub uses_network: bool,
    /// The clock, instead of one that follows the NTP servers.
    pub clock: Option<Clock>,
    /// The notifier, instead of one for the configured recipients.
    pub notifier: Option<Notifier>,
    /// The ports of the interfaces of devices, for simulations.
    pub device_ports: DevicePorts,
    /// The least time without a share before a device counts as stalled, for simulations.
    pub least_stall: Option<Duration>,
    /// The opened port of the page.
    pub page: Option<PagePort>,
    /// Sockets that the service manager has opened for miners.
    pub inherited: InheritedSockets,
    /// A queue for copies of the forwarded bytes, instead of the analyzer's.
    pub queue: Option<Sender<TapMessage>>,
    /// The limits of aggregate mode.
    pub limits: Limits,
    /// This is the only program of its process: the failure of an essential thread ends it in order, and restarts
    /// of threads, which are counted per process, raise an alert.
    pub owns_process: bool,
}

/// The running program.
#[derive(Debug)]
pub struct App {
    server: ProxyServer,
    /// `None` if analysis is off, or another queue gets the copies.
    analyzer: Option<Analyzer>,
    /// The status for page, JSON and metrics, at most a second old.
    pub snapshots: StatusSnapshots,
    page: Option<HttpServer>,
    notifier: Option<Notifier>,
    pub reloadable: Reloadable,
}

/// The parts that a reload changes.
#[derive(Debug, Clone)]
pub struct Reloadable {
    /// The configuration in effect.
    pub config: Arc<ArcSwap<Config>>,
    pub proxy: Arc<dyn Proxy>,
    /// The names of the upstreams in the analyzer.
    pub names: UpstreamNames,
    /// The analyzer's channel; `None` if analysis is off.
    pub to_analyzer: Option<Sender<ExternalUpdate>>,
}

impl App {
    /// Starts the program and accepts miners.
    ///
    /// # Errors
    /// A part can't be started: a port in use, an unreadable certificate, no threads.
    pub fn start(config: &Config, options: AppOptions, stop: &Stop) -> Result<App, AppError> {
        let mut app = App::prepare(config, options, stop)?;
        app.accept()?;
        Ok(app)
    }

    /// Starts every part. Miners can connect already, but are not accepted before [`App::accept`].
    ///
    /// # Errors
    /// The same as [`App::start`].
    pub fn prepare(config: &Config, mut options: AppOptions, stop: &Stop) -> Result<App, AppError> {
        if options.owns_process {
            supervise::end_program_through(stop);
        }
        let (to_enforcement, requests) = enforcement::channel();
        let (news, external_updates) = analyzer::external_updates();
        let page = options.page.take();
        let is_analyzed = config.analysis.enabled && options.queue.is_none();
        let (mut analyzer, mut to_analyzer) = (None, options.queue.take());
        let (mut notifier, mut pool_stats, mut clock) = (None, None, None);
        let (mut names, mut references) = (config.upstreams.iter().collect(), References::default());
        if is_analyzed {
            let mut setup = analyzer_setup(config, &mut options, stop)?;
            let on_mismatch = config.payout.on_mismatch;
            let on_wrong = config.chain.on_wrong;
            setup.enforcement = Some(Enforcement { on_mismatch, on_wrong, requests: to_enforcement });
            setup.external_updates = Some(external_updates);
            notifier = setup.notifier.clone();
            names = setup.upstreams.clone();
            clock = Some(setup.clock.clone());
            if options.uses_network {
                pool_stats = start_pool_stats(config, &setup, news.clone(), stop)?;
            }
            let (started, copies) = Analyzer::start(setup)?;
            (analyzer, to_analyzer) = (Some(started), Some(copies));
        }
        let server =
            ProxyServer::open(&config.listen, &mut options.inherited, stop, |own| match config.mode {
                Mode::Passthrough => passthrough::start(config, to_analyzer, own, stop),
                Mode::Aggregate => aggregate::start(config, options.limits, to_analyzer, own, stop),
            })?;
        let proxy = server.proxy.clone();
        enforcement::start(&proxy, requests, stop)?;
        if is_analyzed && options.uses_network {
            references = References::start(
                &config.references,
                &ReferenceTimings::default(),
                send_tips_to(news.clone()),
                stop,
            )?;
        }
        let to_rules = is_analyzed.then_some(news);
        let live_config = Arc::new(ArcSwap::from_pointee(config.clone()));
        let sources = SnapshotSources {
            proxy: proxy.clone(),
            analyzer: analyzer.as_ref().map(Analyzer::published),
            pool_stats,
            notifier: notifier.clone(),
            config: live_config.clone(),
            references,
            to_rules: to_rules.clone(),
        };
        let snapshots =
            StatusSnapshots::start(sources, ProgramInfo::new(config, server.addresses.clone()), stop)?;
        if let (Some(clock), DevicesRead::Connected) = (clock, config.devices.read) {
            let listening = server.addresses.iter().map(SocketAddr::port).collect();
            let ports = (listening, options.device_ports);
            start_devices(config, (ports, clock), to_rules.clone(), snapshots.clone(), stop)?;
        }
        if let Some(notifier) = &notifier {
            let page_url = config.http.page_url(page.as_ref().map(PagePort::address));
            let newest = snapshots.clone();
            notifier.connect(page_url, move || daily_summary(&newest.newest()));
        }
        let changeable = Changeable { proxy: Some(proxy.clone()), to_analyzer: to_rules.clone() };
        let handler = web::handler(snapshots.clone(), changeable);
        let page = page.and_then(|port| match port.serve(&config.http, handler, stop) {
            Ok(page) => Some(page),
            Err(why) => {
                log::error!("the page can't be served: {}; miners are not affected", describe(&why));
                None
            }
        });
        let reloadable = Reloadable { config: live_config, proxy, names, to_analyzer: to_rules };
        Ok(App { server, analyzer, snapshots, page, notifier, reloadable })
    }

    /// Begins to accept miners.
    ///
    /// # Errors
    /// A listener's thread can't be started.
    pub fn accept(&mut self) -> Result<(), AppError> {
        Ok(self.server.accept()?)
    }

    /// The addresses that miners can connect to. A configured port 0 is replaced by the assigned port.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.server.addresses
    }

    pub fn proxy(&self) -> &Arc<dyn Proxy> {
        &self.server.proxy
    }

    /// The address of the page, if there is one.
    pub fn page_address(&self) -> Option<SocketAddr> {
        self.page.as_ref().map(HttpServer::address)
    }

    /// A check whether the page's server hangs, which can be asked from another thread.
    pub fn page_check(&self) -> impl Fn() -> bool + Send + use<> {
        let check = self.page.as_ref().map(HttpServer::stuck_check);
        move || check.as_ref().is_some_and(|is_stuck| is_stuck())
    }

    /// The analyzer's results, at most a second old; empty without an analyzer.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.analyzer.as_ref().map(Analyzer::snapshot).unwrap_or_default()
    }

    /// Shuts the program down: closes the listeners, waits for the answers to shares in flight, analyses and records
    /// the rest of the queue, and sends the last alerts. Calls `report` with the final status, unless analysis is off.
    pub fn shut_down(self, report: impl FnOnce(&StatusSnapshot)) -> Arc<Snapshot> {
        let proxy = self.server.proxy.clone();
        // Taken first: pools' states change when their sessions end.
        let upstreams = proxy.stats().upstreams;
        if let Some(analyzer) = &self.analyzer {
            analyzer.keep_ended_sessions();
        }
        self.server.shut_down();
        if let Some(page) = self.page {
            page.shut_down();
        }
        let mut last = Arc::default();
        if let Some(analyzer) = self.analyzer {
            let status = self.snapshots.newest();
            last = analyzer.finish();
            // The miners that were connected until the end, and everything that was forwarded.
            let (sessions, volume) = (last.miners.len(), proxy.volume());
            let runtime = RuntimeStatus { sessions, upstreams, volume, ..status.runtime.clone() };
            report(&StatusSnapshot { snapshot: last.clone(), runtime, ..(*status).clone() });
        }
        // After the analyzer, so that its last alerts are sent too.
        if let Some(notifier) = self.notifier {
            notifier.finish();
        }
        last
    }
}

/// Starts the clock, the records and the notifier for the analyzer.
///
/// # Errors
/// One of them can't be started.
fn analyzer_setup(config: &Config, options: &mut AppOptions, stop: &Stop) -> io::Result<Setup> {
    let clock = match options.clock.take() {
        Some(clock) => clock,
        None if options.uses_network => Clock::start(&config.ntp, stop)?,
        None => Clock::system(),
    };
    let mut setup = Setup { clock, reports_restarts: options.owns_process, ..Setup::of(config) };
    setup.least_stall = options.least_stall.unwrap_or(setup.least_stall);
    if let Some(directory) = &options.record_to {
        let (recorder, saved) = Recorder::start(&config.record, directory, setup.clock.clone())?;
        (setup.recorder, setup.saved) = (Some(recorder), saved);
        setup.events = Recorder::newest_events(directory, MAX_EVENTS);
    }
    setup.notifier = match (options.notifier.take(), config.notify.as_slice()) {
        (Some(notifier), _) => Some(notifier),
        (None, recipients @ [_, ..]) if options.uses_network => Some(Notifier::start(recipients, stop)?),
        _ => None,
    };
    Ok(setup)
}

/// Starts the requests to the pool's statistics API, if one is configured.
fn start_pool_stats(
    config: &Config,
    setup: &Setup,
    to_analyzer: Sender<ExternalUpdate>,
    stop: &Stop,
) -> io::Result<Option<PublishedStats>> {
    let Some(stats) = &config.pool_stats else { return Ok(None) };
    // Dropped if the analyzer's channel is full: newer figures follow.
    let tell = move |figures| drop(to_analyzer.try_send(ExternalUpdate::PoolStats(figures)));
    PublishedStats::start(stats, setup.account.as_deref(), setup.clock.clone(), tell, stop).map(Some)
}

/// Starts to read the devices of the connected miners.
fn start_devices(
    config: &Config,
    ((listening, ports), clock): ((Vec<u16>, DevicePorts), Clock),
    to_analyzer: Option<Sender<ExternalUpdate>>,
    snapshots: StatusSnapshots,
    stop: &Stop,
) -> io::Result<()> {
    let connected = move || {
        let status = snapshots.newest();
        let stalled = status.snapshot.devices.iter().filter(|device| device.is_stalled);
        let stalled: Vec<IpAddr> = stalled.map(|device| device.address).collect();
        let miners = status.snapshot.miners.iter().map(|miner| DeviceConnection {
            address: miner.miner.ip(),
            worker: miner.worker.clone(),
            user_agent: miner.user_agent.clone(),
            is_stalled: stalled.contains(&miner.miner.ip().to_canonical()),
        });
        miners.collect()
    };
    let tell = move |report| {
        if let Some(to_analyzer) = &to_analyzer {
            // Dropped if the analyzer's channel is full: a newer reading follows.
            let _ = to_analyzer.try_send(ExternalUpdate::Device(Arc::new(report)));
        }
    };
    devices::start_reading((&config.devices, listening), ports, clock, connected, tell, stop)
}

/// Passes references' tips to the analyzer. Drops a tip if the channel is full: it is repeated.
fn send_tips_to(to_analyzer: Sender<ExternalUpdate>) -> impl Fn(Tip) + Clone + Send + 'static {
    move |tip| {
        if to_analyzer.try_send(ExternalUpdate::Tip(tip)).is_err() {
            log::debug!("the analyzer's channel is full; a reference's tip was dropped");
        }
    }
}

#[cfg(test)]
mod tests;
