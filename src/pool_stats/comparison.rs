//! Compares the pool's figures with the accepted work. Pure.
//!
//! **Comparison.** If the pool publishes the sum of all credited work, the difference of two such
//! figures is compared with the work accepted between them. Else its hash rate, times its window, is
//! compared with the work accepted in that window.
//!
//! **Allowances.** The pool's figures lag behind, and its hash rate may be an exponential moving
//! average: the smallest work that these readings allow counts as proven. A pool that credits more,
//! for example for a miner that does not use Sluice, is correct.
//!
//! **The test.** Shares are a Poisson process, so a sum of difficulties `d` has the variance `V = Σd²`.
//! The pool's sum and ours are taken for two independent samples of the same hash rate, which is
//! more than they may differ honestly: the difference has the variance `2V`. By Bernstein's
//! inequality it reaches `x` with at most the probability `exp(-x² / (2 (2V + d_max x / 3)))`, for
//! few shares as well as for many. The verdict needs a probability below 1e-7; `V` being an
//! estimate itself, at most 1e-6 is promised. A hundred equal shares prove a loss of 86 %, a
//! thousand one of 26 %, ten thousand one of 8 %.

use std::time::Duration;

use super::figures::PoolFigures;
use crate::clock::NtpTime;
use crate::work::HASHES_PER_DIFFICULTY;

/// Fewest shares for a verdict.
const MIN_SHARES: usize = 30;
/// Seconds that the pool's figures may lag behind, or its clock and ours may differ.
const LAG: f64 = 150.0;
/// Probability below which a difference is no accident.
const THRESHOLD: f64 = 1e-7;

/// The accepted work.
#[derive(Debug, Clone, Copy)]
pub struct AcceptedWork<'a> {
    /// The time since which all shares are known.
    pub since: NtpTime,
    /// Time and assigned difficulty of each share, the oldest first.
    pub shares: &'a [(NtpTime, f64)],
}

/// The result of the comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CreditVerdict {
    /// There are too few shares, or figures about an unknown time only.
    Unknown,
    /// The pool credits the accepted work, within chance, or more.
    Agrees,
    /// The pool credits less than the work that it accepted; both are sums of difficulty over the same time.
    CreditsLess {
        credited: f64,
        proven: f64,
        /// Upper bound of the probability of these figures for an honest pool.
        probability: f64,
    },
}

/// Compares the newest figures with the accepted work. `before` has figures of the same pool and account
/// from at least ten minutes earlier.
pub fn compare(
    accepted: &AcceptedWork<'_>,
    newest: &PoolFigures,
    before: Option<&PoolFigures>,
) -> CreditVerdict {
    by_totals(accepted, newest, before)
        .or_else(|| by_hash_rate(accepted, newest))
        .unwrap_or(CreditVerdict::Unknown)
}

/// Compares totals; `None` if the pool publishes none, or they were reset.
fn by_totals(
    accepted: &AcceptedWork<'_>,
    newest: &PoolFigures,
    before: Option<&PoolFigures>,
) -> Option<CreditVerdict> {
    let before = before?;
    let credited = newest.accepted_difficulty_total? - before.accepted_difficulty_total?;
    let (from, to) = (seconds(before.at), seconds(newest.at));
    if credited < 0.0 || to - from < 4.0 * LAG {
        return None;
    }
    if seconds(accepted.since) > from {
        return None;
    }
    // Shares at the edges may belong to either side.
    let sample = CreditSample::between(accepted, from + LAG, to - LAG);
    Some(sample.judge(credited, sample.sum))
}

fn by_hash_rate(accepted: &AcceptedWork<'_>, newest: &PoolFigures) -> Option<CreditVerdict> {
    let rate = newest.hash_rate?;
    let window = rate.window.filter(|window| *window >= Duration::from_secs(300))?.as_secs_f64();
    let to = seconds(newest.at);
    // An exponential moving average covers more than its window.
    if seconds(accepted.since) > to - window - LAG {
        return None;
    }
    let credited = rate.per_second * window / HASHES_PER_DIFFICULTY;
    let sample = CreditSample::between(accepted, to - window - LAG, to);
    let ends = [to, to - LAG / 2.0, to - LAG];
    let plain = ends.iter().map(|end| CreditSample::between(accepted, end - window, *end).sum);
    let fading = ends.iter().map(|end| faded(accepted, *end, window));
    let least = plain.chain(fading).fold(f64::INFINITY, f64::min);
    Some(sample.judge(credited, least))
}

