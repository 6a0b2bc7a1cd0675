use super::*;
use crate::record::ShareOutcome;
use crate::stratum::Difficulty;

/// The beginning of an hour.
const NOON: u64 = 1_795_262_400;

fn share(history: &mut History, at: u64, work: f64, outcome: &ShareOutcome) {
    let (work, difficulty) = (Difficulty::new(work).ok(), Some(work * 1.5));
    history.share(at, &HistoryShare { work, difficulty, outcome, stale: false });
}

/// Ticks through `seconds`, with an accepted share of difficulty 2 each ten seconds.
fn run(history: &mut History, seconds: std::ops::Range<u64>) {
    history.tick(seconds.start);
    for second in seconds {
        if second % 10 == 0 {
            share(history, second, 2.0, &ShareOutcome::Accepted);
        }
        history.tick(second + 1);
        history.tick(second + 1);
    }
}

fn watched(history: &History, span: Span, now: u64) -> f64 {
    history.series(span, now).iter().map(|bucket| bucket.watched).sum()
}

#[test]
fn a_steady_run_fills_every_series_and_rolls_over() {
    let mut history = History::default();
    let end = NOON + 9 * 24 * 3600 + 30;
    run(&mut history, NOON..end);
    for span in Span::ALL {
        let series = history.series(span, end);
        let (length, count) = (span.bucket_seconds(), span.buckets());
        assert_eq!((series.len(), series[count - 1].start), (count, end - end % length));
        for bucket in &series[..count - 1] {
            assert_eq!(bucket.start % length, 0);
            assert_eq!((bucket.watched, bucket.work), (length as f64, length as f64 / 5.0));
            assert_eq!((u64::from(bucket.accepted), bucket.best), (length / 10, 3.0));
        }
        assert_eq!(series[count - 1].watched, 30.0);
        let rates: Vec<f64> = series.iter().filter_map(Bucket::hash_rate).collect();
        assert!(rates.iter().all(|rate| (rate / (0.2 * 4_294_967_296.0) - 1.0).abs() < 1e-9));
        assert_eq!(rates.len(), count);
    }
    let kept = history.hour.0.len() + history.day.0.len() + history.week.0.len();
    assert_eq!(kept, 60 + 144 + 168);
}

#[test]
fn time_without_sluice_is_a_gap() {
    let mut history = History::default();
    run(&mut history, NOON..NOON + 120);
    run(&mut history, NOON + 600..NOON + 660);
    let series = history.series(Span::Hour, NOON + 659);
    let known: Vec<u64> =
        series.iter().filter(|bucket| bucket.watched > 0.0).map(|bucket| bucket.start - NOON).collect();
    // A pause counts as ten seconds at most: the analyzer may only have been delayed.
    assert_eq!(known, [0, 60, 540, 600]);
    assert_eq!(series[series.len() - 2].watched, 10.0);
    assert_eq!(series[series.len() - 3].hash_rate(), None);
}

#[test]
fn a_late_verdict_counts_for_the_time_of_its_share() {
    let mut history = History::default();
    run(&mut history, NOON..NOON + 300);
    share(&mut history, NOON + 61, 2.0, &ShareOutcome::Unanswered);
    // This share is too old for the hour, but not for the day.
    share(&mut history, NOON - 4000, 2.0, &ShareOutcome::Unanswered);
    let series = history.series(Span::Hour, NOON + 300);
    let unanswered: Vec<u64> =
        series.iter().filter(|bucket| bucket.unanswered > 0).map(|bucket| bucket.start).collect();
    assert_eq!(unanswered, [NOON + 60]);
    let day = history.series(Span::Day, NOON + 300);
    assert_eq!(day.iter().map(|bucket| bucket.unanswered).sum::<u32>(), 2);
    assert_eq!(day.iter().map(|bucket| bucket.accepted).sum::<u32>(), 30);
}

