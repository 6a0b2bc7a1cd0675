//! The time series behind the page's charts, kept over restarts.

mod bucket;

use serde::{Deserialize, Serialize};

pub use bucket::{Bucket, HistoryShare};

/// The version that is written.
const VERSION: u32 = 1;
/// The most seconds that one tick stands for: after a longer pause the clock was set, or the
/// machine slept.
const LONGEST_STEP: u64 = 10;
/// A share can be ahead of the last tick by so many seconds; by more only when the clock was set
/// back in between.
const AHEAD_OF_TICK: u64 = 60;
/// No bucket is later: a block's time ends there, in 2106.
const LATEST: u64 = u32::MAX as u64;

/// How much of the past a series covers, and how finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// 60 minutes.
    Hour,
    /// 144 times 10 minutes.
    Day,
    /// 168 hours.
    Week,
}

/// What happened in the last hour, day and week. Always of a bounded size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct History {
    version: u32,
    #[serde(rename = "1h", default)]
    hour: Series,
    #[serde(rename = "24h", default)]
    day: Series,
    #[serde(rename = "7d", default)]
    week: Series,
    /// The last tick, in seconds since 1970.
    #[serde(skip)]
    now: Option<u64>,
}

impl Span {
    /// From the finest to the longest.
    pub const ALL: [Span; 3] = [Span::Hour, Span::Day, Span::Week];

    /// How long each bucket is.
    pub fn bucket_seconds(self) -> u64 {
        match self {
            Span::Hour => 60,
            Span::Day => 600,
            Span::Week => 3600,
        }
    }

    /// How many there are.
    pub fn buckets(self) -> usize {
        match self {
            Span::Hour => 60,
            Span::Day => 144,
            Span::Week => 168,
        }
    }

    /// `1h`, `24h` or `7d`.
    pub fn name(self) -> &'static str {
        match self {
            Span::Hour => "1h",
            Span::Day => "24h",
            Span::Week => "7d",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Span> {
        Span::ALL.into_iter().find(|span| span.name() == name)
    }

    /// Where the bucket begins that `at` belongs to.
    fn start(self, at: u64) -> u64 {
        at - at % self.bucket_seconds()
    }

    /// Where the oldest bucket begins that is shown at `now`.
    fn oldest(self, now: u64) -> u64 {
        self.start(now).saturating_sub((self.buckets() as u64 - 1) * self.bucket_seconds())
    }
}

impl Default for History {
    fn default() -> History {
        let none = Series::default;
        History { version: VERSION, hour: none(), day: none(), week: none(), now: None }
    }
}

impl History {
    /// Counts a share that was sent at `at`, in seconds since 1970 by NTP; its verdict can be much
    /// later.
    pub fn share(&mut self, at: u64, share: &HistoryShare) {
        let now = *self.now.get_or_insert(at);
        let at = if at > now.saturating_add(AHEAD_OF_TICK) { now } else { at };
        for span in Span::ALL {
            if at >= span.oldest(now) {
                self.series_mut(span).bucket(span, at).share(share);
            }
        }
        self.forget(now);
    }

    /// Sluice runs, and it is `now`, in seconds since 1970 by NTP. To be called at least every few
    /// seconds.
    pub fn tick(&mut self, now: u64) {
        let before = self.now.replace(now).unwrap_or(now);
        let ran = now.saturating_sub(before).min(LONGEST_STEP);
        for span in Span::ALL {
            let series = self.series_mut(span);
            for second in now - ran..now {
                series.bucket(span, second).watch(span.bucket_seconds());
            }
        }
        self.forget(now);
    }

    /// As many buckets as the span has, oldest first, the last one being that of `now`. What is not
    /// known has watched nothing.
    pub fn series(&self, span: Span, now: u64) -> Vec<Bucket> {
        let (oldest, length) = (span.oldest(now), span.bucket_seconds());
        let series = match span {
            Span::Hour => &self.hour,
            Span::Day => &self.day,
            Span::Week => &self.week,
        };
        (0..span.buckets() as u64).map(|place| series.get(oldest + place * length)).collect()
    }

    /// Another one when a new minute has begun: charts need not be drawn more often.
    pub fn revision(&self) -> u64 {
        self.now.map_or(0, |now| now / Span::Hour.bucket_seconds())
    }

    /// Holds a file that somebody else may have written to our bounds. Buckets that seem too old, or of
    /// the future, stay while there is room: it may be `now` that is wrong, as on a Raspberry Pi that
    /// has just been switched on. Nothing of them is shown meanwhile.
    pub(super) fn bounded(mut self, now: u64) -> History {
        for span in Span::ALL {
            self.series_mut(span).bound(span);
        }
        self.forget(now);
        History { version: VERSION, ..self }
    }

    fn series_mut(&mut self, span: Span) -> &mut Series {
        match span {
            Span::Hour => &mut self.hour,
            Span::Day => &mut self.day,
            Span::Week => &mut self.week,
        }
    }

    fn forget(&mut self, now: u64) {
        for span in Span::ALL {
            self.series_mut(span).forget(span, now);
        }
    }
}

/// Buckets that know something, by their start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Series(Vec<Bucket>);

impl Series {
    fn get(&self, start: u64) -> Bucket {
        match self.place(start) {
            Ok(place) => self.0[place],
            Err(_) => Bucket::at(start),
        }
    }

    /// The bucket that `at` belongs to, a new one if need be.
    fn bucket(&mut self, span: Span, at: u64) -> &mut Bucket {
        let start = span.start(at);
        let place = match self.place(start) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, Bucket::at(start));
                place
            }
        };
        &mut self.0[place]
    }

    /// The one that is furthest from now makes room, and only when it must: so a clock that is wrong
    /// for a while, in whichever direction, takes no more buckets than it opens.
    fn forget(&mut self, span: Span, now: u64) {
        while self.0.len() > span.buckets() {
            let distance = |bucket: Option<&Bucket>| bucket.map_or(0, |bucket| bucket.start.abs_diff(now));
            if distance(self.0.last()) > distance(self.0.first()) {
                self.0.pop();
            } else {
                self.0.remove(0);
            }
        }
    }

    fn bound(&mut self, span: Span) {
        let length = span.bucket_seconds();
        self.0.retain(|bucket| bucket.start % length == 0 && bucket.start <= LATEST);
        self.0.sort_by_key(|bucket| bucket.start);
        self.0.dedup_by_key(|bucket| bucket.start);
        for bucket in &mut self.0 {
            *bucket = bucket.bounded(length);
        }
    }

    fn place(&self, start: u64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&start, |bucket| bucket.start)
    }
}

#[cfg(test)]
mod tests;
