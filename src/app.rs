//! The program: the only place that starts its parts and connects them. `run`, `demo`, tests and benchmarks
//! start it from here; [`AppOptions`] says which parts they leave out.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;

use crate::analyzer;
use crate::analyzer::{
    Analyzer, AnalyzerCounts, Enforcement, ExternalUpdate, Setup, Snapshot, UpstreamNames,
};
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::notify::Notifier;
use crate::pool_stats::PublishedStats;
use crate::proxy::aggregate;
use crate::proxy::aggregate::Limits;
use crate::proxy::passthrough;
use crate::proxy::{Proxy, ProxyServer, enforcement};
use crate::record::Recorder;
use crate::reference::{References, Tip};
use crate::status::server::{HttpServer, PagePort};
use crate::status::snapshot::{FixedFacts, RuntimeStatus, Sources, StatusSnapshot, StatusSnapshots};
use crate::status::web;
use crate::tap::TapMessage;
use crate::util::os_error::describe;
use crate::util::stop::Stop;
use crate::util::supervise;

/// Why the program could not start.
pub type AppError = Box<dyn Error + Send + Sync>;

/// The parts that are started beside the proxy and the analyzer. Without any of them the program forwards and
/// analyses, writes no file and talks to nobody but miners and pools.
#[derive(Debug, Default)]
pub struct AppOptions {
    /// The directory that records are written to.
    pub record_to: Option<PathBuf>,
    /// Whether other machines are asked and told, as far as the configuration names any: NTP servers, references,
    /// the pool's own figures, and recipients of alerts.
    pub uses_network: bool,
    /// The clock, instead of one that asks the NTP servers.
    pub clock: Option<Clock>,
    /// The notifier, instead of one for the configured recipients.
    pub notifier: Option<Notifier>,
    /// The port of the page, opened already.
    pub page: Option<PagePort>,
    /// The queue for copies of what is forwarded, instead of an analyzer's.
    pub queue: Option<Sender<TapMessage>>,
    /// The limits of aggregate mode.
    pub limits: Limits,
    /// Whether this is the only program of its process: a thread that it can't do without ends it in order, and
    /// restarts of threads, which are counted once in a process, raise an alert.
    pub owns_process: bool,
}

/// The running program.
#[derive(Debug)]
pub struct App {
    server: ProxyServer,
    /// `None` when analysis is off, or done elsewhere.
    analyzer: Option<Analyzer>,
    sights: StatusSnapshots,
    page: Option<HttpServer>,
    notifier: Option<Notifier>,
    reloadable: Reloadable,
}

/// The parts that a reload of the configuration changes.
#[derive(Debug, Clone)]
pub struct Reloadable {
    /// The configuration in effect.
    pub config: Arc<ArcSwap<Config>>,
    pub proxy: Arc<dyn Proxy>,
    /// The analyzer's names of the upstreams.
    pub names: UpstreamNames,
    /// The way to the analyzer; `None` when analysis is off.
    pub to_analyzer: Option<Sender<ExternalUpdate>>,
}

impl App {
    /// Starts the program and accepts miners.
    ///
    /// # Errors
    /// When a part can't be started: a port in use, an unreadable certificate, no threads.
    pub fn start(config: &Config, options: AppOptions, stop: &Stop) -> Result<App, AppError> {
        let mut app = App::prepare(config, options, stop)?;
        app.accept()?;
        Ok(app)
    }

    /// Starts every part. Miners can connect, and wait until [`App::accept`].
    ///
    /// # Errors
    /// As [`App::start`].
    pub fn prepare(config: &Config, mut options: AppOptions, stop: &Stop) -> Result<App, AppError> {
        if options.owns_process {
            supervise::end_program_through(stop);
        }
        let (to_enforcement, requests) = enforcement::channel();
        let (news, external_updates) = analyzer::external_updates();
        let page = options.page.take();
        let is_analyzed = config.analysis.enabled && options.queue.is_none();
        let (mut analyzer, mut to_analyzer) = (None, options.queue.take());
        let (mut notifier, mut pool_stats) = (None, None);
        let (mut names, mut references) = (config.upstreams.iter().collect(), References::default());
        if is_analyzed {
            let mut setup = analyzer_setup(config, &mut options, stop)?;
            let on_mismatch = config.payout.on_mismatch;
            let on_wrong = config.chain.on_wrong;
            setup.enforcement = Some(Enforcement { on_mismatch, on_wrong, requests: to_enforcement });
            setup.external_updates = Some(external_updates);
            notifier = setup.notifier.clone();
            names = setup.upstreams.clone();
            if options.uses_network {
                pool_stats = start_pool_stats(config, &setup, news.clone(), stop)?;
            }
            let (started, copies) = Analyzer::start(setup)?;
            (analyzer, to_analyzer) = (Some(started), Some(copies));
        }
        let server = ProxyServer::open(&config.listen, stop, |own| match config.mode {
            Mode::Passthrough => passthrough::start(config, to_analyzer, own, stop),
            Mode::Aggregate => aggregate::start(config, options.limits, to_analyzer, own, stop),
        })?;
        let proxy = server.proxy().clone();
        enforcement::start(&proxy, requests, stop)?;
        if is_analyzed && options.uses_network {
            references = References::start(&config.references, pass_tips_to(news.clone()), stop)?;
        }
        let to_rules = is_analyzed.then_some(news);
        let live = Arc::new(ArcSwap::from_pointee(config.clone()));
        let sources = Sources {
            proxy: proxy.clone(),
            analyzer: analyzer.as_ref().map(Analyzer::published),
            pool_stats,
            notifier: notifier.clone(),
            config: live.clone(),
            references,
            to_rules: to_rules.clone(),
        };
        let sights =
            StatusSnapshots::start(sources, FixedFacts::new(config, server.addresses().to_vec()), stop)?;
        let handler = web::handler_with_controls(sights.clone(), proxy.clone());
        let page = page.and_then(|port| match port.serve(&config.http, handler, stop) {
            Ok(page) => Some(page),
            Err(why) => {
                log::error!("there is no page: {}; miners are served all the same", describe(&why));
                None
            }
        });
        let reloadable = Reloadable { config: live, proxy, names, to_analyzer: to_rules };
        Ok(App { server, analyzer, sights, page, notifier, reloadable })
    }