#[test]
fn a_clock_that_jumps_adds_a_few_seconds_and_loses_nothing() {
    for elsewhere in [NOON + 86_400 * 3650, NOON + 3600, NOON - 3600, 0, u64::MAX] {
        let mut history = History::default();
        run(&mut history, NOON..NOON + 1800);
        run(&mut history, elsewhere..elsewhere.saturating_add(30));
        // The share was sent by one clock and judged by the other.
        share(&mut history, elsewhere, 2.0, &ShareOutcome::Rejected { code: None, reason: None });
        run(&mut history, NOON + 1800..NOON + 2400);
        let found = watched(&history, Span::Hour, NOON + 2400);
        assert!((2400.0..2460.0).contains(&found), "{elsewhere}: {found}");
        let series = history.series(Span::Hour, NOON + 2400);
        let accepted: u32 = series.iter().map(|bucket| bucket.accepted).sum();
        assert!((240..=246).contains(&accepted), "{elsewhere}: {accepted}");
        assert!(history.hour.0.len() <= 60 && history.week.0.len() <= 168);
    }
}

#[test]
fn a_share_of_a_clock_that_was_ahead_counts_as_of_now() {
    let mut history = History::default();
    run(&mut history, NOON..NOON + 60);
    share(&mut history, NOON + 100_000, 2.0, &ShareOutcome::Unanswered);
    assert_eq!(history.series(Span::Hour, NOON + 60)[59].unanswered, 1);
}

#[test]
fn a_restart_continues_the_history() {
    let mut history = History::default();
    run(&mut history, NOON..NOON + 90);
    let json = serde_json::to_string(&history).unwrap();
    let kept: History = serde_json::from_str(&json).unwrap();
    let mut history = kept.bounded(NOON + 100);
    run(&mut history, NOON + 100..NOON + 130);
    let series = history.series(Span::Hour, NOON + 130);
    assert_eq!((series[58].watched, series[59].watched), (50.0, 10.0));
    assert_eq!((series[58].accepted, series[59].accepted), (5, 1));
    // A machine without a clock of its own starts in the past, and learns the time later; or its clock
    // is ahead.
    for wrong in [NOON - 3000, NOON - 231 * 86_400, NOON + 100 * 86_400] {
        let kept: History = serde_json::from_str(&json).unwrap();
        let mut history = kept.bounded(wrong);
        run(&mut history, wrong..wrong + 30);
        assert_eq!(watched(&history, Span::Hour, wrong + 30), 30.0);
        run(&mut history, NOON + 100..NOON + 130);
        let found = watched(&history, Span::Hour, NOON + 130);
        assert!((120.0..=160.0).contains(&found), "{found}");
        assert_eq!(history.series(Span::Hour, NOON + 130)[58].accepted, 5);
    }
}

#[test]
fn a_hostile_file_is_bounded() {
    let bucket = |start: u64| format!(r#"{{"start":{start},"watched":1e300,"work":-5,"later":[1]}}"#);
    let mut buckets: Vec<String> = (0..10_000).map(|place| bucket(NOON - 60 * place)).collect();
    buckets.extend([NOON, NOON + 1, NOON + 86_400, 0, u64::MAX].map(bucket));
    let json = format!(r#"{{"version":99,"1h":[{}],"1y":[],"24h":[]}}"#, buckets.join(","));
    let history: History = serde_json::from_str(&json).unwrap();
    let history = history.bounded(NOON + 30);
    assert_eq!(history.hour.0.len(), 60);
    for bucket in history.series(Span::Hour, NOON + 30) {
        assert_eq!((bucket.watched, bucket.work), (60.0, 0.0));
    }
    assert!(serde_json::to_string(&history).unwrap().contains("\"version\":1"));
    for broken in ["{}", "[]", r#"{"version":1,"1h":[{}]}"#, r#"{"version":1,"1h":[{"start":-60}]}"#] {
        assert!(serde_json::from_str::<History>(broken).is_err(), "{broken}");
    }
}

#[test]
fn names_are_read_back_and_a_minute_is_a_revision() {
    assert_eq!(Span::ALL.map(|span| Span::parse(span.name())), Span::ALL.map(Some));
    assert_eq!(Span::parse("1y"), None);
    let mut history = History::default();
    let revisions = [NOON, NOON + 59, NOON + 60].map(|now| {
        history.tick(now);
        history.revision()
    });
    assert!(revisions[0] == revisions[1] && revisions[1] != revisions[2]);
}
