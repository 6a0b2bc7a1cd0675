//! The one place where threads are started. Each has a name and a stack of a stated size; an error or a panic that ends
//! it is logged. A panic ends that thread only.

use std::any::Any;
use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use log::{debug, error, warn};

use super::stop::Stopped;

/// The stack of session threads, of which there are many. They touch 16 KiB of it, with TLS up to 32; the rest is
/// address space only (measured by `cargo bench --bench stacks`).
pub const SESSION_STACK: usize = 128 * 1024;

/// The stack of the few other threads (name resolution in libc alone wants 64 KiB).
pub const SERVICE_STACK: usize = 512 * 1024;

/// The value that a thread's body returns: nothing, or a result whose error is logged.
pub trait ThreadEnd {
    type Error: Display + 'static;

    /// Makes it a result.
    ///
    /// # Errors
    /// The reason that the thread ends.
    fn into_result(self) -> Result<(), Self::Error>;
}

impl ThreadEnd for () {
    type Error = Stopped;
    fn into_result(self) -> Result<(), Stopped> {
        Ok(())
    }
}

impl<E: Display + 'static> ThreadEnd for Result<(), E> {
    type Error = E;
    fn into_result(self) -> Result<(), E> {
        self
    }
}

/// The longest pause between two checks whether a thread has ended.
const MAX_JOIN_PAUSE: Duration = Duration::from_millis(5);

/// Starts a thread named `name` (the kernel keeps the first 15 bytes, so the unique part comes
/// first) with `stack` bytes of stack. An error that ends it is logged as a warning, a panic as an error, a clean stop
/// ([`Stopped`]) as neither.
///
/// # Errors
/// The system can't start another thread.
pub fn spawn<E: ThreadEnd>(
    name: impl Into<String>,
    stack: usize,
    body: impl FnOnce() -> E + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let name = name.into();
    Builder::new().name(name.clone()).stack_size(stack).spawn(move || {
        // The closure is not used after a panic, so its half-changed state is not seen again. The state it shares with
        // others is behind locks, and each change under a lock is complete in itself.
        match catch_unwind(AssertUnwindSafe(body)).map(E::into_result) {
            Ok(Ok(())) => debug!("thread {name} ended"),
            Ok(Err(reason)) if is_stop(&reason) => debug!("thread {name} ended: {reason:#}"),
            Ok(Err(reason)) => warn!("thread {name} ended: {reason:#}"),
            Err(panic) => error!("thread {name} panicked: {}", panic_text(panic.as_ref())),
        }
    })
}

/// Waits until a thread has ended, for `limit` at most. Returns `false` if it still runs: it then ends with the process,
/// so that one stuck thread can't prevent the shutdown.
pub fn join_within(thread: JoinHandle<()>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(100);
    while !thread.is_finished() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(MAX_JOIN_PAUSE);
    }
    // Returns at once. A panic was caught and logged in the thread.
    let _ = thread.join();
    true
}

/// True if the thread ended because it was asked to, which is not a failure.
fn is_stop(reason: &dyn Any) -> bool {
    let of_io = reason.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    reason.is::<Stopped>() || of_io.is_some_and(|inner| inner.is::<Stopped>())
}

/// The message of a panic, for the log.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_its_thread_only() {
        let thread = spawn("t-panic", SESSION_STACK, || -> Result<(), Stopped> {
            panic!("on purpose");
        });
        assert!(thread.unwrap().join().is_ok());
    }

    #[test]
    fn join_within_gives_up_on_a_stuck_thread() {
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let stuck = spawn("t-unending", SESSION_STACK, move || {
            let _ = released.recv();
        });
        assert!(!join_within(stuck.unwrap(), Duration::from_millis(10)));
        drop(release);
        let ending = spawn("t-ending", SESSION_STACK, || {});
        assert!(join_within(ending.unwrap(), Duration::from_secs(20)));
    }

    #[test]
    fn the_thread_has_its_name() {
        let (name, seen) = crossbeam_channel::bounded(1);
        let thread = spawn("t-named", SESSION_STACK, move || {
            let _ = name.send(std::thread::current().name().map(String::from));
        });
        thread.unwrap().join().unwrap();
        assert_eq!(seen.recv().unwrap().as_deref(), Some("t-named"));
    }

    #[test]
    fn a_clean_stop_is_not_a_failure() {
        assert!(is_stop(&Stopped) && is_stop(&io::Error::other(Stopped)));
        assert!(!is_stop(&io::Error::other("stopped")) && !is_stop(&String::from("stopped")));
    }
}
