//! Figures over time, in a bounded number of buckets that grow wider as the time grows.

use std::collections::VecDeque;

use super::fields::UnixMs;

const MINUTE_MS: i64 = 60_000;
/// The widths of a bucket, in minutes. Each divides the next one and, up to there, the day.
const WIDTHS: [i64; 14] =
    [1, 5, 10, 30, 60, 180, 360, 720, 1440, 10_080, 40_320, 161_280, 645_120, 2_580_480];

/// The content of a bucket.
pub(super) trait BucketContent: Default {
    fn merge(&mut self, other: Self);
}

/// Buckets of equal width, without gaps.
#[derive(Debug, Clone)]
pub(super) struct BucketSeries<B> {
    max: usize,
    width: usize,
    /// The number of the first bucket, counted from 1970.
    first: i64,
    buckets: VecDeque<B>,
}

impl<B: BucketContent> BucketSeries<B> {
    /// A series with at most `max` buckets.
    pub fn new(max: usize) -> BucketSeries<B> {
        BucketSeries { max, width: 0, first: 0, buckets: VecDeque::new() }
    }

    /// The bucket of this time. Times may come in any order.
    pub fn at(&mut self, at: UnixMs) -> &mut B {
        let mut number = at.div_euclid(self.width_ms());
        if self.buckets.is_empty() {
            self.first = number;
        }
        while self.needed(number) > self.max as i64 && self.width + 1 < WIDTHS.len() {
            self.widen();
            number = at.div_euclid(self.width_ms());
        }
        // Beyond thousands of years, everything is in the last bucket.
        let number = number.clamp(self.first - self.max as i64 + 1, self.first + self.max as i64 - 1);
        while number < self.first && self.buckets.len() < self.max {
            self.buckets.push_front(B::default());
            self.first -= 1;
        }
        let place = usize::try_from(number - self.first).unwrap_or(0).min(self.max - 1);
        if place >= self.buckets.len() {
            self.buckets.resize_with(place + 1, B::default);
        }
        &mut self.buckets[place]
    }

    pub fn width_ms(&self) -> i64 {
        WIDTHS[self.width] * MINUTE_MS
    }

    /// The buckets with the times when they begin.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (UnixMs, &B)> + ExactSizeIterator {
        let (first, width) = (self.first, self.width_ms());
        self.buckets.iter().enumerate().map(move |(place, bucket)| ((first + place as i64) * width, bucket))
    }

    /// The number of buckets, with one of this number.
    fn needed(&self, number: i64) -> i64 {
        let last = self.first + self.buckets.len() as i64 - 1;
        number.max(last) - number.min(self.first) + 1
    }

    fn widen(&mut self) {
        let ratio = WIDTHS[self.width + 1] / WIDTHS[self.width];
        let begin = self.first;
        self.first = begin.div_euclid(ratio);
        let mut wider: VecDeque<B> = VecDeque::new();
        for (place, bucket) in std::mem::take(&mut self.buckets).into_iter().enumerate() {
            let number = ((begin + place as i64).div_euclid(ratio) - self.first) as usize;
            match wider.get_mut(number) {
                Some(content) => content.merge(bucket),
                None => wider.push_back(bucket),
            }
        }
        self.buckets = wider;
        self.width += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl BucketContent for u64 {
        fn merge(&mut self, other: u64) {
            *self += other;
        }
    }

    #[test]
    fn a_week_fits_and_nothing_is_lost() {
        let mut series = BucketSeries::<u64>::new(400);
        let begin = 1_790_000_000_000;
        for minute in 0..7 * 1440 {
            *series.at(begin + minute * MINUTE_MS) += 1;
        }
        assert_eq!(series.width_ms(), 30 * MINUTE_MS);
        assert_eq!(series.iter().map(|(_, count)| count).sum::<u64>(), 7 * 1440);
        let (first, last) = (series.iter().next().unwrap().0, series.iter().last().unwrap().0);
        assert!(first <= begin && begin - first < series.width_ms());
        assert!((last - first) / series.width_ms() + 1 == series.iter().len() as i64);
    }

    #[test]
    fn times_in_any_order_and_of_any_size_stay_within_the_bound() {
        let mut series = BucketSeries::<u64>::new(50);
        let times = [5_000_000, -9, i64::MAX / 4, 0, 1_790_000_000_000, i64::MIN / 4, 7];
        for at in times {
            *series.at(at) += 1;
        }
        assert!(series.iter().len() <= 50);
        assert_eq!(series.iter().map(|(_, count)| count).sum::<u64>(), times.len() as u64);
    }
}
