//! The threads that send a job to thousands of miners together. A send does not wait for its miner: what it takes is a
//! processor's time, and the last miner gets its job after all others.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};

use parking_lot::{Condvar, Mutex};

use crate::net::sched::wake_first;
use crate::util::supervise::service;

/// Caps the threads that send one job. Each that wakes up takes a processor from other programs.
const MAX_SENDERS: usize = 4;
/// The fewest miners for which others are woken. So many are served in the time that a thread takes to wake up, twice.
const MIN_SHARED: usize = 32;
/// The miners that a thread takes at a time.
const STEP: usize = 4;

/// The threads that help, and what they help with.
#[derive(Debug)]
pub(crate) struct Senders {
    helpers: usize,
    state: Mutex<SendersState>,
    /// Notified of another broadcast, and of the end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SendersState {
    running: Vec<Arc<Broadcast>>,
    is_stopped: bool,
}

/// A call of `send` for each of `count` miners, in order, by all threads that have time.
struct Broadcast {
    count: usize,
    /// The first miner that no thread has taken.
    next: AtomicUsize,
    /// The number of miners that are not served yet.
    left: AtomicUsize,
    send: Box<dyn Fn(usize) + Send + Sync>,
    owner: Thread,
}

impl Senders {
    /// Starts as many threads as the machine has processors to spare.
    ///
    /// # Errors
    /// When there is no room for them.
    pub(crate) fn start() -> io::Result<Arc<Senders>> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let helpers = processors.min(MAX_SENDERS) - 1;
        let senders = Arc::new(Senders { helpers, state: Mutex::default(), changed: Condvar::new() });
        for number in 1..=helpers {
            let helping = senders.clone();
            service(format!("sender-{number}")).start(move || {
                wake_first();
                while let Some(broadcast) = helping.wait() {
                    broadcast.take_part();
                }
            })?;
        }
        Ok(senders)
    }

    /// Ends the threads. What is being sent is sent by the thread that it belongs to.
    pub(crate) fn stop(&self) {
        self.state.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Calls `send` for each number below `count`, and returns when all calls have returned. The numbers are begun in
    /// order, by several threads if there are many.
    pub(crate) fn each(&self, count: usize, send: impl Fn(usize) + Send + Sync + 'static) {
        if count < MIN_SHARED || self.helpers == 0 {
            return (0..count).for_each(send);
        }
        let broadcast = Arc::new(Broadcast {
            count,
            next: AtomicUsize::new(0),
            left: AtomicUsize::new(count),
            send: Box::new(send),
            owner: thread::current(),
        });
        self.state.lock().running.push(broadcast.clone());
        let running = RunningGuard { senders: self, broadcast: &broadcast };
        self.changed.notify_all();
        broadcast.take_part();
        drop(running);
        while broadcast.left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
    }

    /// Waits for a broadcast that needs help. `None` at the end.
    fn wait(&self) -> Option<Arc<Broadcast>> {
        let mut state = self.state.lock();
        loop {
            if state.is_stopped {
                return None;
            }
            if let Some(broadcast) = state.running.iter().find(|broadcast| broadcast.has_more()) {
                return Some(broadcast.clone());
            }
            self.changed.wait(&mut state);
        }
    }
}

impl Broadcast {
    fn has_more(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.count
    }

    /// Serves miners until other threads have taken the rest.
    fn take_part(&self) {
        loop {
            let first = self.next.fetch_add(STEP, Ordering::Relaxed);
            if first >= self.count {
                return;
            }
            let numbers = first..self.count.min(first + STEP);
            let _done = DoneGuard { broadcast: self, count: numbers.len() };
            numbers.for_each(&self.send);
        }
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broadcast({} of {} left)", self.left.load(Ordering::Relaxed), self.count)
    }
}

/// Takes a broadcast from the list, also when its owner panics.
struct RunningGuard<'a> {
    senders: &'a Senders,
    broadcast: &'a Arc<Broadcast>,
}

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        self.senders.state.lock().running.retain(|running| !Arc::ptr_eq(running, self.broadcast));
    }
}

/// Counts miners as done, also when a panic leaves some of them out: the owner does not wait for ever.
struct DoneGuard<'a> {
    broadcast: &'a Broadcast,
    count: usize,
}

impl Drop for DoneGuard<'_> {
    fn drop(&mut self) {
        if self.broadcast.left.fetch_sub(self.count, Ordering::AcqRel) == self.count {
            self.broadcast.owner.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn with_helpers(helpers: usize) -> Arc<Senders> {
        let senders = Arc::new(Senders { helpers, state: Mutex::default(), changed: Condvar::new() });
        for _ in 0..helpers {
            let helping = senders.clone();
            thread::spawn(move || {
                while let Some(broadcast) = helping.wait() {
                    broadcast.take_part();
                }
            });
        }
        senders
    }

    #[test]
    fn each_is_served_once_and_the_first_ones_first() {
        for helpers in [0, 1, 3] {
            let senders = with_helpers(helpers);
            for count in [0, 1, MIN_SHARED - 1, MIN_SHARED, 1001] {
                let (begun, order) = mpsc::channel();
                let begun = Mutex::new(begun);
                senders.each(count, move |number| begun.lock().send(number).unwrap());
                let order: Vec<usize> = order.try_iter().collect();
                // None is ahead by more than what the other threads have taken.
                let slack = helpers * STEP;
                assert!(order.iter().enumerate().all(|(index, number)| *number <= index + slack));
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert!(sorted.into_iter().eq(0..count));
            }
            assert!(senders.state.lock().running.is_empty());
            senders.stop();
        }
    }

    #[test]
    fn several_threads_take_part_and_a_slow_one_is_waited_for() {
        let senders = with_helpers(1);
        let served = Arc::new(AtomicUsize::new(0));
        let (counting, owner) = (served.clone(), thread::current().id());
        let (helping, helped) = mpsc::channel();
        let (helping, helped) = (Mutex::new(helping), Mutex::new(helped));
        senders.each(MIN_SHARED, move |_| {
            if thread::current().id() == owner {
                // It leaves some to the other one.
                let _ = helped.lock().recv_timeout(Duration::from_secs(20));
            } else {
                let _ = helping.lock().send(());
                thread::sleep(Duration::from_millis(5));
            }
            counting.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(served.load(Ordering::Relaxed), MIN_SHARED);
        senders.stop();
    }

    #[test]
    fn a_panic_of_one_thread_does_not_keep_the_owner_waiting() {
        let senders = with_helpers(1);
        let owner = thread::current().id();
        senders.each(1000, move |_| {
            assert_eq!(thread::current().id(), owner, "on purpose");
            thread::sleep(Duration::from_micros(10));
        });
        assert!(senders.state.lock().running.is_empty());
        senders.stop();
    }
}
