//! Shutdown as an ordinary error: code that waits checks its [`Stop`] and returns [`Stopped`] with the same `?` as
//! any other failure.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The error of an operation that was interrupted because the program, or this part of it, is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

/// A flag that can be waited for. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    inner: Arc<StopInner>,
}

#[derive(Debug, Default)]
struct StopInner {
    stopped: Mutex<bool>,
    changed: Condvar,
    /// The handles that are stopped together with this one.
    children: Mutex<Vec<Weak<StopInner>>>,
}

impl Stop {
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Creates a handle for a part that can be stopped alone, and is stopped together with the whole.
    pub fn child(&self) -> Stop {
        let child = Stop::new();
        let mut children = self.inner.children.lock();
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child.inner));
        drop(children);
        // Checked after the child was added, so that a stop in between is not missed.
        if self.is_stopped() {
            child.stop();
        }
        child
    }

    /// Stops all clones and all children. Idempotent.
    pub fn stop(&self) {
        *self.inner.stopped.lock() = true;
        self.inner.changed.notify_all();
        let children = std::mem::take(&mut *self.inner.children.lock());
        for inner in children.iter().filter_map(Weak::upgrade) {
            Stop { inner }.stop();
        }
    }

    pub fn is_stopped(&self) -> bool {
        *self.inner.stopped.lock()
    }

    /// Returns `Ok` until [`Stop::stop`] is called.
    ///
    /// # Errors
    /// [`Stopped`] from then on.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }

    /// Waits for `time`.
    ///
    /// # Errors
    /// [`Stopped`], at once, if [`Stop::stop`] was called or is called meanwhile.
    pub fn sleep(&self, time: Duration) -> Result<(), Stopped> {
        let mut stopped = self.inner.stopped.lock();
        self.inner.changed.wait_while_for(&mut stopped, |stopped| !*stopped, time);
        if *stopped { Err(Stopped) } else { Ok(()) }
    }

    /// Waits until [`Stop::stop`] is called.
    pub fn wait(&self) {
        let mut stopped = self.inner.stopped.lock();
        self.inner.changed.wait_while(&mut stopped, |stopped| !*stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_interrupts_sleep() {
        let stop = Stop::new();
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.sleep(Duration::from_secs(3600)));
        stop.stop();
        assert_eq!(waiter.join().unwrap(), Err(Stopped));
        assert_eq!(stop.check(), Err(Stopped));
    }

    #[test]
    fn a_child_stops_with_its_parent_and_can_stop_alone() {
        let whole = Stop::new();
        let (one, other) = (whole.child(), whole.child());
        one.stop();
        assert!(!whole.is_stopped() && !other.is_stopped());
        whole.stop();
        assert!(other.is_stopped() && whole.child().is_stopped());
    }

    #[test]
    fn sleep_without_stop_is_ok() {
        assert_eq!(Stop::new().sleep(Duration::from_millis(1)), Ok(()));
    }
}
