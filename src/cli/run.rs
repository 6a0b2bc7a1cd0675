//! `sluice run`: forwards until it is told to stop.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use super::data_dir_lock::DataDirLock;
use super::proxy::Proxy;
use super::reload::Reload;
use super::signals::stop_on_signals;
use super::{CommandFailure, Options};
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};

use crate::analyzer::{
    self, Analyzer, Enforcement, EnforcementRequest, Expectations, ExternalUpdate, Setup, UpstreamNames,
};
use crate::clock::Clock;
use crate::config::{Config, ConsoleReport, ForwardPath};
use crate::net::process;
use crate::notify::Notifier;
use crate::pool_stats::PublishedStats;
use crate::proxy::enforcement;
use crate::proxy::passthrough::{DESCRIPTORS_PER_PIPE, OWN_DESCRIPTORS, SOCKETS_PER_SESSION};
use crate::record::Recorder;
use crate::reference::{References, Tip};
use crate::status::console;
use crate::status::server::{HttpServer, PagePort};
use crate::status::snapshot::{FixedFacts, RuntimeStatus, Sources, StatusSnapshot, StatusSnapshots};
use crate::status::web;
use crate::util::os_error::describe;
use crate::util::plural::count;
use crate::util::stop::Stop;
use crate::util::supervise;

/// Forwards until `stop` or a signal.
///
/// # Errors
/// When it can't start: a port in use, an unreadable certificate, no threads.
pub fn run(options: Options, config: Config, stop: Stop) -> Result<(), CommandFailure> {
    let runtime = |why: io::Error| CommandFailure::Runtime(why.into());
    supervise::end_program_through(&stop);
    let hang_ups = stop_on_signals(&stop).map_err(runtime)?;
    check_descriptors(&config);
    let lock = DataDirLock::take(&config.data_dir).map_err(|why| CommandFailure::Environment(vec![why]))?;
    lock.keep(&stop).map_err(runtime)?;
    // Before anything runs, so that a port in use ends nothing that has begun.
    let port = page_port(&config).map_err(runtime)?;
    let (to_enforcement, offences) = enforcement::channel();
    let (news, outside) = analyzer::outside();
    let names: UpstreamNames = config.upstreams.iter().collect();
    let (mut notifier, mut pool_stats) = (None, None);
    let (analyzer, copies) = match config.analysis.enabled {
        true => {
            let setup = setup(&config, names.clone(), to_enforcement, outside, &stop).map_err(runtime)?;
            notifier = setup.notifier.clone();
            pool_stats = ask_the_pool(&config, &setup, news.clone(), &stop).map_err(runtime)?;
            let (analyzer, copies) = Analyzer::start(setup).map_err(runtime)?;
            (Some(analyzer), Some(copies))
        }
        false => (None, None),
    };
    let mut proxy =
        Proxy::prepare(&config, copies, &stop).map_err(|why| CommandFailure::Runtime(why.into()))?;
    let live = Arc::new(ArcSwap::from_pointee(config.clone()));
    let to_rules = config.analysis.enabled.then(|| news.clone());
    let reload = Reload { options, config: live.clone(), tuner: proxy.tuner(), names, news: to_rules };
    reload.start(hang_ups).map_err(runtime)?;
    proxy.enforce(offences).map_err(runtime)?;
    let references = match config.analysis.enabled {
        true => References::start(&config.references, tell(news), &stop).map_err(runtime)?,
        false => References::default(),
    };
    for (place, upstream) in config.upstreams.iter().enumerate() {
        log::info!("pool #{} {upstream}", place + 1);
    }
    let facts = FixedFacts::new(&config, proxy.addresses());
    let sources = Sources {
        observer: proxy.observer(),
        analyzer: analyzer.as_ref().map(Analyzer::published),
        pool_stats,
        notifier: notifier.clone(),
        config: Some(live),
        references,
    };
    let sights = StatusSnapshots::start(sources, facts, &stop).map_err(runtime)?;
    let handler = web::handler_with_controls(sights.clone(), proxy.observer());
    let page = port.and_then(|port| match port.serve(&config.http, handler, &stop) {
        Ok(page) => Some(page),
        Err(why) => no_page(&why),
    });
    if let Some(page) = &page {
        log::info!("the page is at http://{}/", page.address());
    }
    // Now that everything stands.
    proxy.accept().map_err(|why| CommandFailure::Runtime(why.into()))?;
    for address in proxy.addresses() {
        log::info!("miners can connect to {address}");
    }
    while let Some(interval) = report_interval(config.report.console) {
        if stop.sleep(interval).is_err() {
            break;
        }
        report(&sights.newest());
    }
    stop.wait();
    log::info!("no more shares are taken; those in flight get their answers");
    let (observer, upstreams) = (proxy.observer(), proxy.observer().upstreams());
    if let Some(analyzer) = &analyzer {
        analyzer.keep_those_who_leave();
    }
    proxy.shut_down();
    if let Some(page) = page {
        page.shut_down();
    }
    if let Some(analyzer) = analyzer {
        let (last, snapshot) = (sights.newest(), analyzer.finish());
        // The miners that were there until the end, and all that was forwarded.
        let sessions = snapshot.miners.len();
        let around = RuntimeStatus { sessions, upstreams, volume: observer.volume(), ..last.around.clone() };
        report(&StatusSnapshot { snapshot, around, ..(*last).clone() });
    }
    // After the analyzer, whose last alerts are to be told too.
    if let Some(notifier) = notifier {
        notifier.finish();
    }
    after_failure()
}

