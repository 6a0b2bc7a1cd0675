//! Distributions of positive values, in little memory.

/// The parts of a factor of two. A value is known within 12 %.
const PARTS: usize = 8;
/// Values from 2^-10 (1 µs, as milliseconds) to 2^30 (12 days).
const LEAST_POWER: i32 = -10;
const POWERS: usize = 40;

/// Counts values by their size.
#[derive(Debug, Clone, Default)]
pub(super) struct ValueHistogram {
    counts: Vec<u32>,
    total: u64,
}

impl ValueHistogram {
    pub fn add(&mut self, value: f64) {
        if self.counts.is_empty() {
            self.counts = vec![0; POWERS * PARTS];
        }
        // The exponent and the first three digits behind the point of a float are its place.
        let place = (value.max(0.0).to_bits() >> 49) as i64 - ((1023 + i64::from(LEAST_POWER)) << 3);
        let place = place.clamp(0, (POWERS * PARTS) as i64 - 1) as usize;
        self.counts[place] = self.counts[place].saturating_add(1);
        self.total += 1;
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// The value that this part of all does not exceed; `None` without values.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let wanted = (self.total as f64 * part).ceil().max(1.0) as u64;
        let mut below = 0;
        let place = self.counts.iter().position(|count| {
            below += u64::from(*count);
            below >= wanted
        })?;
        Some(middle(place))
    }

    /// The values above this one.
    pub fn count_above(&self, value: f64) -> u64 {
        let above = self.counts.iter().enumerate().filter(|(place, _)| middle(*place) > value);
        above.map(|(_, count)| u64::from(*count)).sum()
    }

    pub fn merge(&mut self, other: &ValueHistogram) {
        if self.counts.is_empty() {
            self.counts = vec![0; POWERS * PARTS];
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
    }
}

/// The middle of a place's values; 0 for the smallest.
fn middle(place: usize) -> f64 {
    if place == 0 {
        return 0.0;
    }
    let power = LEAST_POWER + (place / PARTS) as i32;
    2_f64.powi(power) * (1.0 + (place % PARTS) as f64 / PARTS as f64 + 0.5 / PARTS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_part() {
        let mut histogram = ValueHistogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for value in 1..=1000 {
            histogram.add(f64::from(value));
        }
        for (part, expected) in [(0.5, 500.0), (0.99, 990.0), (0.001, 1.0)] {
            let found = histogram.quantile(part).unwrap();
            assert!((found / expected - 1.0).abs() < 0.13, "{part}: {found}");
        }
        assert!((400..=600).contains(&histogram.count_above(500.0)));
    }

    #[test]
    fn any_value_has_a_place() {
        let mut histogram = ValueHistogram::default();
        for value in [0.0, -1.0, 1e-300, 1e300, f64::INFINITY, f64::NAN, 5e-324] {
            histogram.add(value);
        }
        assert_eq!(histogram.total(), 7);
        let mut sum = ValueHistogram::default();
        sum.merge(&histogram);
        assert_eq!(sum.total(), 7);
    }
}
