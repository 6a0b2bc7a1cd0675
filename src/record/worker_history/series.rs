//! One worker's buckets of one span, in 20 bytes each.

use std::mem::size_of;

use serde::{Deserialize, Serialize};

use crate::record::{Bucket, HistoryShare, ShareOutcome, Span};
use crate::stratum::Difficulty;

/// Caps the work of a bucket. All of Bitcoin's work in a week is below 10^18.
const MAX_WORK: f32 = 1e24;

/// The buckets with data, sorted by their start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "SavedSeries", into = "SavedSeries")]
pub(super) struct WorkerSeries(Vec<WorkerBucket>);

/// The counts of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct WorkerBucket {
    /// Seconds since 1970, a multiple of the length.
    start: u32,
    /// The sum of the difficulties that the shares' hashes prove.
    work: f32,
    accepted: u32,
    rejected: u16,
    unanswered: u16,
    /// The seconds in which the worker was connected.
    watched: u16,
}

const _: () = assert!(size_of::<WorkerBucket>() == 20);

/// The form in the file, in which most numbers have one digit: the start of the first bucket, and for each bucket its
/// distance from the one before in buckets, watched, work, accepted, rejected, unanswered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct SavedSeries {
    #[serde(default)]
    start: u32,
    /// The length of a bucket.
    #[serde(default)]
    seconds: u32,
    #[serde(default)]
    buckets: Vec<(u32, u16, f32, u32, u16, u16)>,
}

/// The number of buckets, and the seconds of each.
pub(super) const fn layout(span: Span) -> (usize, u64) {
    match span {
        Span::Hour => (12, 300),
        Span::Day => (48, 1800),
        Span::Week => (84, 7200),
    }
}

fn start_of(span: Span, at: u64) -> u32 {
    let (_, length) = layout(span);
    u32::try_from(at - at % length).unwrap_or(u32::MAX)
}

fn oldest(span: Span, now: u64) -> u64 {
    let (count, length) = layout(span);
    (now - now % length).saturating_sub((count as u64 - 1) * length)
}

impl WorkerSeries {
    pub(super) fn add_share(&mut self, span: Span, at: u64, now: u64, share: &HistoryShare<'_>) {
        if at < oldest(span, now) {
            return;
        }
        let bucket = self.bucket(span, at);
        let work = share.work.map_or(0.0, Difficulty::value) as f32;
        bucket.work = (bucket.work + work).min(MAX_WORK);
        match share.outcome {
            ShareOutcome::Accepted => bucket.accepted = bucket.accepted.saturating_add(1),
            ShareOutcome::Rejected { .. } => bucket.rejected = bucket.rejected.saturating_add(1),
            ShareOutcome::Unanswered => bucket.unanswered = bucket.unanswered.saturating_add(1),
            // The verdict is unknown, but the work was done.
            ShareOutcome::Unknown => {}
        }
        self.forget(span, now);
    }

    /// Counts the seconds from `from` to `to` as connected.
    pub(super) fn watch(&mut self, span: Span, from: u64, to: u64) {
        let (_, length) = layout(span);
        let mut from = from;
        while from < to {
            let end = (from - from % length + length).min(to);
            let bucket = self.bucket(span, from);
            let watched = u64::from(bucket.watched) + (end - from);
            bucket.watched = u16::try_from(watched.min(length)).unwrap_or(u16::MAX);
            from = end;
        }
        self.forget(span, to);
    }

    pub(super) fn buckets(&self, span: Span, now: u64) -> Vec<Bucket> {
        let (count, length) = layout(span);
        let oldest = oldest(span, now);
        let bucket = |place| {
            let start = oldest + place * length;
            self.place(start_of(span, start))
                .map_or(Bucket { start, ..Bucket::default() }, |place| self.0[place].shown())
        };
        (0..count as u64).map(bucket).collect()
    }

    /// Clamps the values of a file that others may have written, and drops buckets that can't be ours.
    pub(super) fn bound(&mut self, span: Span) {
        let (count, length) = layout(span);
        self.0.retain(|bucket| u64::from(bucket.start) % length == 0);
        self.0.sort_by_key(|bucket| bucket.start);
        self.0.dedup_by_key(|bucket| bucket.start);
        for bucket in &mut self.0 {
            bucket.watched = bucket.watched.min(u16::try_from(length).unwrap_or(u16::MAX));
            bucket.work = if bucket.work.is_nan() { 0.0 } else { bucket.work.clamp(0.0, MAX_WORK) };
        }
        let excess = self.0.len().saturating_sub(count);
        self.0.drain(..excess);
        self.0.shrink_to_fit();
    }

    /// The bucket that `at` belongs to, inserted if it is missing.
    fn bucket(&mut self, span: Span, at: u64) -> &mut WorkerBucket {
        let start = start_of(span, at);
        let place = self.place(start).unwrap_or_else(|place| {
            self.0.insert(place, WorkerBucket { start, ..WorkerBucket::default() });
            place
        });
        &mut self.0[place]
    }

    /// Drops the buckets that are furthest from `now`, and only when there are too many: the clock may be wrong for a
    /// while.
    fn forget(&mut self, span: Span, now: u64) {
        let (count, _) = layout(span);
        while self.0.len() > count {
            let distance = |bucket: Option<&WorkerBucket>| {
                bucket.map_or(0, |bucket| u64::from(bucket.start).abs_diff(now))
            };
            if distance(self.0.last()) > distance(self.0.first()) {
                self.0.pop();
            } else {
                self.0.remove(0);
            }
        }
    }

    fn place(&self, start: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&start, |bucket| bucket.start)
    }
}

impl WorkerBucket {
    fn shown(self) -> Bucket {
        Bucket {
            start: self.start.into(),
            watched: self.watched.into(),
            work: self.work.into(),
            accepted: self.accepted,
            rejected: self.rejected.into(),
            unanswered: self.unanswered.into(),
            ..Bucket::default()
        }
    }
}

impl From<WorkerSeries> for SavedSeries {
    fn from(WorkerSeries(series): WorkerSeries) -> SavedSeries {
        let starts = series.iter().map(|bucket| bucket.start);
        let length = Span::ALL.into_iter().map(|span| layout(span).1 as u32).rev();
        // The longest length that all starts are multiples of: the series does not know its span.
        let seconds =
            length.into_iter().find(|length| starts.clone().all(|start| start % length == 0)).unwrap_or(1);
        let start = series.first().map_or(0, |bucket| bucket.start);
        let mut before = start;
        let buckets = series.iter().map(|bucket| {
            let steps = (bucket.start - before) / seconds;
            before = bucket.start;
            (steps, bucket.watched, bucket.work, bucket.accepted, bucket.rejected, bucket.unanswered)
        });
        SavedSeries { start, seconds, buckets: buckets.collect() }
    }
}

impl From<SavedSeries> for WorkerSeries {
    fn from(saved: SavedSeries) -> WorkerSeries {
        let mut start = saved.start;
        let buckets =
            saved.buckets.into_iter().map(|(steps, watched, work, accepted, rejected, unanswered)| {
                start = start.saturating_add(steps.saturating_mul(saved.seconds));
                WorkerBucket { start, work, accepted, rejected, unanswered, watched }
            });
        WorkerSeries(buckets.collect())
    }
}