    /// Begins to accept miners, once everything that they need is there.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn accept(&mut self) -> Result<(), AppError> {
        Ok(self.server.accept()?)
    }

    /// The addresses miners can connect to; ports that were configured as 0 have their number.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    pub fn proxy(&self) -> &Arc<dyn Proxy> {
        self.server.proxy()
    }

    /// The address of the page, if there is one.
    pub fn page_address(&self) -> Option<SocketAddr> {
        self.page.as_ref().map(HttpServer::address)
    }

    /// Everything that is shown, as of less than a second ago.
    pub fn sights(&self) -> &StatusSnapshots {
        &self.sights
    }

    /// The analyzer's findings as of less than a second ago; empty without one.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.analyzer.as_ref().map(Analyzer::snapshot).unwrap_or_default()
    }

    /// The analyzer's counts as of less than a second ago.
    pub fn summary(&self) -> AnalyzerCounts {
        self.snapshot().summary.clone()
    }

    pub fn reloadable(&self) -> Reloadable {
        self.reloadable.clone()
    }

    /// Ends the program: nobody is accepted any more, shares in flight get their answers, the rest of the queue
    /// is analysed and recorded, and the last alerts are sent. `report` gets the last figures as soon as there
    /// are any, unless analysis is off.
    pub fn shut_down(self, report: impl FnOnce(&StatusSnapshot)) -> Arc<Snapshot> {
        let proxy = self.server.proxy().clone();
        // Pools' states change when their sessions end.
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
            let sight = self.sights.newest();
            last = analyzer.finish();
            // The miners that were there until the end, and all that was forwarded.
            let (sessions, volume) = (last.miners.len(), proxy.volume());
            let around = RuntimeStatus { sessions, upstreams, volume, ..sight.around.clone() };
            report(&StatusSnapshot { snapshot: last.clone(), around, ..(*sight).clone() });
        }
        // After the analyzer, whose last alerts are to be told too.
        if let Some(notifier) = self.notifier {
            notifier.finish();
        }
        last
    }
}

/// The clock, records and notifier that the analyzer works with.
///
/// # Errors
/// When one of them can't be started.
fn analyzer_setup(config: &Config, options: &mut AppOptions, stop: &Stop) -> io::Result<Setup> {
    let clock = match options.clock.take() {
        Some(clock) => clock,
        None if options.uses_network => Clock::start(&config.ntp, stop)?,
        None => Clock::system(),
    };
    let mut setup = Setup { clock, reports_restarts: options.owns_process, ..Setup::of(config) };
    if let Some(directory) = &options.record_to {
        let (recorder, state, history) = Recorder::start(&config.record, directory, setup.clock.clone())?;
        (setup.recorder, setup.state, setup.history) = (Some(recorder), state, history);
    }
    setup.notifier = match (options.notifier.take(), config.notify.as_slice()) {
        (Some(notifier), _) => Some(notifier),
        (None, recipients @ [_, ..]) if options.uses_network => Some(Notifier::start(recipients, stop)?),
        _ => None,
    };
    Ok(setup)
}

/// Begins to ask the pool for its own figures, if one is configured.
fn start_pool_stats(
    config: &Config,
    setup: &Setup,
    to_analyzer: Sender<ExternalUpdate>,
    stop: &Stop,
) -> io::Result<Option<PublishedStats>> {
    let Some(stats) = &config.pool_stats else { return Ok(None) };
    // Figures that find no room are followed by others.
    let tell = move |figures| drop(to_analyzer.try_send(ExternalUpdate::PoolStats(figures)));
    PublishedStats::start(stats, setup.account.as_deref(), setup.clock.clone(), tell, stop).map(Some)
}

/// Passes a reference's tips to the analyzer, or drops them: others follow.
fn pass_tips_to(to_analyzer: Sender<ExternalUpdate>) -> impl Fn(Tip) + Clone + Send + 'static {
    move |tip| {
        if to_analyzer.try_send(ExternalUpdate::Tip(tip)).is_err() {
            log::debug!("the analyzer has no room for a reference's news");
        }
    }
}

#[cfg(test)]
mod tests;
