//! NTP time, beside the system's clock, which is never changed.
//!
//! A thread `ntp` asks several servers now and then (RFC 5905, the client's part of SNTP) and
//! keeps one number: how far the system's clock is off. When the system's clock is set, that number
//! is corrected by the same step before it is used again. Without a server in reach the system's
//! clock is used as it is, and [`Clock::state`] says so. NTP is not believed blindly either: if the
//! pools' jobs agree with the system's clock and not with NTP, the system's clock is used.
//!
//! | file | what it is |
//! |---|---|
//! | `time` | a corrected point in time, and an offset |
//! | `host` | this machine's two clocks, and whether the one was set |
//! | `witnesses` | the jobs' times, and who outvotes whom |
//! | `certainty` | whether the date is certain enough to delete files by |
//! | `query` | one question to one address, and what an answer must be like |
//! | `server` | one configured server: its name's addresses, its samples, its wish to be left alone |
//! | `lookup` | a name to addresses, with a deadline |
//! | `consensus` | several servers' answers to one offset |
//! | `keeper` | the thread: when to ask, when to ask again |

mod certainty;
mod host;
mod keeper;
mod median;
mod query;
mod resolve;
mod server;
mod time;
mod witnesses;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certainty::DateAgreement;
use jiff::SignedDuration;
use witnesses::{JobTimes, Vote};

use crate::config::NtpConfig;
use crate::net::{Stamp, tls_words};
use crate::util::plural::count;
use crate::util::stop::Stop;

pub use certainty::{DateCertainty, DateDoubt, MIN_AGREEMENT};
pub use host::{ClockReading, HostClocks};
pub use keeper::NtpSchedule;
pub use time::{NtpTime, Offset};
pub use witnesses::JobTime;

/// The corrected clock. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<ClockShared>,
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
        reason: UnsyncReason,
    },
}

/// Why there is no NTP time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsyncReason {
    /// No server is configured.
    Off,
    /// The first answers are not in yet.
    Starting,
    /// No server gave a usable answer; one sentence about each.
    NoAnswer(String),
    /// The servers contradict each other; what each says.
    Disagreement(String),
    /// The servers agree on a time that the system's clock and the jobs of so many pools contradict.
    Contradicted {
        /// What the servers say is to be added to the system's clock.
        ntp: Offset,
        pools: usize,
    },
    /// Without NTP: the jobs of so many pools agree on another time than the system's clock.
    Outvoted {
        /// What the jobs say is to be added to the system's clock.
        jobs: Offset,
        pools: usize,
    },
}