/// The work of one window as an exponential moving average sees it.
fn faded(accepted: &AcceptedWork<'_>, end: f64, window: f64) -> f64 {
    let weight = |at: f64| if at > end { 0.0 } else { ((at - end) / window).exp() };
    accepted.shares.iter().map(|(at, work)| work * weight(seconds(*at))).sum()
}

/// The shares of a time span.
#[derive(Debug, Default)]
struct CreditSample {
    count: usize,
    sum: f64,
    squares: f64,
    largest: f64,
}

impl CreditSample {
    fn between(accepted: &AcceptedWork<'_>, from: f64, to: f64) -> CreditSample {
        let mut sample = CreditSample::default();
        for (at, work) in accepted.shares {
            let at = seconds(*at);
            if at > from && at <= to && work.is_finite() && *work > 0.0 {
                sample.count += 1;
                sample.sum += work;
                sample.squares += work * work;
                sample.largest = sample.largest.max(*work);
            }
        }
        sample
    }

    fn judge(&self, credited: f64, proven: f64) -> CreditVerdict {
        if self.count < MIN_SHARES || !credited.is_finite() {
            return CreditVerdict::Unknown;
        }
        let less = proven - credited;
        if less <= 0.0 {
            return CreditVerdict::Agrees;
        }
        let probability = (-less * less / (2.0 * (2.0 * self.squares + self.largest * less / 3.0))).exp();
        if probability < THRESHOLD {
            CreditVerdict::CreditsLess { credited, proven, probability }
        } else {
            CreditVerdict::Agrees
        }
    }
}

