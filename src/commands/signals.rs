//! Signals of the system, as a [`Stop`].

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::stop::{Stop, Stopped};
use crate::thread::{SERVICE_STACK, spawn};

/// What the second Ctrl-C ends with, as a shell would report it.
const INTERRUPTED: i32 = 130;

/// SIGINT and SIGTERM stop; a second one ends the program on the spot. SIGHUP, which would end it,
/// does nothing but say so.
///
/// # Errors
/// When the handlers can't be set.
pub fn stop_on_signals(stop: &Stop) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let stop = stop.clone();
    spawn("signals", SERVICE_STACK, move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => log::info!("SIGHUP: this version reads its configuration at the start only"),
                _ if stop.is_stopped() => std::process::exit(INTERRUPTED),
                _ => {
                    log::info!("stopping; once more to stop at once");
                    stop.stop();
                }
            }
        }
        Ok::<(), Stopped>(())
    })?;
    Ok(())
}