impl Clock {
    /// Begins to ask the configured servers, and goes on until `stop`. Returns at once; an empty
    /// list needs no thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(ntp: &NtpConfig, stop: &Stop) -> io::Result<Clock> {
        Clock::start_with_schedule(&ntp.servers, NtpSchedule::every(ntp.interval), stop)
    }

    /// As [`Clock::start`], with other times than the polite ones.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_with_schedule(servers: &[String], pace: NtpSchedule, stop: &Stop) -> io::Result<Clock> {
        Clock::start_on(HostClocks::default(), servers, pace, stop)
    }

    /// As [`Clock::start_with_pace`], on other clocks than this machine's.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_on(
        host: HostClocks,
        servers: &[String],
        pace: NtpSchedule,
        stop: &Stop,
    ) -> io::Result<Clock> {
        if servers.is_empty() {
            return Ok(Clock::unsynchronised(host, UnsyncReason::Off));
        }
        let clock = Clock::unsynchronised(host, UnsyncReason::Starting);
        keeper::start(clock.clone(), servers, pace, stop)?;
        Ok(clock)
    }

    /// The system's clock, for `servers = []` and for tests.
    pub fn system() -> Clock {
        Clock::unsynchronised(HostClocks::default(), UnsyncReason::Off)
    }

    /// NTP time, or the system's while there is none.
    pub fn now(&self) -> NtpTime {
        let now = self.reading();
        NtpTime::from_stamp(now.system, self.offset_at(&now).unwrap_or_default())
    }

    /// Converts a stamp of the system's clock, or of the kernel, to NTP time.
    pub fn correct(&self, stamp: Stamp) -> NtpTime {
        NtpTime::from_stamp(stamp, self.offset().unwrap_or_default())
    }

    /// What [`Clock::correct`] adds; `None` while unsynchronised.
    pub fn offset(&self) -> Option<Offset> {
        self.offset_at(&self.reading())
    }

    /// What is to be added to a stamp of the system's clock as that stood at `now`.
    pub fn offset_at(&self, now: &ClockReading) -> Option<Offset> {
        let known = self.shared.lock();
        let offset = known.ntp_at(now)?;
        (known.jobs.vote(Some(offset), now) == Vote::Undisputed).then_some(offset)
    }

    /// Reads the clocks that this one stands on.
    pub fn reading(&self) -> ClockReading {
        self.shared.host.read()
    }

    /// The whole of what is known. For pages and alerts, not for every share.
    pub fn state(&self) -> ClockState {
        let now = self.reading();
        let mut known = self.shared.lock();
        let ntp = known.ntp_at(&now);
        let vote = known.jobs.vote(ntp, &now);
        if !matches!(vote, Vote::AgainstNtp { .. }) {
            known.contradicted_since = None;
        }
        match (vote, &known.ntp, ntp) {
            (Vote::AgainstNtp { pools }, _, Some(ntp)) => {
                let system = NtpTime::from_stamp(now.system, Offset::default());
                let since = *known.contradicted_since.get_or_insert(system);
                ClockState::Unsynchronised { since, reason: UnsyncReason::Contradicted { ntp, pools } }
            }
            (Vote::AgainstSystem { ahead, pools }, ClockState::Unsynchronised { since, .. }, _) => {
                ClockState::Unsynchronised {
                    since: *since,
                    reason: UnsyncReason::Outvoted { jobs: ahead, pools },
                }
            }
            (_, ClockState::Synchronised { error_bound, servers, at, .. }, Some(offset)) => {
                let (error_bound, servers, at) = (*error_bound, *servers, *at);
                ClockState::Synchronised { offset, error_bound, servers, at }
            }
            (_, state, _) => state.clone(),
        }
    }

    /// Takes the time that a pool's job carries as a witness.
    /// A session's first job may have been made long ago, so it counts only while there is no other.
    pub fn job_time(&self, pool: &str, job: JobTime, now: &ClockReading) {
        self.shared.lock().jobs.record(pool, job, *now);
        self.note_error(now);
    }

    /// Whether the date is certain enough to delete files by. To be asked every few seconds: a
    /// disagreement that nobody has asked about is not noticed.
    pub fn date_certainty(&self) -> DateCertainty {
        let now = self.reading();
        let mut known = self.shared.lock();
        let verdict = known.confirm_day(&now);
        known.agreement.update(verdict, now.steady)
    }

    fn unsynchronised(host: HostClocks, why: UnsyncReason) -> Clock {
        let reading = host.read();
        let since = NtpTime::from_stamp(reading.system, Offset::default());
        let known = KnownTime {
            ntp: ClockState::Unsynchronised { since, reason: why },
            reading,
            contradicted_since: None,
            jobs: JobTimes::default(),
            agreement: DateAgreement::default(),
        };
        Clock { shared: Arc::new(ClockShared { host, known: Mutex::new(known) }) }
    }

    /// Tells what certificates are judged by how far the system's clock is off.
    fn note_error(&self, now: &ClockReading) {
        let known = self.offset_at(now);
        tls_words::note_clock_error(known.map(|offset| SignedDuration::from_micros(offset.micros())));
    }

    /// Whether the servers have given a time, believed or not.
    fn is_synchronised(&self) -> bool {
        matches!(self.shared.lock().ntp, ClockState::Synchronised { .. })
    }

    /// Takes the servers' result, whose offset is to the system's clock as it stood at `now`.
    fn set(&self, state: ClockState, now: ClockReading) {
        let mut known = self.shared.lock();
        known.reading = now;
        known.ntp = match (&known.ntp, state) {
            // Another reason does not begin the time without synchronisation anew.
            (ClockState::Unsynchronised { since, .. }, ClockState::Unsynchronised { reason: why, .. }) => {
                ClockState::Unsynchronised { since: *since, reason: why }
            }
            (_, state) => state,
        };
        drop(known);
        self.note_error(&now);
    }
}