/// How the program ends: an error, and so exit code 1, when a thread that it can't do without has failed.
/// Whatever started it (systemd, a container) starts it again then.
pub(super) fn after_failure() -> Result<(), CommandFailure> {
    match supervise::failure() {
        None => Ok(()),
        Some(why) => Err(CommandFailure::Runtime(
            format!("{why}; sluice could not go on without it. This is a fault of sluice: please report it")
                .into(),
        )),
    }
}

/// Opens the page's port, if there is to be a page.
///
/// # Errors
/// A wrong address: that is the configuration's fault, and better heard of at once.
fn page_port(config: &Config) -> io::Result<Option<PagePort>> {
    match HttpServer::bind(&config.http) {
        Ok(port) => Ok(port),
        Err(why) if matches!(why.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => {
            Err(why)
        }
        Err(why) => Ok(no_page(&why)),
    }
}

fn no_page<T>(why: &io::Error) -> Option<T> {
    log::error!("there is no page: {}; miners are served all the same", describe(why));
    None
}

/// Hands a reference's news to the analyzer, or drops them: they come again.
fn tell(news: Sender<ExternalUpdate>) -> impl Fn(Tip) + Clone + Send + 'static {
    move |tip| {
        if news.try_send(ExternalUpdate::Tip(tip)).is_err() {
            log::debug!("the analyzer has no room for a reference's news");
        }
    }
}

/// The clock and the records that the analyzer works with.
fn setup(
    config: &Config,
    upstreams: UpstreamNames,
    offences: Sender<EnforcementRequest>,
    outside: Receiver<ExternalUpdate>,
    stop: &Stop,
) -> io::Result<Setup> {
    let clock = Clock::start(&config.ntp, stop)?;
    let (recorder, state, history) = Recorder::start(&config.record, &config.data_dir, clock.clone())?;
    let notifier = match config.notify.as_slice() {
        [] => None,
        recipients => Some(Notifier::start(recipients, stop)?),
    };
    Ok(Setup {
        analysis: config.analysis.clone(),
        expectations: Expectations::new(&config.payout, config.network),
        rules: config.rules.clone(),
        silence: config.failover.silence_timeout,
        first_job: config.failover.first_job_timeout,
        enforcement: Some(Enforcement {
            on_mismatch: config.payout.on_mismatch,
            on_wrong: config.chain.on_wrong,
            offences,
        }),
        clock,
        recorder: Some(recorder),
        notifier,
        state,
        history,
        upstreams,
        outside: Some(outside),
        reports_restarts: true,
        account: config.pool_stats.as_ref().and_then(|stats| stats.account(&config.payout)),
    })
}

/// Begins to ask the pool for its own figures, if it is to be asked.
fn ask_the_pool(
    config: &Config,
    setup: &Setup,
    to_rules: Sender<ExternalUpdate>,
    stop: &Stop,
) -> io::Result<Option<PublishedStats>> {
    let Some(stats) = &config.pool_stats else { return Ok(None) };
    // Those that find no room are followed by others.
    let tell = move |figures| drop(to_rules.try_send(ExternalUpdate::Figures(figures)));
    PublishedStats::start(stats, setup.account.as_deref(), setup.clock.clone(), tell, stop).map(Some)
}

/// How often the console has a report; `None`: never.
fn report_interval(setting: ConsoleReport) -> Option<Duration> {
    match setting {
        ConsoleReport::Auto if io::stderr().is_terminal() => Some(Duration::from_secs(30)),
        ConsoleReport::Auto => Some(Duration::from_secs(300)),
        ConsoleReport::Every(interval) => Some(interval),
        ConsoleReport::Off => None,
    }
}

fn report(sight: &StatusSnapshot) {
    if !sight.facts.config.analysis.enabled {
        let up = sight.up_for.as_secs();
        let miners = count(sight.around.sessions as u64, "miner");
        log::info!("up {up} s, {miners}; analysis is off");
    }
    for line in console::report(&sight.snapshot, &sight.around) {
        log::info!("{line}");
    }
}

/// A farm should hear at the start, not at the thousandth miner, that its limit is too low.
fn check_descriptors(config: &Config) {
    let pipes = match (config.forward.path, config.analysis.enabled) {
        (ForwardPath::Copy, _) => 0,
        (ForwardPath::Splice, false) => 2,
        (ForwardPath::Splice, true) => 4,
    };
    let session = SOCKETS_PER_SESSION + pipes * DESCRIPTORS_PER_PIPE;
    let wanted = OWN_DESCRIPTORS + session * config.listen.max_miners as u64;
    match process::raise_fd_limit() {
        Ok(limit) if limit < wanted => log::warn!(
            "this process may open {limit} files, but listen.max_miners = {} may need {wanted} ({session} a \
             miner): raise the limit (LimitNOFILE= in systemd, ulimit -Hn)",
            config.listen.max_miners
        ),
        Ok(_) => {}
        Err(why) => log::warn!("can't raise the limit of open files: {}", describe(&why)),
    }
}
