//! How long a pool has owed its first job. Pure; time is passed in.

use std::time::Duration;

/// One pool's debt, over all its sessions: a NerdMiner without work reconnects within a minute, and the
/// time that its former session waited counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkOwed {
    waited: Duration,
    /// How long nobody has waited now.
    idle: Duration,
}

impl WorkOwed {
    /// `elapsed` has passed, during which a session that the pool had accepted waited for its first job
    /// (`is_waiting`), or any session got a job (`got_job`). After `limit` without anybody who waits, what
    /// was waited before says nothing any more. Returns the time waited so far.
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
