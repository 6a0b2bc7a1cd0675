//! The time that a pool has owed its first job.

use std::time::Duration;

/// The waiting time at one pool, over all its sessions. A NerdMiner without work reconnects within a minute, so the
/// time that its former session waited must count.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkOwed {
    waited: Duration,
    /// The time since a session last waited.
    idle: Duration,
}

impl WorkOwed {
    /// Adds a period of `elapsed` and returns the time waited so far. `is_waiting`: an accepted session waited for
    /// its first job. `got_job`: a session got a job, which ends the debt. After `limit` without a waiting session,
    /// earlier waiting does not count any more.
    pub fn pass(&mut self, elapsed: Duration, limit: Duration, is_waiting: bool, got_job: bool) -> Duration {
        if got_job {
            *self = WorkOwed::default();
        } else if is_waiting {
            self.waited += elapsed;
            self.idle = Duration::ZERO;
        } else {
            self.idle += elapsed;
            if self.idle >= limit {
                *self = WorkOwed::default();
            }
        }
        self.waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMIT: Duration = Duration::from_secs(75);

    #[test]
    fn reconnects_do_not_clear_the_debt_and_a_job_does() {
        let mut owed = WorkOwed::default();
        for _ in 0..3 {
            owed.pass(20 * SECOND, LIMIT, true, false);
            owed.pass(5 * SECOND, LIMIT, false, false);
        }
        assert_eq!(owed.pass(20 * SECOND, LIMIT, true, false), 80 * SECOND);
        assert_eq!(owed.pass(SECOND, LIMIT, true, true), Duration::ZERO);
    }

    #[test]
    fn what_was_waited_long_ago_does_not_count() {
        let mut owed = WorkOwed::default();
        owed.pass(60 * SECOND, LIMIT, true, false);
        assert_eq!(owed.pass(LIMIT, LIMIT, false, false), Duration::ZERO);
    }
}
