//! The times in the pools' jobs, as a third time source beside this machine's clock and the NTP
//! servers. Two that agree outvote the third.

use std::collections::BTreeMap;
use std::time::Duration;

use super::certainty::DateDoubt;
use super::host::ClockReading;
use super::time::Offset;

/// Tolerance within which time sources agree. Jobs are no more precise: a pool's clock may be a minute
/// off, and a job that is sent again is minutes old.
pub(super) const JOB_TOLERANCE: Duration = Duration::from_secs(600);

/// Tolerance for the date. No network accepts a block more than two hours ahead, and test networks'
/// pools date their jobs up to that far ahead.
const DAY_TOLERANCE: Duration = Duration::from_secs(2 * 3600);

/// Age from which a job is ignored.
const MAX_JOB_AGE: Duration = Duration::from_secs(24 * 3600);

/// A pool is in use if its newest job is at most this old.
const IN_USE_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// Caps the remembered pools. A configuration has a handful.
const MAX_POOLS: usize = 256;

/// Pools needed to outvote this machine's clock without NTP. With one pool, either may be wrong; two
/// pools are not wrong by the same amount.
const MIN_POOLS_AGAINST_SYSTEM: usize = 2;

/// The time in the newest job of each pool.
#[derive(Debug, Default)]
pub(super) struct JobTimes {
    pools: BTreeMap<String, NewestJobTime>,
}

/// The time in a job.
#[derive(Debug, Clone, Copy)]
pub struct JobTime {
    /// The job's time minus the system's clock when the job arrived.
    pub ahead: Offset,
    /// False for test networks, whose pools date their jobs ahead.
    pub is_exact: bool,
    /// The first job of a connection: some pools send a new miner an old job.
    pub is_first: bool,
}

#[derive(Debug, Clone, Copy)]
struct NewestJobTime {
    job: JobTime,
    reading: ClockReading,
}

/// The result of comparing the three time sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vote {
    /// No majority contradicts NTP, or the system's clock if there is no NTP.
    Undisputed,
    /// The system's clock and the jobs of `pools` pools agree, and NTP differs.
    AgainstNtp { pools: usize },
    /// There is no NTP, and the jobs of `pools` pools agree on another time than the system's clock.
    AgainstSystem { jobs_ahead: Offset, pools: usize },
}

impl JobTimes {
    /// Records the time of a pool's job that arrived at `reading`.
    pub fn record(&mut self, pool: &str, job: JobTime, reading: ClockReading) {
        let newest = NewestJobTime { job, reading };
        if let Some(known) = self.pools.get_mut(pool) {
            if !job.is_first || known.job.is_first {
                *known = newest;
            }
        } else if self.pools.len() < MAX_POOLS {
            self.pools.insert(pool.to_owned(), newest);
        }
    }

    /// Compares the time sources; `ntp` is the offset according to the servers.
    pub fn vote(&self, ntp: Option<Offset>, now: &ClockReading) -> Vote {
        let counts = |time: &&NewestJobTime| time.job.is_exact && time.age(now) <= MAX_JOB_AGE;
        let times: Vec<Offset> = self.pools.values().filter(counts).map(|time| time.ahead_at(now)).collect();
        let agreeing = |time: Offset| times.iter().filter(|job| job.is_within(JOB_TOLERANCE, time)).count();
        let for_system = agreeing(Offset::default());
        match ntp {
            Some(ntp) if !ntp.is_within(JOB_TOLERANCE, Offset::default()) && for_system > agreeing(ntp) => {
                Vote::AgainstNtp { pools: for_system }
            }
            Some(_) => Vote::Undisputed,
            None if for_system > 0 => Vote::Undisputed,
            None => {
                let best = times.iter().max_by_key(|time| agreeing(**time)).copied().unwrap_or_default();
                let pools = agreeing(best);
                let is_majority = pools >= MIN_POOLS_AGAINST_SYSTEM;
                if is_majority { Vote::AgainstSystem { jobs_ahead: best, pools } } else { Vote::Undisputed }
            }
        }
    }

    /// Checks that the pools in use agree with the system's clock on the day.
    ///
    /// # Errors
    /// The contradiction, or the lack of such a pool.
    pub fn confirm_day(&self, now: &ClockReading) -> Result<(), DateDoubt> {
        let mut in_use = self.pools.iter().filter(|(_, time)| time.age(now) <= IN_USE_WITHIN).peekable();
        if in_use.peek().is_none() {
            let hours = IN_USE_WITHIN.as_secs() / 3600;
            let reason = format!(
                "no pool has sent a job in the last {hours} hours, whose time would confirm this machine's clock"
            );
            return Err(DateDoubt { reason, is_contradiction: false });
        }
        let mut ahead = in_use.map(|(pool, time)| (pool, time.ahead_at(now)));
        let Some((pool, ahead)) = ahead.find(|(_, ahead)| !is_same_day(*ahead)) else { return Ok(()) };
        let reason = format!("the jobs of {pool} are {} this machine's clock", ahead.ahead_or_behind());
        Err(DateDoubt { reason, is_contradiction: true })
    }
}

impl NewestJobTime {
    fn age(&self, now: &ClockReading) -> Duration {
        now.steady.saturating_sub(self.reading.steady)
    }

