//! `sluice run`: forwards until it is stopped.

use std::io::{self, ErrorKind, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use super::data_dir_lock::DataDirLock;
use super::reload::Reload;
use super::service_status::ServiceStatus;
use super::signals::stop_on_signals;
use super::{CommandFailure, Options};
use crate::app::{App, AppOptions};
use crate::config::{Config, ConsoleReport};
use crate::net::inherited::InheritedSockets;
use crate::net::service_manager::ServiceManager;
use crate::status::console;
use crate::status::server::{HttpServer, PagePort};
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::count;
use crate::util::os_error::describe;
use crate::util::stop::Stop;
use crate::util::supervise;

/// Forwards until `stop` or a signal. Uses the sockets that the service manager has opened.
pub fn run(
    options: Options,
    config: Config,
    mut inherited: InheritedSockets,
    stop: Stop,
) -> Result<(), CommandFailure> {
    let manager = ServiceManager::from_environment();
    let reload_signals = stop_on_signals(&stop)?;
    let lock = DataDirLock::take(&config.data_dir).map_err(|why| vec![why])?;
    lock.keep_locked(&stop)?;
    // Opened before any part starts, so that a port in use is found first.
    let page = page_port(&config, &mut inherited)?;
    let app_options = AppOptions {
        record_to: Some(config.data_dir.clone()),
        uses_network: true,
        page,
        inherited,
        owns_process: true,
        ..AppOptions::default()
    };
    let mut app = App::prepare(&config, app_options, &stop)?;
    let is_refused = Arc::default();
    let reload = Reload {
        options,
        app: app.reloadable.clone(),
        manager: manager.clone(),
        is_refused: Arc::clone(&is_refused),
    };
    reload.start(reload_signals)?;
    for (index, upstream) in config.upstreams.iter().enumerate() {
        log::info!("pool #{} {upstream}", index + 1);
    }
    if let Some(address) = app.page_address() {
        log::info!("the page is at http://{address}/");
    }
    // Only now, when every part runs.
    app.accept()?;
    for address in app.addresses() {
        log::info!("miners can connect to {address}");
    }
    let (snapshots, page_hangs) = (app.snapshots.clone(), Box::new(app.page_check()));
    ServiceStatus { manager: manager.clone(), snapshots, page_hangs, is_refused }.start(&stop)?;
    while let Some(interval) = report_interval(config.report.console) {
        if stop.sleep(interval).is_err() {
            break;
        }
        report(&app.snapshots.newest());
    }
    stop.wait();
    manager.show("stopping; shares in flight still get their answers");
    manager.stopping();
    log::info!("Sluice forwards no new shares; shares in flight still get their answers");
    app.shut_down(report);
    service_failure()
}

/// Returns an error, and so exit code 1, if a service thread has failed and ended the program. systemd or the container
/// then restarts it.
pub(super) fn service_failure() -> Result<(), CommandFailure> {
    let Some(why) = supervise::failure() else { return Ok(()) };
    let text = format!("{why}; sluice could not go on without it. This is a bug in sluice: please report it");
    Err(CommandFailure::Environment(text.into()))
}

/// Opens the page's port. `None` if the page is off or can't be served.
///
/// # Errors
/// The address is in use or not this machine's: a fault of the configuration that is better reported at once.
fn page_port(config: &Config, inherited: &mut InheritedSockets) -> io::Result<Option<PagePort>> {
    match HttpServer::bind_or_inherit(&config.http, inherited) {
        Err(why) if !matches!(why.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable) => {
            log::error!("the page can't be served: {}; miners are not affected", describe(&why));
            Ok(None)
        }
        opened => opened,
    }
}

/// The interval of the console report; `None` for off.
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
