//! `sluice run`: forwards until it is told to stop.

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::data_dir_lock::DataDirLock;
use super::reload::Reload;
use super::signals::stop_on_signals;
use super::{CommandFailure, Options};
use crate::app::{App, AppOptions};
use crate::config::{Config, ConsoleReport};
use crate::status::console;
use crate::status::server::{HttpServer, PagePort};
use crate::status::snapshot::StatusSnapshot;
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
    let hang_ups = stop_on_signals(&stop).map_err(runtime)?;
    let lock = DataDirLock::take(&config.data_dir).map_err(|why| CommandFailure::Environment(vec![why]))?;
    lock.keep(&stop).map_err(runtime)?;
    // Before anything runs, so that a port in use ends nothing that has begun.
    let port = page_port(&config).map_err(runtime)?;
    let parts = AppOptions {
        record_to: Some(config.data_dir.clone()),
        uses_network: true,
        page: port,
        owns_process: true,
        ..AppOptions::default()
    };
    let mut app = App::prepare(&config, parts, &stop).map_err(CommandFailure::Runtime)?;
    Reload { options, app: app.reloadable() }.start(hang_ups).map_err(runtime)?;
    for (place, upstream) in config.upstreams.iter().enumerate() {
        log::info!("pool #{} {upstream}", place + 1);
    }
    if let Some(address) = app.page_address() {
        log::info!("the page is at http://{address}/");
    }
    // Now that everything stands.
    app.accept().map_err(CommandFailure::Runtime)?;
    for address in app.addresses() {
        log::info!("miners can connect to {address}");
    }
    while let Some(interval) = report_interval(config.report.console) {
        if stop.sleep(interval).is_err() {
            break;
        }
        report(&app.snapshots().newest());
    }
    stop.wait();
    log::info!("no more shares are taken; those in flight get their answers");
    app.shut_down(report);
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
        Err(why) => {
            log::error!("there is no page: {}; miners are served all the same", describe(&why));
            Ok(None)
        }
    }
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

fn report(status: &StatusSnapshot) {
    if !status.program.config.analysis.enabled {
        let up = status.up_for.as_secs();
        let miners = count(status.runtime.sessions as u64, "miner");
        log::info!("up {up} s, {miners}; analysis is off");
    }
    for line in console::report(&status.snapshot, &status.runtime) {
        log::info!("{line}");
    }
}
