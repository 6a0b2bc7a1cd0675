//! The files under `data_dir`, through real files: what they say, and what becomes of them when
//! the disk, the program or a stranger's text does its worst.

mod crash;
mod disk;
mod history;
mod kept;
use crate::common::{DEADLINE, ntp_server};
mod rotation;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sluice::clock::NtpTime;
use sluice::config::{RecordConfig, Severity};
use sluice::record::{AlertKind, AlertRow, GeekTopic, JobRow, Recorder, SavedState, ShareOutcome, ShareRow};
use sluice::stratum::{Difficulty, Extranonce1, Extranonce2, JobId, Nonce, Ntime, Version};
use sluice::tap::SessionId;
use sluice::work::{BlockHash, Height};

const SHARES_HEADER: &str = "timestamp,miner_addr,worker,job_id,nonce,share_difficulty,job_age_seconds,\
is_block,msg_id,assigned_difficulty,result,reject_code,reject_reason,response_ms,ntime,version,extranonce1,\
extranonce2,hash,height,network_difficulty,upstream,session,user_agent";

const TIMING_HEADER: &str = "pool,job_id,height,ntime,ntp_time,ntime_minus_ntp_seconds,receive_gap_seconds,\
prevhash_age_seconds,branches,session,miner_addr,worker";

fn time(text: &str) -> NtpTime {
    NtpTime::from_timestamp(text.parse().unwrap())
}

fn noon() -> NtpTime {
    time("2026-11-21T12:00:00.123Z")
}

fn quick() -> RecordConfig {
    RecordConfig { flush: Duration::from_millis(100), ..RecordConfig::default() }
}

/// With the real time, which files that are opened again are dated by.
fn start(dir: &Path, record: &RecordConfig) -> (Recorder, SavedState) {
    let now = || NtpTime::from_timestamp(jiff::Timestamp::now());
    let (recorder, saved) = Recorder::start(record, dir, now).unwrap();
    (recorder, saved.state)
}

fn start_at_noon(dir: &Path, record: &RecordConfig) -> (Recorder, SavedState) {
    let (recorder, saved) = Recorder::start(record, dir, noon).unwrap();
    (recorder, saved.state)
}

fn share(msg_id: u64) -> ShareRow {
    ShareRow {
        at: noon(),
        miner: "192.168.1.20:51234".parse().unwrap(),
        worker: "bc1qminer.rig1".into(),
        job_id: JobId::from_text("65a1f").unwrap(),
        nonce: Nonce(0x0002_bdcb),
        share_difficulty: Some(1234.5),
        job_age: Some(Duration::from_millis(12_345)),
        is_block: Some(false),
        msg_id: msg_id.to_string(),
        assigned_difficulty: Difficulty::new(512.0).ok(),
        outcome: ShareOutcome::Accepted,
        response: Some(Duration::from_micros(45_678)),
        ntime: Ntime(0x6b01_3ca4),
        version: Some(Version(0x2000_0000)),
        extranonce1: Extranonce1::from_text("08000000").ok(),
        extranonce2: Extranonce2::from_text("0000008f").unwrap(),
        hash: Some(BlockHash::from_bytes([0x11; 32])),
        height: Some(Height(900_000)),
        network_difficulty: Some(1.5e14),
        upstream: "stratum+tcp://solo.ckpool.org:3333".into(),
        session: SessionId(7),
        user_agent: "bitaxe/BM1370/v2.9".into(),
    }
}

fn job() -> JobRow {
    JobRow {
        pool: "pool.example:3333".into(),
        job_id: JobId::from_text("1").unwrap(),
        height: None,
        ntime: Ntime(1_795_262_400),
        at: noon(),
        receive_gap: None,
        prevhash_age: Some(Duration::from_secs(61)),
        branches: 0,
        session: SessionId(7),
        miner: None,
        worker: "bc1qminer.rig1".into(),
    }
}

fn alert(description: &str, data: serde_json::Value) -> AlertRow {
    AlertRow {
        at: noon(),
        kind: AlertKind::Begins,
        severity: Severity::High,
        id: "payout.mismatch",
        description: description.into(),
        data,
    }
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap()
}

/// The rows of a CSV file, which all have the header's number of fields.
fn rows(text: &str) -> Vec<csv::StringRecord> {
    csv::Reader::from_reader(text.as_bytes()).records().map(|row| row.unwrap()).collect()
}

/// The `msg_id` of each row of `shares.csv`.
fn msg_ids(text: &str) -> Vec<u64> {
    rows(text).iter().map(|row| row[8].parse().unwrap()).collect()
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_share_is_one_row_with_the_promised_columns() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    recorder.record_share(&share(4));
    let rejected = ShareOutcome::Rejected { code: Some(23), reason: Some("Above, target".into()) };
    recorder.record_share(&ShareRow {
        outcome: rejected,
        share_difficulty: None,
        job_age: None,
        is_block: None,
        response: None,
        version: None,
        extranonce1: None,
        hash: None,
        height: None,
        network_difficulty: Some(f64::INFINITY),
        assigned_difficulty: None,
        msg_id: "\"abc\"".into(),
        ..share(5)
    });
    recorder.finish().unwrap();
    let hash = "11".repeat(32);
    assert_eq!(
        read(dir.path().join("shares.csv")),
        format!(
            "{SHARES_HEADER}\n\
             2026-11-21T12:00:00.123Z,192.168.1.20:51234,bc1qminer.rig1,65a1f,0002bdcb,1234.5,12.345,false,4,512,\
             accepted,,,45.678,6b013ca4,20000000,08000000,0000008f,{hash},900000,150000000000000,\
             stratum+tcp://solo.ckpool.org:3333,7,bitaxe/BM1370/v2.9\n\
             2026-11-21T12:00:00.123Z,192.168.1.20:51234,bc1qminer.rig1,65a1f,0002bdcb,,,,\"\"\"abc\"\"\",,\
             rejected,23,\"Above, target\",,6b013ca4,,,0000008f,,,,\
             stratum+tcp://solo.ckpool.org:3333,7,bitaxe/BM1370/v2.9\n"
        )
    );
}

