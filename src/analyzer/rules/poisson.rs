//! The statistics of the rules. Shares and blocks are found without memory, so their counts follow a Poisson
//! distribution and their gaps an exponential one.

use super::seconds_between;
use crate::clock::NtpTime;

/// The chance, for each check, below which a statistical rule raises an alert. A farm of 1,000 miners that are checked
/// once a minute has 5e8 checks a year: one false alarm in twenty years.
pub(super) const FALSE_ALARM_CHANCE: f64 = 1e-10;

/// An upper bound of the chance of `count` or more where `mean` are expected (Chernoff's bound).
pub(super) fn poisson_at_least(count: f64, mean: f64) -> f64 {
    if count <= mean || mean <= 0.0 {
        return 1.0;
    }
    (count - mean - count * (count / mean).ln()).exp()
}

/// An upper bound of the chance of `count` or fewer where `mean` are expected (Chernoff's bound). It also holds for sums of
/// parts of at most 1.
pub(super) fn poisson_at_most(count: f64, mean: f64) -> f64 {
    if count >= mean || mean <= 0.0 || count.is_nan() || mean.is_nan() {
        return 1.0;
    }
    let part = if count > 0.0 { count * (count / mean).ln() } else { 0.0 };
    (count - mean - part).exp()
}

/// The gap that is as likely as [`FALSE_ALARM_CHANCE`] after `count` events in `seconds`. The rate itself is known only
/// from these events, and (1 + gap / seconds)^-count is exact for that.
pub(in super::super) fn longest_gap(count: f64, seconds: f64) -> f64 {
    if count <= 0.0 { f64::INFINITY } else { seconds * (FALSE_ALARM_CHANCE.powf(-1.0 / count) - 1.0) }
}

/// A count that decays: an event that is `lasting` seconds old counts for 1/e.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DecayingCount {
    value: f64,
    at: Option<NtpTime>,
}

impl DecayingCount {
    pub(super) fn add(&mut self, at: NtpTime, lasting: f64) -> f64 {
        self.value = self.value(at, lasting) + 1.0;
        self.at = Some(at);
        self.value
    }

    pub(super) fn value(&self, at: NtpTime, lasting: f64) -> f64 {
        let Some(last) = self.at else { return 0.0 };
        self.value * (-seconds_between(last, at).max(0.0) / lasting).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_above_the_truth_and_falls() {
        assert_eq!(poisson_at_least(3.0, 5.0), 1.0);
        // P(X >= 10 | 2) is 4.65e-5, P(X >= 30 | 5) is 5.7e-14.
        let (ten, thirty) = (poisson_at_least(10.0, 2.0), poisson_at_least(30.0, 5.0));
        assert!((4.65e-5..1e-3).contains(&ten), "{ten}");
        assert!((5.7e-14..1e-11).contains(&thirty), "{thirty}");
    }

    #[test]
    fn the_bound_on_few_is_above_the_truth_too() {
        assert_eq!(
            (poisson_at_most(5.0, 3.0), poisson_at_most(0.0, 0.0), poisson_at_most(f64::NAN, 1.0)),
            (1.0, 1.0, 1.0)
        );
        // P(X <= 0 | 23) is 1.0e-10, P(X <= 5 | 30) is 2.3e-8.
        let (none, five) = (poisson_at_most(0.0, 23.0), poisson_at_most(5.0, 30.0));
        assert!((1.0e-10..1.1e-10).contains(&none) && (2.3e-8..1e-6).contains(&five), "{none} {five}");
    }

    #[test]
    fn a_gap_is_judged_by_what_is_known() {
        assert_eq!(longest_gap(0.0, 3600.0), f64::INFINITY);
        // With many events: exp(-23) is the chance. With five: a hundred times their time.
        assert!((22.9..23.8).contains(&longest_gap(1000.0, 1000.0)));
        assert!((98.9..99.1).contains(&longest_gap(5.0, 1.0)));
    }

    #[test]
    fn a_count_fades() {
        let at = |seconds| NtpTime::from_timestamp(jiff::Timestamp::from_second(seconds).unwrap());
        let mut count = DecayingCount::default();
        assert_eq!(count.value(at(0), 60.0), 0.0);
        count.add(at(0), 60.0);
        assert!((count.add(at(60), 60.0) - 1.3679).abs() < 1e-3);
        // A clock that is set back makes nothing grow.
        assert!(count.value(at(0), 60.0) < 1.37);
    }
}
