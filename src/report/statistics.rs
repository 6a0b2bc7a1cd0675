//! The statistics of a report. Shares are found without memory: their counts follow a Poisson distribution, and
//! rejected ones among the answered a binomial one.

/// The standard score of a 95 % interval.
const Z95: f64 = 1.959_964;

/// Terms of a sum that are added up one by one before the normal approximation is used.
const MAX_EXACT_TERMS: u64 = 200_000;

/// The 95 % interval of a Poisson mean, when `count` events were seen. `count` need not be whole: shares of different
/// difficulties count as fewer shares of one. Within 1 % of the exact one (Wilson and Hilferty).
pub(super) fn poisson_interval(count: f64) -> (f64, f64) {
    let lower = if count <= 0.0 {
        0.0
    } else {
        count * (1.0 - 1.0 / (9.0 * count) - Z95 / (3.0 * count.sqrt())).powi(3)
    };
    let above = count.max(0.0) + 1.0;
    let upper = above * (1.0 - 1.0 / (9.0 * above) + Z95 / (3.0 * above.sqrt())).powi(3);
    (lower.max(0.0), upper)
}

/// The 95 % interval of a proportion (Wilson's).
pub(super) fn proportion_interval(part: u64, whole: u64) -> Option<(f64, f64)> {
    if whole == 0 {
        return None;
    }
    let (count, p) = (whole as f64, part as f64 / whole as f64);
    let square = Z95 * Z95;
    let middle = (p + square / (2.0 * count)) / (1.0 + square / count);
    let half = Z95 / (1.0 + square / count) * (p * (1.0 - p) / count + square / (4.0 * count * count)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

/// The chance that two samples of one proportion differ at least so much (two-sided). Fisher's exact test, and for large
/// samples the normal approximation. `None` if a sample is empty.
pub(super) fn proportions_differ(first: (u64, u64), second: (u64, u64)) -> Option<f64> {
    let ((a, n), (b, m)) = (first, second);
    if n == 0 || m == 0 {
        return None;
    }
    let hits = a + b;
    if hits == 0 || hits == n + m {
        return Some(1.0);
    }
    let (low, high) = (hits.saturating_sub(m), hits.min(n));
    if high - low > MAX_EXACT_TERMS {
        let pooled = hits as f64 / (n + m) as f64;
        let deviation = (pooled * (1.0 - pooled) * (1.0 / n as f64 + 1.0 / m as f64)).sqrt();
        let score = (a as f64 / n as f64 - b as f64 / m as f64).abs() / deviation;
        return Some(two_sided(score));
    }
    let ways = |whole: u64, part: u64| ln_factorial(whole) - ln_factorial(part) - ln_factorial(whole - part);
    let all = ways(n + m, hits);
    let chance = |part: u64| (ways(n, part) + ways(m, hits - part) - all).exp();
    let seen = chance(a) * (1.0 + 1e-7);
    Some((low..=high).map(chance).filter(|chance| *chance <= seen).sum::<f64>().min(1.0))
}

/// The chance of a standard score at least so far from 0.
pub(super) fn two_sided(score: f64) -> f64 {
    erfc(score.abs() / std::f64::consts::SQRT_2)
}

/// The chance of `count` or more Poisson events where `mean` are expected; an upper bound (Chernoff's).
pub(super) fn at_least(count: f64, mean: f64) -> f64 {
    if count <= mean || mean <= 0.0 {
        return 1.0;
    }
    (count - mean - count * (count / mean).ln()).exp()
}

/// The chance of a chi-square value at least so high.
pub(super) fn chi_square_at_least(value: f64, degrees: f64) -> f64 {
    if value <= 0.0 || degrees <= 0.0 {
        return 1.0;
    }
    // Wilson and Hilferty's approximation: the cube root is nearly normal.
    let spread = 2.0 / (9.0 * degrees);
    let score = ((value / degrees).cbrt() - (1.0 - spread)) / spread.sqrt();
    0.5 * erfc(score / std::f64::consts::SQRT_2)
}

/// The chance that the best of `work` (in units of difficulty) is at least `best`: each hash succeeds alone.
pub(super) fn best_at_least(best: f64, work: f64) -> f64 {
    if best <= 0.0 { 1.0 } else { -(-work / best).exp_m1() }
}

/// A chance as people say it: `1 in 3,400`, or `62 %`.
pub(super) fn chance_text(chance: f64) -> String {
    if chance >= 0.05 {
        format!("{:.0} %", chance * 100.0)
    } else if chance > 1e-15 {
        format!("1 in {}", crate::util::format::in_words(1.0 / chance))
    } else {
        String::from("less than 1 in a quadrillion")
    }
}

/// The logarithm of `number!` (Stirling's series, exact to 1e-10 from 10 on).
fn ln_factorial(number: u64) -> f64 {
    if number < 10 {
        return (2..=number).map(|factor| factor as f64).product::<f64>().ln();
    }
    let x = number as f64 + 1.0;
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

/// The complementary error function: its series near 0, its continued fraction elsewhere.
fn erfc(x: f64) -> f64 {
    let distance = x.abs();
    let density = (-distance * distance).exp() / std::f64::consts::PI.sqrt();
    let value = if distance < 3.0 {
        let (mut term, mut sum) = (distance, distance);
        for step in 1..80 {
            term *= 2.0 * distance * distance / f64::from(2 * step + 1);
            sum += term;
        }
        1.0 - 2.0 * density * sum
    } else {
        let fraction = (1..60).rev().fold(distance, |below, step| distance + f64::from(step) / 2.0 / below);
        density / fraction
    };
    if x >= 0.0 { value } else { 2.0 - value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64, part: f64) {
        assert!((found - expected).abs() <= expected.abs() * part + 1e-12, "{found} instead of {expected}");
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        for (count, low, high) in
            [(0.0, 0.0, 3.689), (1.0, 0.0253, 5.572), (10.0, 4.795, 18.39), (100.0, 81.36, 121.6)]
        {
            let (lower, upper) = poisson_interval(count);
            assert!(
                (lower - low).abs() < 0.03 && (upper / high - 1.0).abs() < 0.02,
                "{count}: {lower} {upper}"
            );
        }
        let (low, high) = proportion_interval(1, 10).unwrap();
        near(low, 0.01788, 0.01);
        near(high, 0.40415, 0.01);
        assert_eq!(proportion_interval(0, 0), None);
    }

    #[test]
    fn two_proportions_are_compared_exactly() {
        // Fisher's tea: 3 of 4 against 1 of 4.
        near(proportions_differ((3, 4), (1, 4)).unwrap(), 0.485_714, 1e-5);
        near(proportions_differ((1, 1000), (20, 1000)).unwrap(), 1.9237e-5, 1e-3);
        assert_eq!(proportions_differ((0, 10), (0, 10)), Some(1.0));
        assert_eq!(proportions_differ((0, 0), (1, 10)), None);
        let large = proportions_differ((1_000_000, 100_000_000), (1_003_000, 100_000_000)).unwrap();
        near(large, 0.0332, 0.05);
    }

    #[test]
    fn tails_are_those_of_the_tables() {
        near(two_sided(1.959_964), 0.05, 1e-4);
        near(chi_square_at_least(16.919, 9.0), 0.05, 0.02);
        near(best_at_least(1000.0, 10.0), 0.00995, 0.01);
        assert!(at_least(30.0, 5.0) < 1e-11 && at_least(3.0, 5.0) == 1.0);
        assert_eq!(chance_text(0.62), "62 %");
        assert_eq!(chance_text(1.0 / 3400.0), "1 in 3,400");
    }
}