#[test]
fn jobs_alerts_and_the_deep_dive_have_the_promised_forms() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, _) = start(dir.path(), &RecordConfig { geek: true, ..quick() });
    recorder.record_job(&job());
    recorder.record_alert(&alert("The coinbase pays somebody else", serde_json::json!({ "paid": 0 })));
    recorder.geek(noon(), GeekTopic::Share, || "hash 00ff".into());
    recorder.finish().unwrap();
    assert_eq!(
        read(dir.path().join("timing.csv")),
        format!(
            "{TIMING_HEADER}\npool.example:3333,1,,6b0187c0,2026-11-21T12:00:00.123Z,-0.123,,61.000,0,7,,bc1qminer.rig1\n"
        )
    );
    assert_eq!(
        read(dir.path().join("alerts.log")),
        format!(
            "[2026-11-21T12:00:00.123Z] HIGH: payout.mismatch\nDescription: The coinbase pays somebody else\n\
             Data: {{\"paid\":0}}\n{}\n",
            "-".repeat(80)
        )
    );
    assert_eq!(read(dir.path().join("geek.log")), "[2026-11-21T12:00:00.123Z] SHARE: hash 00ff\n");
}

#[test]
fn what_is_off_is_not_written_and_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, _) =
        start(dir.path(), &RecordConfig { shares: false, timing: false, geek: false, ..quick() });
    recorder.record_share(&share(1));
    recorder.record_job(&job());
    recorder.geek(noon(), GeekTopic::Job, || panic!("asked"));
    recorder.finish().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn rows_are_in_the_file_after_the_flush_interval() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    recorder.record_share(&share(1));
    let path = dir.path().join("shares.csv");
    wait_until("flushed", || fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 2));
    recorder.finish().unwrap();
}

#[test]
fn no_text_of_a_stranger_is_a_formula_a_forged_row_or_a_terminal_command() {
    let dir = tempfile::tempdir().unwrap();
    let hostile = [
        "=cmd()|' /C calc'!A0",
        "+1+1",
        "-2",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "a\",\"b\n2026-11-21T12:00:00.000Z,forged",
        "⛏️ \"quoted\", ünï",
        "\u{1b}]0;owned\u{7}\u{202e}gnp.exe\u{85}\u{2028}\u{7f}",
        "<script>alert(1)</script>",
    ];
    let (recorder, _) = start(dir.path(), &RecordConfig { geek: true, ..quick() });
    for text in hostile {
        let outcome = ShareOutcome::Rejected { code: None, reason: Some(text.into()) };
        recorder.record_share(&ShareRow {
            worker: text.into(),
            user_agent: text.into(),
            msg_id: text.into(),
            job_id: JobId::from_text(text).unwrap(),
            upstream: text.into(),
            outcome,
            ..share(1)
        });
        let job_id = JobId::from_text(text).unwrap();
        recorder.record_job(&JobRow { pool: text.into(), job_id, worker: text.into(), ..job() });
        recorder.record_alert(&alert(text, serde_json::json!({ "worker": text })));
        recorder.geek(noon(), GeekTopic::Extranonce, || text.to_owned());
    }
    recorder.finish().unwrap();
    for name in ["shares.csv", "timing.csv", "alerts.log", "geek.log"] {
        let text = read(dir.path().join(name));
        assert!(!text.contains(|c: char| c != '\n' && c.is_control()), "{name}");
        assert!(!text.contains(['\u{202e}', '\u{2028}']), "{name}");
        assert!(text.contains("⛏️"), "{name}");
        let lines = match name {
            "alerts.log" => 4 * hostile.len(),
            "geek.log" => hostile.len(),
            _ => 1 + hostile.len(),
        };
        assert_eq!(text.lines().count(), lines, "{name}");
    }
    let shares = rows(&read(dir.path().join("shares.csv")));
    for (row, text) in shares.iter().zip(hostile) {
        for field in [&row[2], &row[3], &row[8], &row[12], &row[21], &row[23]] {
            assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{field}");
            assert_eq!(
                field.starts_with('\''),
                text.starts_with(['=', '+', '-', '@', '\t', '\r']),
                "{field}"
            );
        }
    }
    assert_eq!(&shares[0][2], "'=cmd()|' /C calc'!A0");
    assert_eq!(&shares[7][2], "⛏️ \"quoted\", ünï");
    let alerts = read(dir.path().join("alerts.log"));
    let data = alerts.lines().filter_map(|line| line.strip_prefix("Data: "));
    for (data, text) in data.zip(hostile) {
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["worker"], text, "evidence is exact");
    }
}
