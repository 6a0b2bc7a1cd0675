//! Signals of the system, as a [`Stop`].

use std::io;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;
use crate::util::supervise::{OnPanic, service};

/// What the second Ctrl-C ends with, as a shell would report it.
const INTERRUPTED: i32 = 130;

/// SIGINT and SIGTERM stop; a second one ends the program on the spot. What is returned gets a word for
/// each SIGHUP; several at once are one.
///
/// # Errors
/// When the handlers can't be set.
pub fn stop_on_signals(stop: &Stop) -> io::Result<Receiver<()>> {
    let (hung_up, hang_ups) = bounded(1);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let stop = stop.clone();
    // Without it nobody could end the program in order.
    service("signals").on_panic(OnPanic::RestartThenEnd).start(move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => drop(hung_up.try_send(())),
                _ if stop.is_stopped() => std::process::exit(INTERRUPTED),
                _ => {
                    log::info!("stopping; once more to stop at once");
                    stop.stop();
                }
            }
            supervise::beat();
        }
        Ok::<(), Stopped>(())
    })?;
    Ok(hang_ups)
}
