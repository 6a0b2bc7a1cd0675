//! A value that can be waited for.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// A value behind a lock, with a notification of each change.
#[derive(Debug, Default)]
pub(super) struct Observable<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Observable<T> {
    pub fn new(value: T) -> Observable<T> {
        Observable { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// Changes the value and wakes all waiting threads.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.value.lock());
        self.changed.notify_all();
        result
    }

    /// Reads the value.
    pub fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Waits until `done` holds, and says whether it did before the deadline.
    pub fn wait_until(&self, deadline: Instant, mut done: impl FnMut(&T) -> bool) -> bool {
        let mut value = self.value.lock();
        self.changed.wait_while_until(&mut value, |value| !done(value), deadline);
        done(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_change_wakes_who_waits_for_it() {
        let watched = Arc::new(Observable::new(0));
        let other = Arc::clone(&watched);
        let thread = std::thread::spawn(move || {
            other.wait_until(Instant::now() + Duration::from_secs(60), |value| *value == 2)
        });
        watched.update(|value| *value = 1);
        watched.update(|value| *value = 2);
        assert!(thread.join().unwrap());
        assert!(!watched.wait_until(Instant::now(), |value| *value == 3));
    }
}
