//! NTP time, beside the system's clock, which is never changed.
//!
//! A thread `ntp` asks several servers now and then (RFC 5905, the client's part of SNTP) and
//! keeps one number: how far the system's clock is off. Reading it is one atomic load. Without a
//! server in reach the system's clock is used as it is, and [`Clock::state`] says so.
//!
//! | file | what it is |
//! |---|---|
//! | `time` | a corrected point in time, and an offset |
//! | `query` | one question to one address, and what an answer must be like |
//! | `server` | one configured server: its name's addresses, its samples, its wish to be left alone |
//! | `lookup` | a name to addresses, with a deadline |
//! | `consensus` | several servers' answers to one offset |
//! | `keeper` | the thread: when to ask, when to ask again |

mod consensus;
mod keeper;
mod lookup;
mod query;
mod server;
mod time;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;

use crate::config::Ntp;
use crate::net::{Stamp, tls_words};
use crate::stop::Stop;

pub use keeper::Pace;
pub use time::{NtpTime, Offset};

/// The corrected clock. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

/// What is known of the time.
#[derive(Debug, Clone, PartialEq)]
pub enum ClockState {
    /// [`Clock::now`] is NTP time.
    Synchronised {
        offset: Offset,
        /// Half of the round trip behind the offset: an uneven way can falsify it by no more. The
        /// servers' own errors are not in it.
        error_bound: Duration,
        /// How many servers agreed.
        servers: usize,
        /// When they were last asked with success.
        at: NtpTime,
    },
    /// [`Clock::now`] is the system's clock.
    Unsynchronised {
        /// By the system's clock.
        since: NtpTime,
        why: Why,
    },
}

/// Why there is no NTP time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// No server is configured.
    Off,
    /// The first answers are not in yet.
    Starting,
    /// No server gave a usable answer; one sentence about each.
    NoAnswer(String),
    /// The servers contradict each other; what each says.
    Disagreement(String),
    /// The system's clock was set, so that the offset is of no use until the next answers.
    ClockSet,
}

impl Clock {
    /// Begins to ask the configured servers, and goes on until `stop`. Returns at once; an empty
    /// list needs no thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(ntp: &Ntp, stop: &Stop) -> io::Result<Clock> {
        Clock::start_with_pace(&ntp.servers, Pace::every(ntp.interval), stop)
    }

    /// As [`Clock::start`], with other times than the polite ones.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_with_pace(servers: &[String], pace: Pace, stop: &Stop) -> io::Result<Clock> {
        if servers.is_empty() {
            return Ok(Clock::system());
        }
        let clock = Clock::unsynchronised(Why::Starting);
        keeper::start(clock.clone(), servers, pace, stop)?;
        Ok(clock)
    }

    /// The system's clock, for `servers = []` and for tests.
    pub fn system() -> Clock {
        Clock::unsynchronised(Why::Off)
    }

    /// NTP time, or the system's while there is none.
    pub fn now(&self) -> NtpTime {
        self.correct(Stamp::now())
    }

    /// What a stamp of the system's clock, or of the kernel, is in NTP time.
    pub fn correct(&self, stamp: Stamp) -> NtpTime {
        NtpTime::from_stamp(stamp, self.offset().unwrap_or_default())
    }

    /// What [`Clock::correct`] adds; `None` while unsynchronised.
    pub fn offset(&self) -> Option<Offset> {
        match self.shared.offset_micros.load(Ordering::Relaxed) {
            NONE => None,
            micros => Some(Offset::from_micros(micros)),
        }
    }

    /// The whole of what is known. Takes a lock; for pages and alerts, not for every share.
    pub fn state(&self) -> ClockState {
        self.shared.lock().clone()
    }

    fn unsynchronised(why: Why) -> Clock {
        let since = NtpTime::from_stamp(Stamp::now(), Offset::default());
        let state = Mutex::new(ClockState::Unsynchronised { since, why });
        Clock { shared: Arc::new(Shared { offset_micros: AtomicI64::new(NONE), state }) }
    }

    fn set(&self, state: ClockState) {
        let mut current = self.shared.lock();
        let micros = match &state {
            ClockState::Synchronised { offset, .. } => offset.micros(),
            ClockState::Unsynchronised { .. } => NONE,
        };
        self.shared.offset_micros.store(micros, Ordering::Relaxed);
        let known = (micros != NONE).then(|| SignedDuration::from_micros(micros));
        tls_words::note_clock_error(known);
        *current = match (&*current, state) {
            // Another reason does not begin the time without synchronisation anew.
            (ClockState::Unsynchronised { since, .. }, ClockState::Unsynchronised { why, .. }) => {
                ClockState::Unsynchronised { since: *since, why }
            }
            (_, state) => state,
        };
    }
}

#[derive(Debug)]
struct Shared {
    /// A copy of the state's offset, or [`NONE`].
    offset_micros: AtomicI64,
    state: Mutex<ClockState>,
}

/// No offset; as one it would be 292 000 years.
const NONE: i64 = i64::MIN;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for ClockState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClockState::Synchronised { offset, error_bound, servers, .. } => {
                let bound = error_bound.as_secs_f64() * 1e3;
                write!(
                    f,
                    "the system's clock is to be corrected by {offset} ± {bound:.1} ms ({servers} NTP "
                )?;
                f.write_str(if *servers == 1 { "server)" } else { "servers)" })
            }
            ClockState::Unsynchronised { why, .. } => write!(f, "unsynchronised: {why}"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Off => f.write_str("no NTP server is configured"),
            Why::Starting => f.write_str("no NTP server has answered yet"),
            Why::NoAnswer(said) => write!(f, "no NTP server gave a usable answer ({said})"),
            Why::Disagreement(said) => write!(f, "the NTP servers contradict each other ({said})"),
            Why::ClockSet => f.write_str("the system's clock was set"),
        }
    }
}
