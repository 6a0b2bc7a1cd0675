//! The stretch of time in which a miner found the fewest shares, if chance does not explain it.

use crate::report::absences::Absence;
use crate::report::fields::UnixMs;
use crate::report::tally::{ShareTally, WorkBucket};

/// The standard score from which a stretch is a slump. The best of a hundred thousand stretches of honest luck has
/// about 5.
const MIN_SCORE: f64 = 7.0;
/// The part of the hash rate that must be missing: rooms are warmer by day.
const MIN_DROP: f64 = 0.15;
/// Hours that a slump, and the time outside it, must have at least.
const MIN_LENGTH_MS: f64 = 2.0 * 3_600_000.0;
/// Shares outside it, before its usual rate is known.
const MIN_SHARES: f64 = 50.0;

/// A stretch with less work than usual.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slump {
    pub from: UnixMs,
    pub to: UnixMs,
    /// Work per millisecond in it, and in the rest of the time.
    pub rate: f64,
    pub usual_rate: f64,
    pub score: f64,
    /// The shares in it, and in the rest of the time.
    pub inside: WorkBucket,
    pub outside: WorkBucket,
}

/// Sums of everything before a bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    work: f64,
    squares: f64,
    time: f64,
}

/// Finds the deepest slump. Absences are not counted, whoever caused them.
pub(super) fn find(tally: &ShareTally, absences: &[Absence]) -> Option<Slump> {
    let width = tally.work.width_ms();
    let buckets: Vec<(UnixMs, &WorkBucket)> = tally.work.iter().collect();
    let mut sums = vec![Sums::default()];
    for (start, bucket) in &buckets {
        let (from, to) = ((*start).max(tally.first_at), (start + width).min(tally.last_at));
        let absent: i64 =
            absences.iter().map(|absence| (absence.to.min(to) - absence.from.max(from)).max(0)).sum();
        let before = sums.last().copied().unwrap_or_default();
        sums.push(Sums {
            work: before.work + bucket.proven,
            squares: before.squares + bucket.proven_squares,
            time: before.time + (to - from - absent).max(0) as f64,
        });
    }
    let all = *sums.last()?;
    let mut best: Option<(f64, usize, usize)> = None;
    for (first, before) in sums.iter().enumerate() {
        for (end, after) in sums.iter().enumerate().skip(first + 1) {
            let score = score(before, after, &all);
            if score.is_some_and(|score| best.is_none_or(|(known, ..)| score > known)) {
                best = score.map(|score| (score, first, end));
            }
        }
    }
    let (score, first, end) = best.filter(|(score, ..)| *score >= MIN_SCORE)?;
    let (work, time) = (sums[end].work - sums[first].work, sums[end].time - sums[first].time);
    let (mut inside, mut outside) = (WorkBucket::default(), WorkBucket::default());
    for (place, (_, bucket)) in buckets.iter().enumerate() {
        let side = if (first..end).contains(&place) { &mut inside } else { &mut outside };
        crate::report::series::BucketContent::merge(side, **bucket);
    }
    Some(Slump {
        from: buckets[first].0.max(tally.first_at),
        to: (buckets[end - 1].0 + width).min(tally.last_at),
        rate: work / time,
        usual_rate: (all.work - work) / (all.time - time),
        score,
        inside,
        outside,
    })
}

/// The standard score of the missing work between these sums; `None` if it is not enough for a slump.
fn score(first: &Sums, end: &Sums, all: &Sums) -> Option<f64> {
    let (time, work) = (end.time - first.time, end.work - first.work);
    let (rest_time, rest_work) = (all.time - time, all.work - work);
    let rest_squares = all.squares - (end.squares - first.squares);
    if time < MIN_LENGTH_MS || rest_time < MIN_LENGTH_MS || rest_work <= 0.0 {
        return None;
    }
    let rest_shares = rest_work * rest_work / rest_squares;
    let expected = rest_work / rest_time * time;
    if rest_shares < MIN_SHARES || work > expected * (1.0 - MIN_DROP) {
        return None;
    }
    // The work of one share, in which both counts vary as Poisson's law says.
    let unit = rest_squares / rest_work;
    let variance = expected * unit + expected * expected / rest_shares;
    Some((expected - work) / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::share_line::{ShareLine, ShareResult};

    /// A week of shares every `interval(hour)` seconds.
    fn week(interval: impl Fn(i64) -> i64) -> ShareTally {
        let mut tally = ShareTally::new(400);
        let (mut at, begin) = (1_790_000_000_000, 1_790_000_000_000);
        while at < begin + 7 * 86_400_000 {
            let share = ShareLine {
                at,
                worker: "",
                upstream: "",
                result: ShareResult::Accepted,
                code: "",
                reason: "",
                share_difficulty: Some(10.0),
                assigned_difficulty: Some(8.0),
                job_age: None,
                response_ms: None,
                network_difficulty: None,
                hash: "",
                is_block: false,
            };
            tally.add(&share, false);
            at += interval((at - begin) / 3_600_000) * 1000;
        }
        tally
    }

    #[test]
    fn a_day_with_half_the_work_is_found_where_it_was() {
        let tally = week(|hour| if (72..96).contains(&hour) { 60 } else { 30 });
        let slump = find(&tally, &[]).unwrap();
        let hours = (slump.to - slump.from) as f64 / 3_600_000.0;
        assert!((23.0..25.5).contains(&hours), "{hours}");
        assert!((slump.rate / slump.usual_rate - 0.5).abs() < 0.03);
    }

    #[test]
    fn a_steady_miner_and_one_that_was_off_have_none() {
        assert!(find(&week(|_| 30), &[]).is_none());
        let tally = week(|hour| if hour == 72 { 86_400 } else { 30 });
        let from = 1_790_000_000_000 + 72 * 3_600_000;
        let absence = Absence { from, to: from + 86_400_000, is_open: false };
        assert!(find(&tally, &[absence]).is_none());
        assert!(find(&tally, &[]).is_some());
    }
}
