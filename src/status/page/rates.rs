//! The hash rate in large letters: over a time with enough shares to know it, or what it was when it ended.

use std::time::Duration;

use super::activity::{Activity, last_share};
use crate::record::Span;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{rate, span};

/// Ten shares are right within a third, two times of three. With fewer in a window, a longer one is shown.
const ENOUGH_SHARES: usize = 10;

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The buckets of a chart that the last rate before an end is taken from.
const LAST_BUCKETS: usize = 10;

/// A hash rate, and the time that it is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ShownRate {
    pub(super) hashes: f64,
    /// Such as "last hour" or "14 min ago".
    pub(super) scope: String,
    /// Whether it is that of now.
    pub(super) is_now: bool,
}

impl ShownRate {
    pub(super) fn text(&self) -> String {
        rate(self.hashes)
    }
}

/// The hash rate to be shown; `None` before the first share.
pub(super) fn shown(status: &StatusSnapshot) -> Option<ShownRate> {
    if Activity::of(status) == Activity::Working && last_share(status).is_some() {
        Some(present(status))
    } else {
        past(status)
    }
}

/// The name of a window that ends now. After a recent start it is shorter than it could be.
pub(super) fn scope(status: &StatusSnapshot, window: Duration, name: &str) -> String {
    let watched = status.snapshot.up_for;
    if watched < window { format!("since the start, {}", span(watched)) } else { name.to_owned() }
}

fn present(status: &StatusSnapshot) -> ShownRate {
    let rates = &status.snapshot.hash_rates;
    let shares = |within: Duration| {
        status.snapshot.recent.shares.iter().take_while(|share| status.age_of(share.at) < within).count()
    };
    let (hashes, window, name) = if shares(FIVE_MINUTES) >= ENOUGH_SHARES {
        (rates.five_minutes, FIVE_MINUTES, "last 5 min")
    } else if shares(HOUR) >= ENOUGH_SHARES {
        (rates.one_hour, HOUR, "last hour")
    } else {
        (rates.one_day, DAY, "last 24 h")
    };
    ShownRate { hashes, scope: scope(status, window, name), is_now: true }
}

/// The rate when the last shares came, by the charts.
fn past(status: &StatusSnapshot) -> Option<ShownRate> {
    let now = u64::try_from(status.at.unix_seconds()).unwrap_or(0);
    Span::ALL.into_iter().find_map(|span_of_chart| {
        let series = status.snapshot.history.series(span_of_chart, now);
        let last = series.iter().rposition(|bucket| bucket.work > 0.0)?;
        let before = &series[last.saturating_sub(LAST_BUCKETS - 1)..=last];
        // Buckets before the miners' first share would thin it out.
        let first = before.iter().position(|bucket| bucket.work > 0.0).unwrap_or(0);
        let worked: Vec<f64> = before[first..].iter().filter_map(|bucket| bucket.hash_rate()).collect();
        if worked.is_empty() {
            return None;
        }
        let hashes = worked.iter().sum::<f64>() / worked.len() as f64;
        let ended = (series[last].start + span_of_chart.bucket_seconds()).min(now);
        let age = last_share(status).unwrap_or(Duration::from_secs(now - ended));
        Some(ShownRate { hashes, scope: format!("{} ago", span(age)), is_now: false })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::{History, HistoryShare, ShareOutcome};
    use crate::status::page::tests::{change, pool, share, status};
    use crate::stratum::Difficulty;

    #[test]
    fn the_window_has_enough_shares() {
        let mut now = status();
        now.runtime.sessions = 1;
        let row = Arc::new(share(&now, ShareOutcome::Accepted));
        change(&mut now, |snapshot| {
            snapshot.pools = vec![pool()];
            snapshot.up_for = Duration::from_secs(7200);
            snapshot.hash_rates.five_minutes = 5.0;
            snapshot.hash_rates.one_day = 24.0;
            snapshot.recent.shares = vec![row.clone(); 10].into();
        });
        assert_eq!(
            shown(&now).map(|shown| (shown.text(), shown.scope)),
            Some(("5.00 H/s".into(), "last 5 min".into()))
        );
        change(&mut now, |snapshot| snapshot.recent.shares = vec![row; 9].into());
        let few = shown(&now).unwrap();
        assert_eq!((few.text(), few.scope), ("24.0 H/s".into(), "since the start, 2 h 0 min".into()));
    }

    #[test]
    fn without_miners_it_is_a_rate_of_the_past() {
        let mut now = status();
        assert_eq!(shown(&now), None);
        let (second, mut history) = (u64::try_from(now.at.unix_seconds()).unwrap(), History::default());
        for at in second - 1200..second {
            history.tick(at);
            if at < second - 840 {
                let work = Some(Difficulty::ONE);
                history.share(
                    at,
                    &HistoryShare { work, difficulty: None, outcome: &ShareOutcome::Accepted, stale: false },
                );
            }
        }
        change(&mut now, |snapshot| snapshot.history = Arc::new(history));
        let past = shown(&now).unwrap();
        assert!(!past.is_now && (4.0e9..4.6e9).contains(&past.hashes), "{past:?}");
        assert_eq!(past.scope, "14 min ago");
    }
}
