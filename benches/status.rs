//! The cost of the status documents with 2,000 connected miners: `cargo bench --bench status`. A client waits for them;
//! forwarding does not.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice::analyzer::{Analyzer, HashRates, MinerView, PayoutState, Setup, Snapshot};
use sluice::clock::NtpTime;
use sluice::config::{AnalysisConfig, Config, Overrides};
use sluice::record::BestShare;
use sluice::status::json::status;
use sluice::status::metrics::metrics;
use sluice::status::snapshot::{ProgramInfo, RuntimeStatus, StatusSnapshot};
use sluice::stratum::{Difficulty, Extranonce1, Extranonce2Size};
use sluice::tap::SessionId;
use sluice::work::BlockHash;

const MINERS: u64 = 2000;
const RUNS: usize = 200;
/// The promised limit for `/status`.
const MAX_STATUS_TIME: Duration = Duration::from_millis(5);

fn main() {
    let snapshot = snapshot();
    let took = time("/status", || status(&snapshot));
    time("/metrics", || metrics(&snapshot));
    assert!(took < MAX_STATUS_TIME, "/status takes {took:.1?}");
}

/// The fastest of many runs: the time if nothing else runs on the machine.
fn time(name: &str, document: impl Fn() -> String) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            black_box(document());
            began.elapsed()
        })
        .collect();
    times.sort();
    let (best, median, worst) = (times[0], times[RUNS / 2], times[RUNS - 1]);
    let bytes = document().len();
    println!(
        "{name:<9} {MINERS} miners: {bytes:>8} bytes, best {best:.2?}, median {median:.2?}, worst {worst:.2?}"
    );
    best
}

fn snapshot() -> StatusSnapshot {
    let text = "[[upstream]]\nurl = \"stratum+tcp://pool.example:3333\"\n";
    let config = Config::parse(text, &Overrides::default()).unwrap();
    let (analyzer, _copies) = Analyzer::start(Setup::plain(&AnalysisConfig::default())).unwrap();
    let snapshot = analyzer.finish();
    let at = snapshot.at.unwrap();
    let miners = (1..=MINERS).map(|session| miner(session, at)).collect();
    let snapshot = Arc::new(Snapshot { miners, ..(*snapshot).clone() });
    StatusSnapshot {
        program: Arc::new(ProgramInfo::new(&config, Vec::new())),
        snapshot,
        runtime: RuntimeStatus::default(),
        at,
        up_for: Duration::from_secs(86_400),
    }
}

fn miner(session: u64, at: NtpTime) -> MinerView {
    let worker = format!("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.rig{session}");
    let rate = 1.2345678901e12 * session as f64;
    MinerView {
        session: SessionId(session),
        miner: ([192, 168, 1, 20], 40_000 + session as u16).into(),
        worker: worker.as_str().into(),
        user_agent: "bitaxe/BM1370/v2.9.0".into(),
        upstream: Some(0),
        difficulty: 1024.5,
        difficulty_since: Some(at),
        best: 1_234_567.891,
        accepted: 1000 * session,
        rejected: session,
        unanswered: 1,
        unknown: 0,
        hash_rates: HashRates {
            one_minute: rate,
            five_minutes: rate / 3.0,
            one_hour: rate,
            one_day: rate / 7.0,
        },
        connected_for: Duration::from_millis(86_400_123),
        connected_since: at,
        last_share_ago: Some(Duration::from_millis(1234)),
        last_share: Some(at),
        stale: 3,
        accepted_difficulty: 1.024e6 * session as f64,
        best_ever: Some(BestShare {
            worker,
            difficulty: Difficulty::new(9_876_543.21).unwrap(),
            hash: BlockHash::from_bytes([7; 32]),
            at,
        }),
        extranonce1: Extranonce1::from_text("d1e54072").ok(),
        extranonce2_size: Extranonce2Size::new(8).ok(),
        payout: Some(PayoutState::Verified),
    }
}
