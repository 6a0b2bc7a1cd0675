use super::*;
use crate::clock::NtpTime;
use crate::record::persisted_json::PersistedJson;
use crate::stratum::Difficulty;

/// A start of a bucket of every span.
const START: u64 = 1_790_006_400;

fn accepted() -> HistoryShare<'static> {
    let work = Difficulty::new(2.5).ok();
    HistoryShare { work, difficulty: Some(7.0), outcome: &ShareOutcome::Accepted, stale: false }
}

/// Runs for so many seconds with these workers connected.
fn run(histories: &mut WorkerHistories, workers: &[&str], from: u64, seconds: u64) {
    for second in from..=from + seconds {
        histories.tick(second, workers.iter().copied());
    }
}

#[test]
fn connected_time_and_shares_are_counted_and_the_rest_is_a_gap() {
    let mut histories = WorkerHistories::default();
    run(&mut histories, &["rig"], START, 600);
    histories.share("rig", START + 10, &accepted());
    let rejected = ShareOutcome::Rejected { code: None, reason: None };
    histories.share("rig", START + 20, &HistoryShare { outcome: &rejected, ..accepted() });
    run(&mut histories, &[], START + 600, 1200);
    run(&mut histories, &["rig"], START + 1800, 300);
    let series = histories.get("rig").unwrap().series(Span::Hour, START + 2100);
    assert_eq!(series.len(), 12);
    let watched: Vec<f64> = series.iter().skip(4).map(|bucket| bucket.watched).collect();
    assert_eq!(watched, [300.0, 300.0, 0.0, 0.0, 0.0, 0.0, 300.0, 0.0]);
    assert_eq!((series[4].work, series[4].accepted, series[4].rejected), (5.0, 1, 1));
    assert!(series[6].hash_rate().is_none());
    let day = histories.get("rig").unwrap().series(Span::Day, START + 2100);
    assert_eq!((day.len(), day[46].watched, day[47].watched), (48, 600.0, 300.0));
}

#[test]
fn a_stranger_that_only_invents_names_has_no_history() {
    let mut histories = WorkerHistories::default();
    let rejected = ShareOutcome::Rejected { code: None, reason: None };
    for number in 0..10_000 {
        let share = HistoryShare { outcome: &rejected, ..accepted() };
        histories.share(&format!("w{number}"), START, &share);
    }
    assert!(histories.is_empty());
}

#[test]
fn the_workers_and_their_buckets_are_bounded_in_memory_and_in_the_file() {
    let mut histories = WorkerHistories::default();
    let names: Vec<String> = (0..MAX_WORKERS + 5).map(|number| format!("worker-{number:04}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    // Eight days in steps of fifteen seconds.
    for step in 0..8 * 86_400 / MAX_TICK_SECONDS {
        let now = START + step * MAX_TICK_SECONDS;
        if step % 40 == 0 {
            for name in &all {
                histories.share(name, now, &accepted());
            }
        }
        // Each tick of all workers would take minutes in a test.
        histories.tick(now, all.iter().copied().filter(|_| step % 40 == 0));
    }
    assert_eq!(histories.len(), MAX_WORKERS);
    assert!(histories.get(all[0]).is_some() && histories.get(all[MAX_WORKERS]).is_none());
    let json = serde_json::to_string(&histories).unwrap();
    assert!(json.len() < MAX_WORKERS * 4096, "{}", json.len());
    let read: WorkerHistories = serde_json::from_str(&json).unwrap();
    assert_eq!(read.workers, histories.workers);
    // One that comes later has its place after one has left.
    let now = START + 9 * 86_400;
    run(&mut histories, &all[1..MAX_WORKERS], now, 700);
    run(&mut histories, &["late"], now + 701, 10);
    assert!(histories.get("late").is_some() && histories.get(all[0]).is_none());
    assert_eq!(histories.len(), MAX_WORKERS);
}

#[test]
fn a_file_of_others_is_bounded() {
    let bucket = r#"{"start":7,"seconds":4294967295,"buckets":[[9,65535,1e39,1,1,1],[1,2,-5.0,3,4,5]]}"#;
    let ours = r#"{"start":1790006400,"seconds":300,"buckets":[[0,65535,-1.0,3,4,5],[1,5,2.0,1,0,0]]}"#;
    let json = format!(r#"{{"version":1,"workers":{{"a":{{"1h":{bucket}}},"b":{{"1h":{ours}}}}}}}"#);
    let read: WorkerHistories = serde_json::from_str(&json).unwrap();
    let time = NtpTime::from_timestamp(jiff::Timestamp::from_second(START as i64).unwrap());
    let read = PersistedJson::bounded(read, time);
    let series = |worker: &str| read.get(worker).unwrap().series(Span::Hour, START + 300);
    assert!(series("a").iter().all(|bucket| bucket.accepted == 0));
    let last = &series("b")[10..];
    assert_eq!((last[0].watched, last[0].work, last[0].accepted), (300.0, 0.0, 3));
    assert_eq!((last[1].watched, last[1].work), (5.0, 2.0));
}

#[test]
fn a_clock_that_jumps_costs_no_memory_and_a_forgotten_worker_is_gone() {
    let mut histories = WorkerHistories::default();
    for day in [0, 400, 1, 4000, 2] {
        run(&mut histories, &["rig"], START + day * 86_400, 100);
    }
    let json = serde_json::to_string(&histories).unwrap();
    assert!(json.len() < 4096, "{json}");
    assert!(histories.forget("rig") && !histories.forget("rig"));
    assert!(histories.get("rig").is_none());
}
