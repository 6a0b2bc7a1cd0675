//! The one place where threads are started: each has a name, a stack of a stated size, and its
//! end is logged when it ends with an error or a panic. A panic ends that thread only.

use std::any::Any;
use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use log::{debug, error, warn};

use super::stop::Stopped;

/// Stack of the many threads that carry sessions. They touch 16 KiB of it, with TLS up to 32; the
/// rest is address space only (measured by `SLUICE_STACKS=1 cargo bench --bench footprint`).
pub const SESSION_STACK: usize = 128 * 1024;

/// Stack of the few threads that do anything else (name resolution in libc alone wants 64 KiB).
pub const SERVICE_STACK: usize = 512 * 1024;

/// Whoever waits for the end of a thread looks at least this often.
const LONGEST_JOIN_PAUSE: Duration = Duration::from_millis(5);

/// Starts a thread named `name` (the kernel keeps the first 15 bytes, so the unique part comes
/// first) with `stack` bytes of stack. What it ends with is logged: an error as a warning, a
/// panic as an error. A clean stop ([`Stopped`]) is neither.
///
/// # Errors
/// When the system has no room for another thread.
pub fn spawn<F, E>(name: impl Into<String>, stack: usize, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() -> Result<(), E> + Send + 'static,
    E: Display + 'static,
{
    let name = name.into();
    Builder::new().name(name.clone()).stack_size(stack).spawn(move || {
        // The closure is not used after a panic, so nothing half-changed of its own is seen again;
        // what it shares with others is behind locks that recover from poison.
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => debug!("thread {name} ended"),
            Ok(Err(reason)) if is_stop(&reason) => debug!("thread {name} ended: {reason:#}"),
            Ok(Err(reason)) => warn!("thread {name} ended: {reason:#}"),
            Err(panic) => error!("thread {name} panicked: {}", panic_text(panic.as_ref())),
        }
    })
}

/// Waits until a thread has ended, for `limit` at most. `false`: it goes on, and is left to the end of the
/// process, so that one stuck thread does not keep the program from ending.
pub fn join_within(thread: JoinHandle<()>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(100);
    while !thread.is_finished() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_JOIN_PAUSE);
    }
    // Returns at once. A panic was caught and logged in the thread.
    let _ = thread.join();
    true
}

/// Whether the thread was asked to end, which is nothing to warn of.
fn is_stop(reason: &dyn Any) -> bool {
    let of_io = reason.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    reason.is::<Stopped>() || of_io.is_some_and(|inner| inner.is::<Stopped>())
}

/// What a panic said, for the log.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "(no text)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_does_not_leave_its_thread() {
        let thread = spawn("t-panic", SESSION_STACK, || -> Result<(), Stopped> {
            panic!("on purpose");
        });
        assert!(thread.unwrap().join().is_ok());
    }

    #[test]
    fn a_thread_that_does_not_end_is_not_waited_for() {
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let stuck = spawn("t-unending", SESSION_STACK, move || {
            let _ = released.recv();
            Ok::<(), Stopped>(())
        });
        assert!(!join_within(stuck.unwrap(), Duration::from_millis(10)));
        drop(release);
        let ending = spawn("t-ending", SESSION_STACK, || Ok::<(), Stopped>(()));
        assert!(join_within(ending.unwrap(), Duration::from_secs(20)));
    }

    #[test]
    fn the_thread_has_its_name() {
        let (name, seen) = crossbeam_channel::bounded(1);
        let thread = spawn("t-named", SESSION_STACK, move || {
            let _ = name.send(std::thread::current().name().map(String::from));
            Ok::<(), Stopped>(())
        });
        thread.unwrap().join().unwrap();
        assert_eq!(seen.recv().unwrap().as_deref(), Some("t-named"));
    }

    #[test]
    fn a_clean_stop_is_told_from_a_failure() {
        assert!(is_stop(&Stopped) && is_stop(&io::Error::other(Stopped)));
        assert!(!is_stop(&io::Error::other("stopped")) && !is_stop(&String::from("stopped")));
    }
}
