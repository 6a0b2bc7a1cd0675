//! `history.json`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sluice::record::{HISTORY_FILE, History, HistoryShare, Recorder, ShareOutcome, Span};
use sluice::stratum::Difficulty;

use super::{noon, quick, read, wait_until};

fn start(dir: &Path) -> (Recorder, History) {
    let (recorder, saved) = Recorder::start(&quick(), dir, noon).unwrap();
    (recorder, saved.history)
}

/// The tests' noon, in seconds since 1970.
fn now() -> u64 {
    u64::try_from(noon().unix_seconds()).unwrap()
}

/// A run of some seconds in which an accepted share came.
fn go_on(history: &mut History, from: u64, seconds: u64) {
    history.tick(from);
    let work = Difficulty::new(512.0).ok();
    let outcome = &ShareOutcome::Accepted;
    history.share(from, &HistoryShare { work, difficulty: Some(700.0), outcome, stale: false });
    history.tick(from + seconds);
}

#[test]
fn the_history_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, mut history) = start(dir.path());
    go_on(&mut history, now() - 30, 5);
    recorder.save_history(Arc::default());
    recorder.save_history(Arc::new(history));
    recorder.finish().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    let (recorder, mut history) = start(dir.path());
    go_on(&mut history, now() - 20, 8);
    for span in Span::ALL {
        let series = history.series(span, now() - 1);
        let last = series[series.len() - 1];
        assert_eq!((last.watched, last.work, last.accepted, last.best), (13.0, 1024.0, 2, 700.0));
        assert!(series[..series.len() - 1].iter().all(|bucket| bucket.watched == 0.0));
    }
    recorder.finish().unwrap();
}

#[test]
fn it_is_written_seldom_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, mut history) = start(dir.path());
    let file = dir.path().join(HISTORY_FILE);
    recorder.save_history(Arc::new(history.clone()));
    wait_until("saved without an end", || file.exists());
    let first = read(&file);
    go_on(&mut history, now() - 30, 5);
    recorder.save_history(Arc::new(history));
    std::thread::sleep(quick().flush * 5);
    assert_eq!(read(&file), first, "five minutes are not over");
    recorder.finish().unwrap();
    assert_ne!(read(&file), first);
}

#[test]
fn a_corrupt_history_is_kept_aside_and_a_later_version_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(HISTORY_FILE);
    for corrupt in ["", "{\"version\":1,\"1h\":[", "[]", r#"{"version":1,"1h":[{"start":0,"work":1e999}]}"#] {
        fs::write(&file, corrupt).unwrap();
        let (recorder, history) = start(dir.path());
        recorder.finish().unwrap();
        assert!(history.series(Span::Hour, now()).iter().all(|bucket| bucket.watched == 0.0));
        assert_eq!(read(dir.path().join("history.json.bad-20261121T120000.123Z")), corrupt);
        assert!(!file.exists());
    }
    let bucket = format!(r#"{{"start":{},"watched":60.0,"work":3,"luck":{{}}}}"#, now() - 60);
    fs::write(&file, format!(r#"{{"version":2,"1h":[{bucket}],"1y":[1]}}"#)).unwrap();
    let (recorder, history) = start(dir.path());
    recorder.finish().unwrap();
    assert_eq!(history.series(Span::Hour, now())[58].work, 3.0);
}

#[test]
fn a_wrong_clock_at_the_start_does_not_empty_the_charts() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, mut history) = start(dir.path());
    go_on(&mut history, now() - 30, 5);
    recorder.save_history(Arc::new(history));
    recorder.finish().unwrap();
    for wrong in ["2026-04-01T00:00:00Z", "2027-07-01T00:00:00Z"] {
        let (recorder, saved) = Recorder::start(&quick(), dir.path(), move || super::time(wrong)).unwrap();
        let mut history = saved.history;
        let then = u64::try_from(super::time(wrong).unix_seconds()).unwrap();
        go_on(&mut history, then, 5);
        recorder.save_history(Arc::new(history));
        recorder.finish().unwrap();
    }
    let (recorder, history) = start(dir.path());
    for span in Span::ALL {
        let accepted: u32 = history.series(span, now()).iter().map(|bucket| bucket.accepted).sum();
        assert_eq!(accepted, 1, "{span:?}");
    }
    recorder.finish().unwrap();
}

#[test]
fn the_histories_of_workers_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, saved) = Recorder::start(&quick(), dir.path(), noon).unwrap();
    let mut histories = saved.worker_histories;
    let work = Difficulty::new(512.0).ok();
    let outcome = &ShareOutcome::Accepted;
    let share = HistoryShare { work, difficulty: Some(700.0), outcome, stale: false };
    histories.share("=rig", now() - 30, &share);
    recorder.save_worker_histories(Arc::new(histories));
    recorder.finish().unwrap();
    let text = read(dir.path().join("worker_history.json"));
    assert!(text.contains("\"'=rig\"") && text.lines().count() == 1, "{text}");

    let (recorder, saved) = Recorder::start(&quick(), dir.path(), noon).unwrap();
    let history = saved.worker_histories.get("=rig").unwrap();
    for span in Span::ALL {
        let accepted: u32 = history.series(span, now()).iter().map(|bucket| bucket.accepted).sum();
        assert_eq!(accepted, 1, "{span:?}");
    }
    recorder.finish().unwrap();
}