#[derive(Debug)]
struct ClockShared {
    host: HostClocks,
    known: Mutex<KnownTime>,
}

#[derive(Debug)]
struct KnownTime {
    /// The servers' result.
    ntp: ClockState,
    /// The clocks when that result was taken.
    reading: ClockReading,
    /// By the system's clock; as of the last look at the state.
    contradicted_since: Option<NtpTime>,
    jobs: JobTimes,
    agreement: DateAgreement,
}

impl ClockShared {
    fn lock(&self) -> MutexGuard<'_, KnownTime> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownTime {
    /// What the servers say is to be added to the system's clock as it stands at `now`: that clock
    /// may have been set since they were asked.
    fn ntp_at(&self, now: &ClockReading) -> Option<Offset> {
        match &self.ntp {
            ClockState::Synchronised { offset, .. } => Some(offset.minus(now.step_since(&self.reading))),
            ClockState::Unsynchronised { .. } => None,
        }
    }

    /// Whether all three witnesses agree on the day. NTP that is switched off is none; NTP that does
    /// not answer could say anything, so it confirms nothing.
    fn confirm_day(&self, now: &ClockReading) -> Result<(), DateDoubt> {
        match (self.ntp_at(now), &self.ntp) {
            (Some(offset), _) if witnesses::is_same_day(offset) => {}
            (Some(offset), _) => {
                let ahead = offset.ahead_or_behind();
                return Err(DateDoubt::contradiction(format!("NTP's time is {ahead} this machine's clock")));
            }
            (None, ClockState::Unsynchronised { reason: UnsyncReason::Off, .. }) => {}
            (None, ClockState::Unsynchronised { reason: why @ UnsyncReason::Disagreement(_), .. }) => {
                return Err(DateDoubt::contradiction(why.to_string()));
            }
            (None, ClockState::Unsynchronised { reason: why, .. }) => {
                return Err(DateDoubt::missing(why.to_string()));
            }
            (None, ClockState::Synchronised { .. }) => {}
        }
        self.jobs.confirm_day(now)
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
            ClockState::Unsynchronised { reason: why, .. } => write!(f, "unsynchronised: {why}"),
        }
    }
}

impl fmt::Display for UnsyncReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnsyncReason::Off => f.write_str("no NTP server is configured"),
            UnsyncReason::Starting => f.write_str("no NTP server has answered yet"),
            UnsyncReason::NoAnswer(said) => write!(f, "no NTP server gave a usable answer ({said})"),
            UnsyncReason::Disagreement(said) => write!(f, "the NTP servers contradict each other ({said})"),
            UnsyncReason::Contradicted { ntp, pools } => {
                let jobs = jobs_of(*pools);
                let ahead = ntp.ahead_or_behind();
                write!(
                    f,
                    "NTP's time is {ahead} the system's clock, with which {jobs} agree: NTP is not believed"
                )
            }
            UnsyncReason::Outvoted { jobs, pools } => {
                write!(f, "{} are {} the system's clock", jobs_of(*pools), jobs.ahead_or_behind())
            }
        }
    }
}

fn jobs_of(pools: usize) -> String {
    format!("the jobs of {}", count(pools as u64, "pool"))
}
