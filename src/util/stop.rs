//! Shutdown as an ordinary error: whoever waits asks its [`Stop`], and unwinds with [`Stopped`]
//! through the same `?` as any other failure.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The program, or the part of it that owns this handle, is asked to end.
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
    /// Those that end with this one.
    children: Mutex<Vec<Weak<StopInner>>>,
}

impl Stop {
    /// A handle that nobody has stopped yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// For a part that may end before the whole does, and ends with it.
    pub fn child(&self) -> Stop {
        let child = Stop::new();
        let mut children = self.children();
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child.inner));
        drop(children);
        // After it is among them, so that an end meanwhile is not missed.
        if self.is_stopped() {
            child.stop();
        }
        child
    }

    /// Asks everybody who holds a clone, or a child's, to end. Idempotent.
    pub fn stop(&self) {
        *self.lock() = true;
        self.inner.changed.notify_all();
        let children = std::mem::take(&mut *self.children());
        for inner in children.iter().filter_map(Weak::upgrade) {
            Stop { inner }.stop();
        }
    }

    /// Whether [`Stop::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        *self.lock()
    }

    /// `Ok` until [`Stop::stop`] is called.
    ///
    /// # Errors
    /// Once it was called.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }

    /// Waits for `time`.
    ///
    /// # Errors
    /// At once when [`Stop::stop`] is called meanwhile.
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

    /// Waits without a limit.
    pub fn wait(&self) {
        let mut stopped = self.lock();
        while !*stopped {
            stopped = self.inner.changed.wait(stopped).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // A bool can't be left half-changed by a panic.
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
    fn sleep_ends_early_with_stopped() {
        let stop = Stop::new();
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.sleep(Duration::from_secs(3600)));
        stop.stop();
        assert_eq!(waiter.join().unwrap(), Err(Stopped));
        assert_eq!(stop.check(), Err(Stopped));
    }

    #[test]
    fn a_part_ends_with_the_whole_and_before_it() {
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
