//! Times without shares, and their causes.
//!
//! A miner finds shares without memory. A pause of twenty times its mean interval comes by chance once in 500 million
//! shares, so it was away.

use super::fields::UnixMs;
use super::time_line::Outage;

/// The shortest pause that is an absence.
const MIN_PAUSE_MS: f64 = 300_000.0;
/// Mean intervals of a pause that chance does not explain.
const MAX_INTERVALS: f64 = 20.0;
/// Shares before the mean interval is known.
const MIN_SHARES: u32 = 10;
/// Intervals behind a pause from which their mean is known.
const MIN_INTERVALS: usize = 3;
/// Shares over which the mean interval is taken.
const MEAN_OVER: f64 = 50.0;
/// Caps the absences of one worker, the longest.
const MAX_ABSENCES: usize = 64;
/// The part of an absence that a cause must cover.
const COVERED: f64 = 0.5;
/// The time in which everything is back after an outage.
const RETURN_MS: i64 = 600_000;

/// Finds the pauses in the times of shares.
///
/// A session begins at an easy difficulty, so its first shares come fast. That a pause is long is known only when the
/// shares behind it come fast as well.
#[derive(Debug, Clone, Default)]
pub(super) struct PauseFinder {
    last: Option<(UnixMs, usize)>,
    shares: u32,
    mean: f64,
    /// Pauses that are long by the shares before them, with the intervals since; fewer than [`MIN_SHARES`] each.
    doubtful: Vec<(Absence, Vec<f64>)>,
    pub absences: Vec<Absence>,
    /// The sum of all, those that are no longer kept among them.
    pub total_ms: i64,
}

/// A time without shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Absence {
    pub from: UnixMs,
    /// The next share, or the end of the records.
    pub to: UnixMs,
    /// Whether it still lasts at the end of the records.
    pub is_open: bool,
}

/// The reason why there were no shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AbsenceCause {
    /// Sluice did not run.
    Sluice,
    /// A pool could not be used.
    Pool,
    /// Nobody sent a share, and nothing says why.
    Everything,
    /// Only this miner.
    Miner,
}

impl AbsenceCause {
    pub fn as_str(self) -> &'static str {
        match self {
            AbsenceCause::Sluice => "sluice",
            AbsenceCause::Pool => "pool",
            AbsenceCause::Everything => "everything",
            AbsenceCause::Miner => "miner",
        }
    }

    /// The cause as people say it.
    pub fn text(self) -> &'static str {
        match self {
            AbsenceCause::Sluice => "Sluice did not run",
            AbsenceCause::Pool => "no pool could be used",
            AbsenceCause::Everything => "all miners were silent at once",
            AbsenceCause::Miner => "the miner was off or not connected",
        }
    }
}

impl PauseFinder {
    /// Adds a share. Shares of another directory start anew, because their times overlap.
    pub fn add(&mut self, at: UnixMs, directory: usize) {
        let Some((last, before)) = self.last.replace((at, directory)) else { return };
        if before != directory || at < last {
            self.settle(0);
            return;
        }
        let pause = (at - last) as f64;
        if !self.doubtful.is_empty() {
            self.doubtful.iter_mut().for_each(|(_, since)| since.push(pause));
            self.settle(MIN_SHARES as usize);
        }
        if self.shares >= MIN_SHARES && pause > longest_pause(self.mean) {
            self.doubtful.push((Absence { from: last, to: at, is_open: false }, Vec::new()));
        } else {
            self.count(pause);
        }
    }

    /// Ends the records at this time: a miner that has not come back is absent until then.
    pub fn end(&mut self, end: UnixMs) {
        let Some((last, _)) = self.last else { return };
        self.settle(0);
        if self.shares >= MIN_SHARES && (end - last) as f64 > longest_pause(self.mean) {
            self.push(Absence { from: last, to: end, is_open: true });
        }
    }

    /// Decides about the doubtful pauses that have at least `intervals` since.
    fn settle(&mut self, intervals: usize) {
        let pending = std::mem::take(&mut self.doubtful);
        for (absence, mut since) in pending {
            if since.len() < intervals {
                self.doubtful.push((absence, since));
                continue;
            }
            since.sort_by(f64::total_cmp);
            // Another absence among the intervals moves their median little.
            let median = since.get(since.len() / 2).filter(|_| since.len() >= MIN_INTERVALS);
            let mean = median.map_or(self.mean, |median| median / std::f64::consts::LN_2);
            let pause = absence.length_ms() as f64;
            if pause > longest_pause(mean) { self.push(absence) } else { self.count(pause) }
        }
    }

