//! SIGINT, SIGTERM and SIGHUP.

use std::io;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::util::stop::Stop;
use crate::util::supervise::{self, OnPanic, service};

/// The exit code after a second Ctrl-C, as a shell reports it.
const INTERRUPTED: i32 = 130;

/// Stops `stop` on SIGINT and SIGTERM; a second one ends the process at once. The returned channel gets a message for
/// each SIGHUP; several at the same time count as one.
///
/// # Errors
/// The handlers can't be set.
pub fn stop_on_signals(stop: &Stop) -> io::Result<Receiver<()>> {
    let (reload, reload_signals) = bounded(1);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let stop = stop.clone();
    // Without this thread the program could not be shut down in order.
    service("signals").on_panic(OnPanic::RestartThenEnd).start(move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => drop(reload.try_send(())),
                _ if stop.is_stopped() => std::process::exit(INTERRUPTED),
                _ => {
                    log::info!("stopping; a second signal ends sluice at once");
                    stop.stop();
                }
            }
            supervise::beat();
        }
    })?;
    Ok(reload_signals)
}
