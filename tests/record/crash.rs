//! Rows after kill -9 and after a power cut.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{SHARES_HEADER, msg_ids, quick, read, rows, share, start};

/// Tells the child where to write.
const CHILD_DIR: &str = "SLUICE_TEST_RECORD_DIR";

/// The child loses what it recorded within the flush interval (100 ms); the rest is
/// slack for a busy machine.
const MAY_BE_LOST: Duration = Duration::from_millis(2000);

#[test]
#[ignore = "the child of kill_9_loses_no_more_than_the_flush_interval"]
fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let (recorder, _) = start(Path::new(&dir), &quick());
    for id in 0_u64.. {
        recorder.record_share(&share(id));
        println!("recorded {id}");
        std::io::stdout().flush().unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn kill_9_loses_no_more_than_the_flush_interval() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shares.csv");
    let mut ids = Vec::new();
    for round in 1..=2 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "record::crash::child", "--ignored", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut recorded: Vec<(u64, Instant)> = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some(id) = line.unwrap().strip_prefix("recorded ") {
                recorded.push((id.parse().unwrap(), Instant::now()));
            }
            if recorded.first().is_some_and(|first| first.1.elapsed() > MAY_BE_LOST + Duration::from_secs(1))
            {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let killed = Instant::now();
        let text = read(&path);
        assert_eq!(text.matches(SHARES_HEADER).count(), 1);
        assert!(text.ends_with('\n') || round == 1);
        ids = msg_ids(&text);
        let mine = &ids[ids.len() - ids.iter().rev().position(|id| *id == 0).unwrap() - 1..];
        assert!(mine.iter().copied().eq(0..mine.len() as u64), "a gap");
        let promised =
            recorded.iter().rev().find(|(_, at)| killed - *at > MAY_BE_LOST).expect("ran for long enough").0;
        assert!(mine.len() as u64 > promised, "{} rows, {promised} recorded in time", mine.len());
    }
    // The next start goes on behind them.
    let (recorder, _) = start(dir.path(), &quick());
    recorder.record_share(&share(77));
    recorder.finish().unwrap();
    let after = msg_ids(&read(&path));
    assert_eq!(after.last(), Some(&77));
    assert!(after.len() > ids.len().saturating_sub(1));
}

#[test]
fn a_torn_row_is_set_aside_and_never_glued_to_the_next() {
    let whole = {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, _) = start(dir.path(), &quick());
        recorder.record_share(&share(1));
        recorder.finish().unwrap();
        read(dir.path().join("shares.csv"))
    };
    for torn in ["2026-11-21T12:00:00.123Z,192.168.1.20:51", "\"half a quote"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shares.csv");
        fs::write(&path, format!("{whole}{torn}")).unwrap();
        let (recorder, _) = start(dir.path(), &quick());
        recorder.record_share(&share(2));
        recorder.finish().unwrap();
        assert_eq!(msg_ids(&read(&path)), [1, 2]);
        assert!(read(&path).starts_with(&whole));
        assert_eq!(read(dir.path().join("shares.csv.partial")), format!("{torn}\n"));
    }
}

#[test]
fn a_torn_header_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shares.csv");
    fs::write(&path, "timestamp,miner_a").unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    recorder.record_share(&share(2));
    recorder.finish().unwrap();
    assert_eq!(rows(&read(&path)).len(), 1);
    assert!(read(&path).starts_with(SHARES_HEADER));
}

#[test]
fn nuls_at_the_end_are_cut_off_however_many() {
    let whole = {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, _) = start(dir.path(), &quick());
        recorder.record_share(&share(1));
        recorder.finish().unwrap();
        read(dir.path().join("shares.csv"))
    };
    for (torn, nuls) in [("", 5), ("", 64 << 10), ("", 3 << 20), ("2026-11-21T12:00:00.123Z,192", 200_000)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shares.csv");
        fs::write(&path, format!("{whole}{torn}{}", "\0".repeat(nuls))).unwrap();
        let (recorder, _) = start(dir.path(), &quick());
        recorder.record_share(&share(2));
        recorder.finish().unwrap();
        let text = read(&path);
        assert!(!text.contains('\0'), "{nuls} NULs");
        assert_eq!(msg_ids(&text), [1, 2]);
        let partial = fs::read_to_string(dir.path().join("shares.csv.partial")).unwrap_or_default();
        assert_eq!(partial.trim_end(), torn);
    }
    // Nothing but NULs.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shares.csv");
    fs::write(&path, "\0".repeat(100_000)).unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    recorder.record_share(&share(2));
    recorder.finish().unwrap();
    assert!(read(&path).starts_with(SHARES_HEADER));
    assert_eq!(msg_ids(&read(&path)), [2]);
}
