//! A simple vardiff: enough to see a difficulty change, not to be imitated.

use std::time::Instant;

use super::options::SimVardiff;
use crate::stratum::Difficulty;

/// Shares after which the interval is checked.
const SHARES: u32 = 8;

/// Largest factor of a change.
const MAX_STEP: f64 = 4.0;

/// A connection's shares since its difficulty was last looked at.
#[derive(Debug)]
pub(super) struct ShareRate {
    since: Instant,
    shares: u32,
}

impl ShareRate {
    pub fn new(now: Instant) -> ShareRate {
        ShareRate { since: now, shares: 0 }
    }

    /// Counts a share, and gives the difficulty to change to when there is one.
    pub fn share(&mut self, vardiff: &SimVardiff, current: Difficulty, now: Instant) -> Option<Difficulty> {
        self.shares += 1;
        if self.shares < SHARES { None } else { self.retarget(vardiff, current, now) }
    }

    /// The easier difficulty for a connection that has been silent for several intervals.
    pub fn silence(&mut self, vardiff: &SimVardiff, current: Difficulty, now: Instant) -> Option<Difficulty> {
        let silent = now.duration_since(self.since) > vardiff.target * (4 * (self.shares + 1));
        if silent { self.retarget(vardiff, current, now) } else { None }
    }

    fn retarget(&mut self, vardiff: &SimVardiff, current: Difficulty, now: Instant) -> Option<Difficulty> {
        let interval = now.duration_since(self.since).as_secs_f64() / f64::from(self.shares.max(1));
        let factor = vardiff.target.as_secs_f64() / interval.max(1e-6);
        *self = ShareRate::new(now);
        let wanted = current.value() * factor.clamp(1.0 / MAX_STEP, MAX_STEP);
        let wanted = wanted.max(vardiff.min.value()).min(vardiff.max.value());
        let changes = !(0.7..1.4).contains(&(wanted / current.value()));
        if changes { Difficulty::new(wanted).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_follows_the_rate_within_its_limits() {
        let vardiff = SimVardiff {
            target: Duration::from_secs(10),
            min: Difficulty::new(0.5).unwrap(),
            max: Difficulty::new(100.0).unwrap(),
        };
        let mut now = Instant::now();
        let mut rate = ShareRate::new(now);
        let mut difficulty = Difficulty::ONE;
        for _ in 0..200 {
            now += Duration::from_millis(100);
            difficulty = rate.share(&vardiff, difficulty, now).unwrap_or(difficulty);
        }
        assert_eq!(difficulty.value(), 100.0);
        for _ in 0..20 {
            now += Duration::from_secs(1000);
            difficulty = rate.silence(&vardiff, difficulty, now).unwrap_or(difficulty);
        }
        assert_eq!(difficulty.value(), 0.5);
    }
}
