//! NTP time. The system's clock is never changed.
//!
//! The thread `ntp` queries several servers periodically (RFC 5905, the client's part of SNTP) and
//! keeps the offset of the system's clock. If the system's clock is set, the offset is corrected by
//! the same step. If no server can be reached, the system's clock is used as it is, and
//! [`Clock::state`] says so. NTP is not trusted blindly either: if the pools' jobs agree with the
//! system's clock and not with NTP, the system's clock is used.

mod certainty;
mod host;
mod job_times;
mod median;
mod poller;
mod query;
mod resolve;
mod server;
mod time;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use certainty::DateAgreement;
use jiff::SignedDuration;
use job_times::{JobTimes, Vote};
use parking_lot::Mutex;

use crate::config::NtpConfig;
use crate::net::{Stamp, tls_errors};
use crate::util::format::count;
use crate::util::stop::Stop;

pub use certainty::{DateCertainty, DateDoubt, MIN_AGREEMENT};
pub use host::{ClockReading, HostClocks};
pub use job_times::JobTime;
pub use poller::NtpSchedule;
pub use time::{NtpTime, Offset};

/// The corrected clock. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<ClockShared>,
}

/// The state of the clock.
#[derive(Debug, Clone, PartialEq)]
pub enum ClockState {
    /// [`Clock::now`] is NTP time.
    Synchronised {
        offset: Offset,
        /// Half of the round trip behind the offset, which bounds the error of an asymmetric path. The
        /// servers' own errors are not included.
        error_bound: Duration,
        /// Number of servers that agreed.
        servers: usize,
        /// When they last answered.
        at: NtpTime,
    },
    /// [`Clock::now`] is the system's clock.
    Unsynchronised {
        /// Measured by the system's clock.
        since: NtpTime,
        reason: UnsyncReason,
    },
}

/// The reason why there is no NTP time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsyncReason {
    /// No server is configured.
    Off,
    /// The servers have not answered yet.
    Starting,
    /// No server gave a usable answer; one sentence about each.
    NoAnswer(String),
    /// The servers contradict each other; has what each says.
    Disagreement(String),
    /// The servers agree, but the system's clock and the jobs of `pools` pools contradict them.
    Contradicted {
        /// The offset of the system's clock according to the servers.
        ntp: Offset,
        pools: usize,
    },
    /// There is no NTP, and the jobs of `pools` pools contradict the system's clock.
    Outvoted {
        /// The offset of the system's clock according to the jobs.
        jobs: Offset,
        pools: usize,
    },
}

