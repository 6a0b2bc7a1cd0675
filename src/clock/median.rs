//! One offset from several servers' samples.

use std::time::Duration;

use super::query::NtpSample;
use super::time::Offset;

/// Largest difference between honest servers beyond their round trips. Public servers agree within
/// milliseconds; this allows for smeared leap seconds, during which Google's servers and others differ
/// by up to one second.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The offset that the servers agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Consensus {
    pub offset: Offset,
    /// Half of the median sample's round trip, or of the longer one of two.
    pub error_bound: Duration,
    pub servers: usize,
}

/// The servers contradict each other: no more than half of them agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disagreement;

/// The median of the samples that agree with the median of all. A single server is trusted, two have to
/// agree with each other, and of three one may be wrong. `None` if there are no samples.
pub(super) fn agree(samples: &[NtpSample]) -> Option<Result<Consensus, Disagreement>> {
    let (middle, _) = median(samples)?;
    let agrees = |sample: &&NtpSample| {
        let apart = Duration::from_micros(sample.offset.micros().abs_diff(middle.micros()));
        apart <= sample.round_trip / 2 + TOLERANCE
    };
    let agreeing: Vec<NtpSample> = samples.iter().filter(agrees).copied().collect();
    if agreeing.len() * 2 <= samples.len() {
        return Some(Err(Disagreement));
    }
    let (offset, error_bound) = median(&agreeing)?;
    Some(Ok(Consensus { offset, error_bound, servers: agreeing.len() }))
}

/// The middle offset, or the mean of the middle two.
fn median(samples: &[NtpSample]) -> Option<(Offset, Duration)> {
    let mut sorted = samples.to_vec();
    sorted.sort_by_key(|sample| sample.offset);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get(sorted.len().checked_sub(1)? / 2)?;
    let (low, high) = (lower.offset.micros(), upper.offset.micros());
    let offset = Offset::from_micros(low + (high - low) / 2);
    Some((offset, lower.round_trip.max(upper.round_trip) / 2))
}

#[cfg(test)]
mod tests {
    use super::super::host::ClockReading;
    use super::*;

    fn sample(offset_ms: i64, round_trip_ms: u64) -> NtpSample {
        let offset = Offset::from_micros(offset_ms * 1000);
        NtpSample { offset, round_trip: Duration::from_millis(round_trip_ms), reading: ClockReading::now() }
    }

    fn agreed_ms(samples: &[NtpSample]) -> Option<(i64, usize)> {
        agree(samples)?.ok().map(|agreed| (agreed.offset.micros() / 1000, agreed.servers))
    }

    #[test]
    fn a_single_sample_is_trusted() {
        assert_eq!(agree(&[]), None);
        assert_eq!(agreed_ms(&[sample(250, 20)]), Some((250, 1)));
    }

    #[test]
    fn a_wrong_sample_among_three_is_ignored() {
        let hours = 5 * 3_600_000;
        assert_eq!(agreed_ms(&[sample(10, 20), sample(hours, 1), sample(14, 30)]), Some((12, 2)));
        assert_eq!(agreed_ms(&[sample(-hours, 1), sample(10, 20), sample(14, 30)]), Some((12, 2)));
    }

    #[test]
    fn two_contradicting_samples_are_not_trusted() {
        assert_eq!(agree(&[sample(0, 20), sample(3_600_000, 20)]), Some(Err(Disagreement)));
        assert_eq!(agreed_ms(&[sample(0, 20), sample(900, 20)]), Some((450, 2)));
    }

    #[test]
    fn two_equal_groups_are_not_trusted() {
        let hour = 3_600_000;
        let samples = [sample(0, 20), sample(1, 20), sample(hour, 20), sample(hour, 20)];
        assert_eq!(agree(&samples), Some(Err(Disagreement)));
    }

    #[test]
    fn the_bound_is_half_the_round_trip_of_the_median() {
        let agreed = agree(&[sample(1, 10), sample(2, 40), sample(3, 700)]).unwrap().unwrap();
        assert_eq!(agreed.error_bound, Duration::from_millis(20));
    }
}