    fn count(&mut self, pause: f64) {
        self.shares += 1;
        let weight = (1.0 / f64::from(self.shares)).max(1.0 / MEAN_OVER);
        self.mean += (pause - self.mean) * weight;
    }

    fn push(&mut self, absence: Absence) {
        self.total_ms += absence.length_ms();
        if self.absences.len() >= MAX_ABSENCES {
            let shortest = (0..self.absences.len()).min_by_key(|place| self.absences[*place].length_ms());
            if let Some(shortest) =
                shortest.filter(|place| self.absences[*place].length_ms() < absence.length_ms())
            {
                self.absences.remove(shortest);
            } else {
                return;
            }
        }
        self.absences.push(absence);
    }
}

/// The longest pause that chance explains, with this mean interval.
fn longest_pause(mean: f64) -> f64 {
    (mean * MAX_INTERVALS).max(MIN_PAUSE_MS)
}

impl Absence {
    pub fn length_ms(&self) -> i64 {
        self.to - self.from
    }

    /// The part of it that `from..to` covers.
    pub fn covered_by(&self, from: UnixMs, to: UnixMs) -> f64 {
        let overlap = self.to.min(to) - self.from.max(from);
        overlap.max(0) as f64 / self.length_ms().max(1) as f64
    }

    /// The cause of a worker's absence. `of_all` are the times without shares from anybody.
    pub fn cause(
        &self,
        sluice: &[Outage],
        pools: &[Outage],
        of_all: &[Absence],
        workers: usize,
    ) -> AbsenceCause {
        let is_within = |outage: &Outage| {
            let to = outage.to.unwrap_or(self.to);
            // The beginning of a crash is not known, only that Sluice ran again when the absence was over.
            let ends_it = outage.is_crash && to >= self.from && to <= self.to && self.to - to < RETURN_MS;
            ends_it || self.covered_by(outage.from, to) >= COVERED
        };
        if sluice.iter().any(is_within) {
            return AbsenceCause::Sluice;
        }
        if pools.iter().any(is_within) {
            return AbsenceCause::Pool;
        }
        let is_shared = of_all.iter().any(|all| self.covered_by(all.from, all.to) >= COVERED);
        if is_shared && workers > 1 { AbsenceCause::Everything } else { AbsenceCause::Miner }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(from: UnixMs, to: UnixMs, is_crash: bool) -> Outage {
        Outage { subject: String::new(), from, to: Some(to), is_crash, reason: String::new() }
    }

    #[test]
    fn a_long_pause_is_an_absence_and_a_usual_one_is_not() {
        let mut finder = PauseFinder::default();
        for share in 0..100 {
            finder.add(share * 60_000, 0);
        }
        finder.add(99 * 60_000 + 15 * 60_000, 0);
        assert!(finder.absences.is_empty());
        finder.add(10_000_000_000, 1);
        finder.add(10_000_060_000, 1);
        assert!(finder.absences.is_empty(), "another directory is no pause");
        finder.add(10_000_060_000 + 3_600_000, 1);
        finder.end(10_020_000_000);
        assert_eq!((finder.absences.len(), finder.total_ms), (2, 3_600_000 + 16_340_000));
        assert!(finder.absences[1].is_open);
    }

    #[test]
    fn easy_shares_at_the_beginning_make_no_usual_pause_long() {
        let mut finder = PauseFinder::default();
        let mut at = 0;
        for interval in [10_000; 30].into_iter().chain([480_000; 100]) {
            at += interval;
            finder.add(at, 0);
        }
        finder.end(at);
        assert!(finder.absences.is_empty(), "{:?}", finder.absences);
        // Away, and back with easy shares.
        at += 86_400_000;
        for interval in [10_000; 30] {
            finder.add(at, 0);
            at += interval;
        }
        assert_eq!(finder.absences.len(), 1);
    }

    #[test]
    fn the_causes_are_told_apart() {
        let absence = Absence { from: 1_000_000, to: 2_000_000, is_open: false };
        let cause =
            |sluice: &[Outage], pools: &[Outage], all: &[Absence]| absence.cause(sluice, pools, all, 3);
        assert_eq!(cause(&[], &[], &[]), AbsenceCause::Miner);
        assert_eq!(cause(&[], &[], &[absence]), AbsenceCause::Everything);
        assert_eq!(cause(&[], &[outage(1_100_000, 1_900_000, false)], &[absence]), AbsenceCause::Pool);
        assert_eq!(cause(&[outage(900_000, 1_900_000, false)], &[], &[]), AbsenceCause::Sluice);
        assert_eq!(cause(&[outage(1_950_000, 1_950_000, true)], &[], &[]), AbsenceCause::Sluice);
        assert_eq!(cause(&[outage(100, 900_000, false)], &[], &[]), AbsenceCause::Miner);
    }
}