impl Clock {
    /// Starts to query the configured servers until `stop`. Returns at once; an empty list needs no
    /// thread.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(ntp: &NtpConfig, stop: &Stop) -> io::Result<Clock> {
        Clock::start_on(HostClocks::default(), &ntp.servers, NtpSchedule::every(ntp.interval), stop)
    }

    /// Like [`Clock::start`], on simulated clocks and with another schedule.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start_on(
        host: HostClocks,
        servers: &[String],
        schedule: NtpSchedule,
        stop: &Stop,
    ) -> io::Result<Clock> {
        if servers.is_empty() {
            return Ok(Clock::unsynchronised(host, UnsyncReason::Off));
        }
        let clock = Clock::unsynchronised(host, UnsyncReason::Starting);
        poller::start(clock.clone(), servers, schedule, stop)?;
        Ok(clock)
    }

    /// The system's clock, for `servers = []` and for tests.
    pub fn system() -> Clock {
        Clock::unsynchronised(HostClocks::default(), UnsyncReason::Off)
    }

    /// NTP time, or the system's if there is none.
    pub fn now(&self) -> NtpTime {
        let now = self.reading();
        NtpTime::from_stamp(now.system, self.offset_at(&now).unwrap_or_default())
    }

    /// Converts a stamp of the system's clock, or of the kernel, to NTP time.
    pub fn correct(&self, stamp: Stamp) -> NtpTime {
        NtpTime::from_stamp(stamp, self.offset().unwrap_or_default())
    }

    /// The offset that [`Clock::correct`] adds; `None` while unsynchronised.
    pub fn offset(&self) -> Option<Offset> {
        self.offset_at(&self.reading())
    }

    /// The offset of the system's clock as it was at `now`.
    pub fn offset_at(&self, now: &ClockReading) -> Option<Offset> {
        let known = self.shared.known.lock();
        let offset = known.ntp_at(now)?;
        (known.jobs.vote(Some(offset), now) == Vote::Undisputed).then_some(offset)
    }

    /// Reads the underlying clocks.
    pub fn reading(&self) -> ClockReading {
        self.shared.host.read()
    }

    /// The whole state, for pages and alerts; too slow for every share.
    pub fn state(&self) -> ClockState {
        let now = self.reading();
        let mut known = self.shared.known.lock();
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
            (Vote::AgainstSystem { jobs_ahead, pools }, ClockState::Unsynchronised { since, .. }, _) => {
                let reason = UnsyncReason::Outvoted { jobs: jobs_ahead, pools };
                ClockState::Unsynchronised { since: *since, reason }
            }
            (_, ClockState::Synchronised { error_bound, servers, at, .. }, Some(offset)) => {
                let (error_bound, servers, at) = (*error_bound, *servers, *at);
                ClockState::Synchronised { offset, error_bound, servers, at }
            }
            (_, state, _) => state.clone(),
        }
    }

    /// Records the time in a pool's job as a time source. A session's first job may be old, so it counts
    /// only while there is no other.
    pub fn job_time(&self, pool: &str, job: JobTime, now: &ClockReading) {
        self.shared.known.lock().jobs.record(pool, job, *now);
        self.note_error(now);
    }

    /// The certainty of the date, which decides whether old files may be deleted. It must be called every few seconds, because
    /// a disagreement is only noticed by a call.
    pub fn date_certainty(&self) -> DateCertainty {
        let now = self.reading();
        let mut known = self.shared.known.lock();
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

    /// Passes the clock's error to the code that explains rejected certificates.
    fn note_error(&self, now: &ClockReading) {
        let known = self.offset_at(now);
        tls_errors::note_clock_error(known.map(|offset| SignedDuration::from_micros(offset.micros())));
    }

    /// True if the servers have given a time, trusted or not.
    fn is_synchronised(&self) -> bool {
        matches!(self.shared.known.lock().ntp, ClockState::Synchronised { .. })
    }

    /// Stores the servers' result. Its offset is relative to the system's clock at `now`.
    fn set(&self, state: ClockState, now: ClockReading) {
        let mut known = self.shared.known.lock();
        known.reading = now;
        known.ntp = match (&known.ntp, state) {
            // Another reason does not restart the time without synchronisation.
            (ClockState::Unsynchronised { since, .. }, ClockState::Unsynchronised { reason, .. }) => {
                ClockState::Unsynchronised { since: *since, reason }
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
    /// The clocks at the time of that result.
    reading: ClockReading,
    /// Measured by the system's clock; updated when the state is read.
    contradicted_since: Option<NtpTime>,
    jobs: JobTimes,
    agreement: DateAgreement,
}

impl KnownTime {
    /// The offset according to the servers, corrected if the system's clock was set since their answer.
    fn ntp_at(&self, now: &ClockReading) -> Option<Offset> {
        match &self.ntp {
            ClockState::Synchronised { offset, .. } => Some(offset.minus(now.step_since(&self.reading))),
            ClockState::Unsynchronised { .. } => None,
        }
    }

    /// Checks that all time sources agree on the day. NTP that is switched off does not count. NTP that does
    /// not answer makes the day doubtful.
    fn confirm_day(&self, now: &ClockReading) -> Result<(), DateDoubt> {
        match &self.ntp {
            ClockState::Synchronised { offset, .. } => {
                let offset = offset.minus(now.step_since(&self.reading));
                if !job_times::is_same_day(offset) {
                    let ahead = offset.ahead_or_behind();
                    let reason = format!("NTP's time is {ahead} this machine's clock");
                    return Err(DateDoubt { reason, is_contradiction: true });
                }
            }
            ClockState::Unsynchronised { reason: UnsyncReason::Off, .. } => {}
            ClockState::Unsynchronised { reason, .. } => {
                let is_contradiction = matches!(reason, UnsyncReason::Disagreement(_));
                return Err(DateDoubt { reason: reason.to_string(), is_contradiction });
            }
        }
        self.jobs.confirm_day(now)
    }
}

impl fmt::Display for ClockState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClockState::Synchronised { offset, error_bound, servers, .. } => {
                let bound = error_bound.as_secs_f64() * 1e3;
                let servers = count(*servers as u64, "NTP server");
                write!(f, "the system's clock is to be corrected by {offset} ± {bound:.1} ms ({servers})")
            }
            ClockState::Unsynchronised { reason, .. } => write!(f, "unsynchronised: {reason}"),
        }
    }
}

impl fmt::Display for UnsyncReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnsyncReason::Off => f.write_str("no NTP server is configured"),
            UnsyncReason::Starting => f.write_str("no NTP server has answered yet"),
            UnsyncReason::NoAnswer(reason) => write!(f, "no NTP server gave a usable answer ({reason})"),
            UnsyncReason::Disagreement(reason) => {
                write!(f, "the NTP servers contradict each other ({reason})")
            }
            UnsyncReason::Contradicted { ntp, pools } => {
                let (ahead, jobs) = (ntp.ahead_or_behind(), jobs_of(*pools));
                write!(
                    f,
                    "NTP's time is {ahead} the system's clock, with which {jobs} agree: NTP is not trusted"
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
