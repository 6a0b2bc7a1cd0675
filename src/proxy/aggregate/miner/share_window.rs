//! Counts the shares that a miner found at its present difficulty, over the last hours. Constant size
//! whatever the rate.

use std::time::{Duration, Instant};

/// The parts of the window. The oldest part is dropped as a whole.
const PARTS: usize = 32;
/// The length of a part as a multiple of the wanted time between two shares: a full window of a miner at its
/// right difficulty has 384 shares.
const PART_TARGETS: f64 = 12.0;

/// The number of moments in the wanted time between two shares, see [`WindowSlice::moments`].
const MOMENTS: f64 = 32.0;

/// The shares of one difficulty. A share counts for the work of its own job, in shares of the
/// present difficulty.
#[derive(Debug, Clone)]
pub(crate) struct ShareWindow {
    began: Instant,
    /// Seconds.
    part: f64,
    /// The number of the newest part, counted from the beginning.
    newest: u64,
    counts: [f64; PARTS],
    /// Moments with a share.
    busy: [u32; PARTS],
    latest_busy: Option<u64>,
    /// Seconds after the beginning: the latest time seen, and the time of the latest share.
    latest: f64,
    latest_share: f64,
}

/// The shares of a stretch of time until now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WindowSlice {
    /// The number of shares.
    pub count: f64,
    /// Moments with a share, and moments in all: kept shares that come at once are one.
    pub moments: (f64, f64),
    pub seconds: f64,
    /// Whether it begins where the window does.
    pub whole: bool,
}

impl ShareWindow {
    pub fn new(target: Duration, now: Instant) -> ShareWindow {
        ShareWindow {
            began: now,
            // Never zero: it is divided by.
            part: PART_TARGETS * target.as_secs_f64().max(0.001),
            newest: 0,
            counts: [0.0; PARTS],
            busy: [0; PARTS],
            latest_busy: None,
            latest: 0.0,
            latest_share: 0.0,
        }
    }

    /// Adds shares.
    pub fn add(&mut self, count: f64, now: Instant) {
        self.advance(now);
        self.counts[index(self.newest)] += count;
        // The cast saturates, after more years than there are.
        let moment = (self.latest * self.moments_a_second()) as u64;
        if self.latest_busy.is_none_or(|latest| moment > latest) {
            self.latest_busy = Some(moment);
            self.busy[index(self.newest)] += 1;
        }
        self.latest_share = self.latest;
    }

    /// Drops what is too old. A time before the latest one counts as that one.
    pub fn advance(&mut self, now: Instant) {
        self.latest = now.saturating_duration_since(self.began).as_secs_f64().max(self.latest);
        // The cast saturates, after more years than there are.
        let newest = (self.latest / self.part) as u64;
        for step in 0..(newest - self.newest).min(PARTS as u64) {
            // The parts in between had no shares.
            self.counts[index(newest - step)] = 0.0;
            self.busy[index(newest - step)] = 0;
        }
        self.newest = newest;
    }

    /// Seconds since the latest share, or since the beginning.
    pub fn silence(&self) -> f64 {
        self.latest - self.latest_share
    }

    /// The whole window.
    pub fn whole(&self) -> WindowSlice {
        let first = self.first();
        let count = (first..=self.newest).map(|number| self.counts[index(number)]).sum();
        let busy: u32 = (first..=self.newest).map(|number| self.busy[index(number)]).sum();
        let seconds = self.since(first);
        WindowSlice { count, moments: self.moments(busy, seconds), seconds, whole: true }
    }

    /// The slices that begin with each part, the shortest first. If one of its parts is so much fuller than
    /// the others that this is no accident, the slice comes without it: a burst of shares that were kept
    /// somewhere is no hash rate.
    pub fn slices(&self) -> impl Iterator<Item = WindowSlice> {
        let first = self.first();
        let (mut count, mut busy, mut fullest, mut fullest_seconds) = (0.0, 0, 0.0, 0.0);
        (first..=self.newest).rev().map(move |number| {
            let here = self.counts[index(number)];
            count += here;
            busy += self.busy[index(number)];
            if here > fullest {
                fullest = here;
                fullest_seconds = self.part.min(self.since(number));
            }
            let (seconds, whole) = (self.since(number), number == first);
            let moments = self.moments(busy, seconds);
            if is_burst(fullest, fullest_seconds, count, seconds) {
                WindowSlice { count: count - fullest, moments, seconds: seconds - fullest_seconds, whole }
            } else {
                WindowSlice { count, moments, seconds, whole }
            }
        })
    }