    /// The job's offset, corrected if the system's clock was set since.
    fn ahead_at(&self, now: &ClockReading) -> Offset {
        self.job.ahead.minus(now.step_since(&self.reading))
    }
}

/// True if a clock with this offset shows the right date, within the tolerance.
pub(super) fn is_same_day(offset: Offset) -> bool {
    offset.is_within(DAY_TOLERANCE, Offset::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Stamp;

    const DAY: i64 = 86_400;

    fn reading(system: i64, steady: u64) -> ClockReading {
        let system = Stamp::from_nanos((1_790_000_000 + system) as u64 * 1_000_000_000);
        ClockReading { system, steady: Duration::from_secs(steady) }
    }

    fn seconds(seconds: i64) -> Offset {
        Offset::from_micros(seconds * 1_000_000)
    }

    fn job(ahead: i64, is_exact: bool) -> JobTime {
        JobTime { ahead: seconds(ahead), is_exact, is_first: false }
    }

    fn jobs(pools: &[(&str, i64)]) -> JobTimes {
        let mut times = JobTimes::default();
        for (pool, ahead) in pools {
            times.record(pool, job(*ahead, true), reading(0, 0));
        }
        times
    }

    #[test]
    fn two_that_agree_outvote_the_third() {
        let now = reading(60, 60);
        let lie = Some(seconds(100 * DAY));
        let against_ntp = |pools| Vote::AgainstNtp { pools };
        assert_eq!(jobs(&[("a", 5)]).vote(lie, &now), against_ntp(1));
        assert_eq!(jobs(&[("a", 5), ("b", -30), ("c", 9 * DAY)]).vote(lie, &now), against_ntp(2));
        // A machine that has just been switched on: NTP and the jobs are right.
        assert_eq!(jobs(&[("a", 100 * DAY)]).vote(lie, &now), Vote::Undisputed);
        // No two sources agree.
        assert_eq!(jobs(&[("a", 50 * DAY)]).vote(lie, &now), Vote::Undisputed);
        // The pool is wrong.
        assert_eq!(jobs(&[("a", 9 * DAY)]).vote(Some(seconds(1)), &now), Vote::Undisputed);
        // No jobs, or none that could tell.
        assert_eq!(jobs(&[]).vote(lie, &now), Vote::Undisputed);
        assert_eq!(jobs(&[("a", 500)]).vote(Some(seconds(900)), &now), Vote::Undisputed);
    }

    #[test]
    fn without_ntp_two_pools_outvote_the_system() {
        let now = reading(60, 60);
        assert_eq!(jobs(&[("a", 9 * DAY)]).vote(None, &now), Vote::Undisputed);
        let vote = jobs(&[("a", 9 * DAY), ("b", 9 * DAY + 60)]).vote(None, &now);
        assert!(matches!(vote, Vote::AgainstSystem { pools: 2, .. }), "{vote:?}");
        assert_eq!(jobs(&[("a", 9 * DAY), ("b", 5 * DAY)]).vote(None, &now), Vote::Undisputed);
        assert_eq!(jobs(&[("a", 9 * DAY), ("b", 9 * DAY), ("c", 0)]).vote(None, &now), Vote::Undisputed);
    }

    #[test]
    fn a_clock_that_is_set_moves_against_the_jobs() {
        let times = jobs(&[("a", 231 * DAY), ("b", 231 * DAY)]);
        let set = reading(231 * DAY + 60, 60);
        assert_eq!(times.vote(None, &set), Vote::Undisputed);
        assert_eq!(times.vote(Some(seconds(231 * DAY)), &set), Vote::AgainstNtp { pools: 2 });
        assert_eq!(times.confirm_day(&set), Ok(()));
    }

    #[test]
    fn the_day_is_confirmed_by_pools_in_use() {
        let now = reading(60, 60);
        assert_eq!(jobs(&[("a", 5)]).confirm_day(&now), Ok(()));
        assert!(jobs(&[]).confirm_day(&now).unwrap_err().reason.contains("no pool has sent a job"));
        let doubt = jobs(&[("a", 5), ("b", -100 * DAY)]).confirm_day(&now).unwrap_err();
        assert!(doubt.is_contradiction);
        assert_eq!(doubt.reason, "the jobs of b are 100 days behind this machine's clock");
        let late = reading(3 * 3600, 3 * 3600);
        assert!(jobs(&[("a", 5)]).confirm_day(&late).is_err());
        let mut testnet = JobTimes::default();
        testnet.record("a", job(3600, false), reading(0, 0));
        assert_eq!(testnet.confirm_day(&now), Ok(()));
        assert_eq!(testnet.vote(Some(seconds(100 * DAY)), &now), Vote::Undisputed);
    }

    #[test]
    fn a_connections_first_job_does_not_replace_a_later_one() {
        let mut times = jobs(&[("a", 5)]);
        times.record("a", JobTime { is_first: true, ..job(-5000, true) }, reading(0, 0));
        let lie = Some(seconds(100 * DAY));
        assert_eq!(times.vote(lie, &reading(0, 0)), Vote::AgainstNtp { pools: 1 });
    }

    #[test]
    fn the_pools_are_bounded() {
        let mut times = JobTimes::default();
        for number in 0..2 * MAX_POOLS {
            times.record(&number.to_string(), job(0, true), reading(0, 0));
        }
        assert_eq!(times.pools.len(), MAX_POOLS);
    }
}
