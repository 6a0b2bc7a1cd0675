//! The clock of the benchmark, in nanoseconds, and a timer that keeps to it.

use std::ops::{Add, Sub};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::clock_gettime;

/// A time of the steady clock, or the time between two of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl Nanos {
    pub fn now() -> Nanos {
        Nanos(Duration::from(clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap()).as_nanos() as u64)
    }

    pub fn micros(self) -> f64 {
        self.0 as f64 / 1e3
    }

    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Nanos {
        Nanos(duration.as_nanos() as u64)
    }
}

impl Add for Nanos {
    type Output = Nanos;

    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0 + other.0)
    }
}

impl Sub for Nanos {
    type Output = Nanos;

    fn sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

/// A timer for epoll. Unlike a time limit of `epoll_wait`, it is exact: the kernel does not round it up to milliseconds
/// and adds no slack.
pub struct Timer(TimerFd);

impl Timer {
    pub fn new() -> Timer {
        Timer(TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK).unwrap())
    }

    pub fn set(&self, at: Nanos) {
        // A time of zero would turn the timer off.
        let at = TimeSpec::from_duration(Duration::from_nanos(at.0.max(1)));
        self.0.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME).unwrap();
    }

    pub fn clear(&self) {
        // It fails if the timer has been set again in the meantime.
        let _ = self.0.wait();
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