    fn moments(&self, busy: u32, seconds: f64) -> (f64, f64) {
        (f64::from(busy), seconds * self.moments_a_second())
    }

    fn moments_a_second(&self) -> f64 {
        MOMENTS * PART_TARGETS / self.part
    }

    fn first(&self) -> u64 {
        self.newest.saturating_sub(PARTS as u64 - 1)
    }

    fn since(&self, number: u64) -> f64 {
        (self.latest - number as f64 * self.part).max(0.0)
    }
}

/// Whether a part has a larger fraction of all shares than its time explains: the chance of that is below
/// exp(-12). Computed from the relative entropy of the two fractions (Chernoff's bound for the binomial).
fn is_burst(part: f64, part_seconds: f64, all: f64, seconds: f64) -> bool {
    let (rest, rest_seconds) = (all - part, seconds - part_seconds);
    if rest_seconds <= 0.0 || part_seconds <= 0.0 || part / part_seconds <= all / seconds {
        return false;
    }
    let term = |count: f64, share: f64| if count > 0.0 { count * (count / (all * share)).ln() } else { 0.0 };
    term(part, part_seconds / seconds) + term(rest, rest_seconds / seconds) > 12.0
}

fn index(number: u64) -> usize {
    usize::try_from(number % PARTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_secs(15);

    #[test]
    fn a_full_window_has_384_targets_and_no_more() {
        let began = Instant::now();
        let mut window = ShareWindow::new(TARGET, began);
        for share in 1..=4000 {
            window.add(1.0, began + share * TARGET);
        }
        let whole = window.whole();
        assert!((372.0..=385.0).contains(&whole.count), "{whole:?}");
        assert!((whole.seconds / whole.count / 15.0 - 1.0).abs() < 0.01, "{whole:?}");
        let slices: Vec<_> = window.slices().collect();
        assert_eq!(slices.len(), PARTS);
        assert_eq!(slices.last(), Some(&whole));
        assert!(slices.windows(2).all(|pair| pair[0].seconds < pair[1].seconds));
    }

    #[test]
    fn old_shares_are_forgotten_also_at_once() {
        let began = Instant::now();
        let mut window = ShareWindow::new(TARGET, began);
        window.add(100.0, began);
        window.advance(began + 384 * TARGET);
        assert_eq!(window.whole().count, 0.0);
        assert_eq!(window.silence(), 384.0 * 15.0);
        window.add(1.0, began + Duration::from_secs(1_000_000_000));
        assert_eq!((window.whole().count, window.silence()), (1.0, 0.0));
    }

    #[test]
    fn a_burst_is_left_out_and_a_change_of_rate_is_not() {
        let began = Instant::now();
        let mut window = ShareWindow::new(TARGET, began);
        window.add(100.0, began);
        for share in 1..=48 {
            window.add(1.0, began + share * TARGET);
        }
        let whole = window.slices().last().unwrap();
        assert!((36.0..=37.0).contains(&whole.count), "{whole:?}");
        // Ten times the rate for half the time is no single burst.
        for share in 0..480 {
            window.add(1.0, began + 48 * TARGET + share * TARGET / 10);
        }
        let longest_of_new = window.slices().nth(3).unwrap();
        assert!((300.0..=481.0).contains(&longest_of_new.count), "{longest_of_new:?}");
    }

    #[test]
    fn kept_shares_that_come_at_once_are_one_moment() {
        let began = Instant::now();
        let mut window = ShareWindow::new(TARGET, began);
        for share in 0..40 {
            window.add(1.0, began + Duration::from_secs(10) + Duration::from_millis(share));
        }
        for share in 1..=20 {
            window.add(1.0, began + Duration::from_secs(10 + 5 * share));
        }
        let whole = window.whole();
        assert_eq!((whole.count, whole.moments), (60.0, (21.0, 110.0 / 15.0 * MOMENTS)));
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_breaks_nothing() {
        let began = Instant::now() + Duration::from_secs(100);
        let mut window = ShareWindow::new(Duration::ZERO, began);
        window.add(1.0, began);
        window.add(1.0, began - Duration::from_secs(50));
        assert_eq!(
            window.whole(),
            WindowSlice { count: 2.0, moments: (1.0, 0.0), seconds: 0.0, whole: true }
        );
        assert_eq!(window.silence(), 0.0);
    }
}
