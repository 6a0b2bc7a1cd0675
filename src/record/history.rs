//! The time series behind the page's charts, saved across restarts.

mod bucket;

use serde::{Deserialize, Serialize};

pub use bucket::{Bucket, HistoryShare};

/// The version of the file format.
const VERSION: u32 = 1;
/// Caps the seconds that one tick counts as. After a longer pause the clock was set, or the machine slept.
const MAX_TICK_SECONDS: u64 = 10;
/// Caps how far a share's time can be ahead of the last tick. It is further ahead only if the clock was set back in
/// between.
const MAX_SECONDS_AHEAD: u64 = 60;
/// The latest start of a bucket. A block's time cannot be later; this is in 2106.
const MAX_START: u64 = u32::MAX as u64;

/// The length of the past that a series covers, and the length of its buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// 60 buckets of a minute.
    Hour,
    /// 144 buckets of 10 minutes.
    Day,
    /// 168 buckets of an hour.
    Week,
}

/// The series of the last hour, day and week. Their size is bounded.
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

    /// The name, the number of buckets, and the seconds of each.
    const fn layout(self) -> (&'static str, usize, u64) {
        match self {
            Span::Hour => ("1h", 60, 60),
            Span::Day => ("24h", 144, 600),
            Span::Week => ("7d", 168, 3600),
        }
    }

    /// `1h`, `24h` or `7d`.
    pub fn name(self) -> &'static str {
        self.layout().0
    }

    /// The number of buckets.
    pub fn buckets(self) -> usize {
        self.layout().1
    }

    /// The length of a bucket.
    pub fn bucket_seconds(self) -> u64 {
        self.layout().2
    }

    /// The span of this name.
    pub fn parse(name: &str) -> Option<Span> {
        Span::ALL.into_iter().find(|span| span.name() == name)
    }

    /// The start of the bucket that `at` belongs to.
    fn start(self, at: u64) -> u64 {
        at - at % self.bucket_seconds()
    }

    /// The start of the oldest bucket that is shown at `now`.
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
    /// Counts a share that was sent at `at`, in seconds since 1970 by NTP. Its verdict may have come much later.
    pub fn share(&mut self, at: u64, share: &HistoryShare) {
        let now = *self.now.get_or_insert(at);
        let at = if at > now.saturating_add(MAX_SECONDS_AHEAD) { now } else { at };
        for span in Span::ALL {
            if at >= span.oldest(now) {
                self.series_mut(span).bucket(span, at).share(share);
            }
        }
        self.forget(now);
    }

    /// Counts the time up to `now`, in seconds since 1970 by NTP, as time in which Sluice ran. To be called at
    /// least every few seconds.
    pub fn tick(&mut self, now: u64) {
        let before = self.now.replace(now).unwrap_or(now);
        let ran = now.saturating_sub(before).min(MAX_TICK_SECONDS);
        for span in Span::ALL {
            let series = self.series_mut(span);
            for second in now - ran..now {
                series.bucket(span, second).watch(span.bucket_seconds());
            }
        }
        self.forget(now);
    }

    /// All buckets of the span, the oldest first and that of `now` last. Buckets without data are empty.
    pub fn series(&self, span: Span, now: u64) -> Vec<Bucket> {
        let (oldest, length) = (span.oldest(now), span.bucket_seconds());
        let series = match span {
            Span::Hour => &self.hour,
            Span::Day => &self.day,
            Span::Week => &self.week,
        };
        (0..span.buckets() as u64).map(|place| series.get(oldest + place * length)).collect()
    }

    /// A number that changes each minute. Charts need not be drawn more often.
    pub fn revision(&self) -> u64 {
        self.now.map_or(0, |now| now / Span::Hour.bucket_seconds())
    }

    /// Enforces the bounds on a file that others may have written. Buckets that seem too old or in the future stay
    /// while there is room, because `now` may be wrong, as on a Raspberry Pi that has just been switched on. They
    /// are not shown meanwhile.
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

/// The buckets with data, sorted by their start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Series(Vec<Bucket>);

impl Series {
    fn get(&self, start: u64) -> Bucket {
        self.place(start).map_or_else(|_| Bucket::at(start), |place| self.0[place])
    }

    /// The bucket that `at` belongs to, inserted if it is missing.
    fn bucket(&mut self, span: Span, at: u64) -> &mut Bucket {
        let start = span.start(at);
        let place = self.place(start).unwrap_or_else(|place| {
            self.0.insert(place, Bucket::at(start));
            place
        });
        &mut self.0[place]
    }

    /// Drops the buckets that are furthest from `now`, and only when the series is full. So a clock that is wrong
    /// for a while costs no more buckets than it has opened.
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
        self.0.retain(|bucket| bucket.start % length == 0 && bucket.start <= MAX_START);
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
