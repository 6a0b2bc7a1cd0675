//! Shutdown as an ordinary error: code that waits checks its [`Stop`] and returns [`Stopped`] with the same `?` as
//! any other failure.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

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
        let mut children = self.children();
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
        *self.lock() = true;
        self.inner.changed.notify_all();
        let children = std::mem::take(&mut *self.children());
        for inner in children.iter().filter_map(Weak::upgrade) {
            Stop { inner }.stop();
        }
    }

    pub fn is_stopped(&self) -> bool {
        *self.lock()
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
        let deadline = Instant::now() + time;
        let mut stopped = self.lock();
        while !*stopped {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            stopped =
                self.inner.changed.wait_timeout(stopped, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Err(Stopped)
    }

    /// Waits until [`Stop::stop`] is called.
    pub fn wait(&self) {
        let mut stopped = self.lock();
        while !*stopped {
            stopped = self.inner.changed.wait(stopped).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // A panic can't leave a bool half-changed.
        self.inner.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn children(&self) -> MutexGuard<'_, Vec<Weak<StopInner>>> {
        self.inner.children.lock().unwrap_or_else(PoisonError::into_inner)
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
