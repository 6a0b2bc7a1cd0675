//! The whole analyzer, from the queue to the counts: lines a second on one thread, and the load of 100 Bitaxes:
//! `cargo bench --bench analyzer`. Compared, in the same run, with parsing each line's JSON frame and nothing else.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sluice::analyzer::{Analyzer, Setup};
use sluice::config;
use sluice::net::Stamp;
use sluice::stratum::Envelope;
use sluice::tap::{Conversation, Direction, SessionId, TapBytes, TapEvent, TapMessage};

const SESSIONS: u64 = 100;
const ROUNDS: usize = 40;
/// A session's shares between two jobs, as for a Bitaxe: 12 shares a minute, a job every 30 s.
const SHARES_PER_JOB: usize = 6;
/// The shares and jobs of 100 Bitaxes in a second.
const SHARES_PER_SECOND: f64 = 100.0 * 12.0 / 60.0;
const JOBS_PER_SECOND: f64 = 100.0 / 30.0;

fn main() {
    let notify = notify();
    let lines = (SHARES_PER_JOB * 2 + 1) * SESSIONS as usize * ROUNDS;
    let copies = copies(&notify);
    let frames = time_frames(&copies);
    let queue = copies.len() + 16;
    let config = config::AnalysisConfig { queue, ..config::AnalysisConfig::default() };
    let (sender, receiver) = crossbeam_channel::bounded(queue);
    for copy in copies {
        // The queue has room for all.
        let _ = sender.send(copy);
    }
    let shares = SHARES_PER_JOB * SESSIONS as usize * ROUNDS;
    let began = Instant::now();
    let Ok(analyzer) = Analyzer::start_on(receiver, Setup::plain(&config)) else { return };
    while !sender.is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // finish() also analyses the lines that wait to be put in order.
    let snapshot = analyzer.finish();
    let took = began.elapsed();
    assert_eq!(snapshot.summary.shares, shares as u64);
    let each = took.as_secs_f64() / lines as f64;
    println!("{lines} lines, {shares} of them shares with 12 branches, {SESSIONS} sessions");
    println!("whole analyzer   {:>10.0} lines/s   {:>6.2} us a line", 1.0 / each, each * 1e6);
    let frame = frames.as_secs_f64() / lines as f64;
    println!(
        "JSON frames only {:>10.0} lines/s   {:>6.2} us a line   (the analyzer: {:.1} times)",
        1.0 / frame,
        frame * 1e6,
        each / frame
    );
    let load = (SHARES_PER_SECOND * 2.0 + JOBS_PER_SECOND) * each;
    println!(
        "100 Bitaxes at 12 shares/min and a job every 30 s: {:.3} % of one core of this machine",
        load * 100.0
    );
}

/// The job of solo.ckpool.org among the collected jobs.
fn notify() -> String {
    let jobs = include_str!("../tests/data/real_notifies.jsonl").lines();
    let mut jobs = jobs.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let job = jobs.find(|job| job["line"].as_str().is_some_and(|line| line.contains("64851638001239e9")));
    job.and_then(|job| job["line"].as_str().map(String::from)).unwrap_or_default()
}

fn copies(notify: &str) -> Vec<TapMessage> {
    let opened = Stamp::now();
    let sessions: Vec<_> = (1..=SESSIONS)
        .map(|id| Arc::new(Conversation::new(SessionId(id), ([127, 0, 0, 1], 1).into(), opened)))
        .collect();
    let mut time = opened.as_nanos();
    let mut copies = Vec::new();
    let mut push = |session: &Arc<Conversation>, direction, text: String| {
        time += 1000;
        let at = Stamp::from_nanos(time);
        let bytes = (text + "\n").as_bytes().into();
        let chunk = TapBytes { direction, bytes, readable_at: at, sent_at: at, after_gap: false };
        copies.push(TapMessage { conversation: session.clone(), event: TapEvent::Bytes(chunk) });
    };
    for session in &sessions {
        let subscribe = r#"{"id":1,"method":"mining.subscribe","params":["bitaxe/BM1370/v2.15.1"]}"#;
        push(session, Direction::Up, subscribe.to_owned());
        let answer = r#"{"result":[[["mining.notify","d1e54072"]],"d1e54072",8],"id":1,"error":null}"#;
        push(session, Direction::Down, answer.to_owned());
        push(
            session,
            Direction::Down,
            r#"{"params":[1e-12],"id":null,"method":"mining.set_difficulty"}"#.to_owned(),
        );
    }
    for round in 0..ROUNDS {
        for session in &sessions {
            // Each job has another id, as at a pool.
            push(session, Direction::Down, notify.replace("64851638001239e9", &format!("{round:x}")));
            for share in 0..SHARES_PER_JOB {
                let id = round * SHARES_PER_JOB + share + 3;
                push(
                    session,
                    Direction::Up,
                    format!(
                        r#"{{"id":{id},"method":"mining.submit","params":["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.b","{round:x}","17{id:014x}","668d76e2","7552034c"]}}"#
                    ),
                );
                push(session, Direction::Down, format!(r#"{{"id":{id},"result":true,"error":null}}"#));
            }
        }
    }
    for session in &sessions {
        session.authorized.store(true, Ordering::Relaxed);
    }
    copies
}

/// The time to parse the lines' JSON frames alone.
fn time_frames(copies: &[TapMessage]) -> Duration {
    let began = Instant::now();
    for copy in copies {
        if let TapEvent::Bytes(chunk) = &copy.event {
            let _ = black_box(Envelope::read(&chunk.bytes));
        }
    }
    began.elapsed()
}