fn seconds(time: NtpTime) -> f64 {
    time.timestamp().as_microsecond() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::super::figures::PublishedHashRate;
    use super::*;

    const START: i64 = 1_790_000_000;

    fn at(seconds: f64) -> NtpTime {
        let micros = START * 1_000_000 + (seconds * 1e6) as i64;
        NtpTime::from_timestamp(jiff::Timestamp::from_microsecond(micros).unwrap())
    }

    fn total(seconds: f64, total: f64) -> PoolFigures {
        PoolFigures { accepted_difficulty_total: Some(total), ..PoolFigures::empty(at(seconds)) }
    }

    fn rate(seconds: f64, work_in_an_hour: f64) -> PoolFigures {
        let window = Some(Duration::from_secs(3600));
        let hash_rate =
            Some(PublishedHashRate { per_second: work_in_an_hour * HASHES_PER_DIFFICULTY / 3600.0, window });
        PoolFigures { hash_rate, ..PoolFigures::empty(at(seconds)) }
    }

    /// A Poisson process; the pauses between shares are exponential.
    struct Miner(u64);

    impl Miner {
        fn next(&mut self) -> f64 {
            // splitmix64
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// With two difficulties, as after a retarget.
        fn shares(&mut self, pause: f64, until: f64) -> Vec<(NtpTime, f64)> {
            let (mut shares, mut now) = (Vec::new(), 0.0);
            loop {
                now -= pause * (1.0 - self.next()).ln();
                if now > until {
                    return shares;
                }
                shares.push((at(now), if self.next() < 0.3 { 4.0 } else { 1.0 }));
            }
        }
    }

    fn sum(shares: &[(NtpTime, f64)], from: f64, to: f64) -> f64 {
        shares.iter().filter(|(time, _)| *time > at(from) && *time <= at(to)).map(|(_, work)| work).sum()
    }

    #[test]
    fn an_honest_pool_is_never_accused() {
        let mut miner = Miner(7);
        let mut judged = 0;
        for round in 0..20_000 {
            let pause = [2.0, 10.0, 40.0, 100.0][round % 4];
            let shares = miner.shares(pause, 8000.0);
            let accepted = AcceptedWork { since: at(0.0), shares: &shares };
            // The books are up to two minutes behind.
            let lag = 120.0 * miner.next();
            let credited = sum(&shares, 0.0, 8000.0 - lag);
            let verdict = compare(&accepted, &total(8000.0, 50.0 + credited), Some(&total(0.0, 50.0)));
            assert!(!matches!(verdict, CreditVerdict::CreditsLess { .. }), "{verdict:?}");
            // A pool whose rate comes from quite other shares of the same miner.
            let others = miner.shares(pause, 3600.0);
            let verdict = compare(&accepted, &rate(8000.0, sum(&others, 0.0, 3600.0)), None);
            assert!(!matches!(verdict, CreditVerdict::CreditsLess { .. }), "{verdict:?}");
            // One that fades.
            let fading = faded(&accepted, START as f64 + 8000.0 - lag, 3600.0);
            let verdict = compare(&accepted, &rate(8000.0, fading), None);
            assert!(!matches!(verdict, CreditVerdict::CreditsLess { .. }), "{verdict:?}");
            judged += usize::from(verdict == CreditVerdict::Agrees);
        }
        // The slowest miner's hour has sometimes fewer than thirty shares.
        assert!(judged > 19_000, "{judged}");
    }

    #[test]
    fn a_pool_that_keeps_work_back_is_found() {
        let mut miner = Miner(1);
        let shares = miner.shares(10.0, 20_000.0);
        let accepted = AcceptedWork { since: at(0.0), shares: &shares };
        let all = sum(&shares, 0.0, 20_000.0);
        let found = compare(&accepted, &total(20_000.0, all * 0.7), Some(&total(0.0, 0.0)));
        let CreditVerdict::CreditsLess { credited, proven: work, probability } = found else {
            panic!("{found:?}");
        };
        assert!(credited < work && work <= all && probability < 1e-7);
        let hour = sum(&shares, 16_400.0, 20_000.0);
        assert!(matches!(
            compare(&accepted, &rate(20_000.0, hour * 0.3), None),
            CreditVerdict::CreditsLess { .. }
        ));
        assert_eq!(compare(&accepted, &rate(20_000.0, hour * 5.0), None), CreditVerdict::Agrees);
        assert_eq!(compare(&accepted, &rate(20_000.0, hour * 0.95), None), CreditVerdict::Agrees);
    }

    #[test]
    fn no_verdict_without_enough_to_go_by() {
        let few: Vec<_> = (0..29).map(|n| (at(1000.0 + f64::from(n)), 1.0)).collect();
        let accepted = AcceptedWork { since: at(0.0), shares: &few };
        assert_eq!(compare(&accepted, &rate(4000.0, 0.0), None), CreditVerdict::Unknown);
        assert_eq!(compare(&accepted, &total(4000.0, 0.0), Some(&total(0.0, 0.0))), CreditVerdict::Unknown);
        let many: Vec<_> = (0..4000).map(|n| (at(f64::from(n)), 1.0)).collect();
        let accepted = AcceptedWork { since: at(1000.0), shares: &many };
        // The window began before anything was known.
        assert_eq!(compare(&accepted, &rate(4000.0, 0.0), None), CreditVerdict::Unknown);
        assert_eq!(compare(&accepted, &total(4000.0, 0.0), Some(&total(0.0, 0.0))), CreditVerdict::Unknown);
        let accepted = AcceptedWork { since: at(0.0), shares: &many };
        assert!(matches!(compare(&accepted, &rate(4000.0, 0.0), None), CreditVerdict::CreditsLess { .. }));
        // Without a window, with books that began anew, too close together, or with nothing at all.
        let mut without = rate(4000.0, 0.0);
        without.hash_rate = Some(PublishedHashRate { per_second: 0.0, window: None });
        assert_eq!(compare(&accepted, &without, None), CreditVerdict::Unknown);
        assert_eq!(compare(&accepted, &total(4000.0, 5.0), Some(&total(0.0, 9.0))), CreditVerdict::Unknown);
        assert_eq!(
            compare(&accepted, &total(4000.0, 0.0), Some(&total(3900.0, 0.0))),
            CreditVerdict::Unknown
        );
        assert_eq!(compare(&accepted, &PoolFigures::empty(at(4000.0)), None), CreditVerdict::Unknown);
    }

    #[test]
    fn a_miner_that_has_just_begun_is_no_evidence_against_a_fading_average() {
        let shares = Miner(3).shares(1.0, 3600.0);
        let accepted = AcceptedWork { since: at(-10_000.0), shares: &shares };
        let fading = faded(&accepted, START as f64 + 3600.0, 3600.0);
        assert!(fading < 0.7 * sum(&shares, 0.0, 3600.0));
        assert_eq!(compare(&accepted, &rate(3600.0, fading), None), CreditVerdict::Agrees);
    }
}
