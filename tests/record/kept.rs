//! `state.json` and `blocks/`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use sluice::config::RecordConfig;
use sluice::record::{
    BLOCKS_DIR, BestShare, BlockRecord, Recorder, STATE_FILE, SavedState, ShareOutcome, ShareRow,
};
use sluice::stratum::{
    Difficulty, Extranonce1, Extranonce2, JobId, Nbits, Nonce, Notify, Ntime, PrevHash, Submit, Version,
};
use sluice::tap::SessionId;
use sluice::work::{BlockHash, Height, ShareValues, share_difficulty};

use super::{noon, quick, read, share, start, start_at_noon, wait_until};

fn some_state() -> SavedState {
    let mut state = SavedState::default();
    state.offer(BestShare {
        worker: "bc1qminer.rig1".into(),
        difficulty: Difficulty::new(987_654.321).unwrap(),
        hash: BlockHash::from_bytes([3; 32]),
        at: noon(),
    });
    state.lifetime.accepted = 41;
    state
}

fn block(outcome: Option<ShareOutcome>) -> BlockRecord {
    let job = Notify {
        job_id: JobId::from_text("65a1f").unwrap(),
        prevhash: PrevHash::from_wire_bytes([7; 32]),
        coinb1: vec![1, 2],
        coinb2: vec![3],
        branches: Vec::new(),
        version: Version(0x2000_0000),
        nbits: Nbits(0x207f_ffff),
        ntime: Ntime(0x6b01_3ca4),
        clean_jobs: Some(true),
    };
    let share = Submit {
        worker: "wörker \u{202e}\n⛏️".into(),
        job_id: job.job_id.clone(),
        extranonce2: Extranonce2::from_text("0000008f").unwrap(),
        ntime: job.ntime,
        nonce: Nonce(5),
        version_bits: None,
    };
    let extranonce1 = Extranonce1::from_text("08").unwrap();
    let values = ShareValues {
        extranonce2: share.extranonce2.clone(),
        ntime: share.ntime,
        nonce: share.nonce,
        version: job.version,
    };
    BlockRecord {
        at: noon(),
        header: values.header(&job, &extranonce1),
        coinbase: vec![1, 2, 8, 0, 0, 0, 0x8f, 3],
        height: Some(Height(900_000)),
        share_difficulty: 1e15,
        network_difficulty: 1.5e14,
        job,
        share,
        extranonce1,
        miner: "192.168.1.20:51234".parse().unwrap(),
        session: SessionId(7),
        upstream: "pool.example:3333".into(),
        user_agent: "x".into(),
        outcome,
    }
}

fn block_files(dir: &Path) -> Vec<String> {
    fs::read_dir(dir.join(BLOCKS_DIR))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn the_state_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, before) = start(dir.path(), &quick());
    assert_eq!(before, SavedState::default());
    recorder.save_state(SavedState::default());
    recorder.save_state(some_state());
    recorder.finish().unwrap();
    let (recorder, after) = start(dir.path(), &quick());
    assert_eq!(after, some_state());
    recorder.finish().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn the_first_state_is_saved_without_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    recorder.save_state(some_state());
    wait_until("saved", || dir.path().join(STATE_FILE).exists());
    recorder.finish().unwrap();
}

/// A share that is worth this much by its hash, nearly.
fn worth(difficulty: f64, worker: &str) -> ShareRow {
    let scaled = (f64::from(0xffff) * 2_f64.powi(112) / difficulty) as u128;
    let mut hash = [0; 32];
    hash[12..28].copy_from_slice(&scaled.to_le_bytes());
    let hash = BlockHash::from_bytes(hash);
    let (worker, share_difficulty) = (worker.to_owned(), Some(share_difficulty(&hash)));
    ShareRow { worker, hash: Some(hash), share_difficulty, ..share(1) }
}

fn best_of(row: &ShareRow) -> BestShare {
    BestShare {
        worker: row.worker.clone(),
        difficulty: Difficulty::new(row.share_difficulty.unwrap()).unwrap(),
        hash: row.hash.unwrap(),
        at: row.at,
    }
}

/// With everything else written at the end only.
fn lazy() -> RecordConfig {
    RecordConfig { flush: Duration::from_secs(3600), ..RecordConfig::default() }
}

#[test]
fn a_new_best_share_is_on_the_disk_at_once_and_its_row_too() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, mut state) = start(dir.path(), &lazy());
    let rows = [worth(1e6, "bc1qminer.one"), worth(2e6, "bc1qminer.two")];
    for row in &rows {
        state.offer(best_of(row));
        recorder.record_share(row);
        recorder.save_state_now(state.clone());
        let shares = dir.path().join("shares.csv");
        wait_until("the row", || fs::read_to_string(&shares).is_ok_and(|text| text.contains(&row.worker)));
        wait_until("the first state", || dir.path().join(STATE_FILE).exists());
    }
    // The second one waits for its turn: an SD card wears.
    assert!(!read(dir.path().join(STATE_FILE)).contains("bc1qminer.two"));
    // Meanwhile it is killed: what comes next knows it from its row.
    let copy = tempfile::tempdir().unwrap();
    for name in [STATE_FILE, "shares.csv"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let (next, after) = start(copy.path(), &quick());
    assert_eq!(after.best()[0], best_of(&rows[1]));
    wait_until("kept", || read(copy.path().join(STATE_FILE)).contains("bc1qminer.two"));
    next.finish().unwrap();
    recorder.finish().unwrap();
    assert!(read(dir.path().join(STATE_FILE)).contains("bc1qminer.two"));
}

#[test]
fn shares_that_the_state_missed_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, state) = start(dir.path(), &quick());
    recorder.save_state(state);
    let quoted = worth(5e6, "a,\"b\"");
    for row in [worth(1e3, "small"), worth(3e6, "good"), quoted.clone()] {
        recorder.record_share(&row);
    }
    // Not accepted; not what the hash is worth; not computed.
    let rejected = ShareOutcome::Rejected { code: None, reason: None };
    recorder.record_share(&ShareRow { outcome: rejected, ..worth(9e9, "refused") });
    recorder.record_share(&ShareRow { share_difficulty: Some(9e9), ..worth(1e3, "liar") });
    recorder.record_share(&ShareRow { share_difficulty: None, hash: None, ..share(1) });
    recorder.finish().unwrap();
    let path = dir.path().join("shares.csv");
    let text = read(&path);
    // The largest is in a rotated file.
    let archived = text
        .replace("small", "archived")
        .replace(&worth(1e3, "").hash.unwrap().to_string(), &worth(7e6, "").hash.unwrap().to_string());
    let archived = archived.replace(
        &worth(1e3, "").share_difficulty.unwrap().to_string(),
        &worth(7e6, "").share_difficulty.unwrap().to_string(),
    );
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(archived.as_bytes()).unwrap();
    fs::write(dir.path().join("shares-2026-11-21.1.csv.gz"), gz.finish().unwrap()).unwrap();
    fs::write(dir.path().join("shares-2026-11-20.1.csv.gz"), "no gzip").unwrap();
    // Torn, corrupt, NULs, no text.
    let torn = text.lines().find(|line| line.contains("good")).unwrap();
    let mut damaged = text.clone().into_bytes();
    damaged.extend_from_slice(b"\"unclosed,quote\n\0\0\0\n\xff\xfe,accepted\n");
    damaged.extend_from_slice(torn.replace("good", "torn").split_at(150).0.as_bytes());
    fs::write(&path, damaged).unwrap();

    fs::remove_file(dir.path().join(STATE_FILE)).unwrap();
    let state = start(dir.path(), &quick()).1;
    let found: Vec<&str> = state.best().iter().map(|best| best.worker.as_str()).collect();
    assert_eq!(found, ["archived", "a,\"b\"", "good", "small"]);
    assert_eq!(state.best()[1], best_of(&quoted));
}

#[test]
fn after_a_regular_end_nothing_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, state) = start(dir.path(), &quick());
    recorder.record_share(&worth(1e6, "somebody"));
    recorder.save_state(state);
    recorder.finish().unwrap();
    assert!(start(dir.path(), &quick()).1.best().is_empty());
}

#[test]
fn fields_of_a_later_version_are_written_back() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(STATE_FILE), r#"{"version":1,"luck":{"best":3}}"#).unwrap();
    let (recorder, state) = start(dir.path(), &quick());
    recorder.save_state(state);
    recorder.finish().unwrap();
    let json: serde_json::Value = serde_json::from_str(&read(dir.path().join(STATE_FILE))).unwrap();
    assert_eq!(json["luck"]["best"], 3);
}

#[test]
fn a_corrupt_state_is_kept_aside_and_a_fresh_one_used() {
    let deep = "[".repeat(100_000);
    let impossible = r#"{"version":1,"best":[{"worker":"a","difficulty":-1,"hash":"00","at":"x"}]}"#;
    for corrupt in ["", "{", "\0\0\0\0", "[]", &deep, impossible] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(STATE_FILE), corrupt).unwrap();
        let (recorder, state) = start_at_noon(dir.path(), &quick());
        assert_eq!(state, SavedState::default());
        recorder.save_state(some_state());
        recorder.finish().unwrap();
        assert_eq!(read(dir.path().join("state.json.bad-20261121T120000.123Z")), corrupt);
        assert_eq!(start(dir.path(), &quick()).1, some_state());
    }
}

#[test]
fn a_block_is_on_the_disk_at_once_and_its_verdict_added() {
    let dir = tempfile::tempdir().unwrap();
    let slow = RecordConfig { flush: Duration::from_secs(3600), ..RecordConfig::default() };
    let (recorder, _) = start(dir.path(), &slow);
    recorder.record_share(&share(1));
    recorder.record_block(block(None)).unwrap();
    wait_until("written", || block_files(dir.path()).iter().any(|name| name.ends_with(".json")));
    let hash = block(None).hash();
    let file = dir.path().join(BLOCKS_DIR).join(format!("20261121T120000.123Z-{hash}.json"));
    let json = read(&file);
    assert!(!json.contains(['\u{202e}', '\u{1b}']));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["hash"], hash.to_string());
    assert_eq!(json["header"].as_str().unwrap().len(), 160);
    assert_eq!(json["coinbase"], "01020800000".to_owned() + "08f03");
    assert_eq!(json["share"]["worker"], "wörker \u{202e}\n⛏️");
    assert_eq!(json["job"]["nbits"], "207fffff");
    assert_eq!(json["verdict"], serde_json::Value::Null);
    recorder.record_block(block(Some(ShareOutcome::Accepted))).unwrap();
    wait_until("verdict", || read(&file).contains("\"accepted\""));
    recorder.finish().unwrap();
    assert_eq!(block_files(dir.path()).len(), 1);
}

#[test]
fn a_block_does_not_wait_behind_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, ..) = Recorder::start(&quick(), dir.path(), || {
        // A writer that needs 10 ms for each row: the queue is full at once.
        std::thread::sleep(Duration::from_millis(10));
        noon()
    })
    .unwrap();
    for id in 0..10_000 {
        recorder.record_share(&share(id));
    }
    assert!(recorder.health().dropped > 4000, "nobody waits for a slow writer");
    recorder.record_block(block(None)).unwrap();
    let begin = std::time::Instant::now();
    wait_until("written", || block_files(dir.path()).iter().any(|name| name.ends_with(".json")));
    // The rows that wait take 40 s.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

/// News of the state that come while the disk hangs take none of the places of blocks.
#[test]
fn a_block_finds_room_after_many_new_bests_on_a_disk_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let (hangs, waiting) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let disk = (hangs.clone(), waiting.clone());
    let (recorder, ..) = Recorder::start(&quick(), dir.path(), move || {
        if disk.0.load(Ordering::SeqCst) {
            disk.1.fetch_add(1, Ordering::SeqCst);
            wait_until("the disk works again", || !disk.0.load(Ordering::SeqCst));
        }
        noon()
    })
    .unwrap();
    hangs.store(true, Ordering::SeqCst);
    recorder.record_share(&share(1));
    wait_until("the writer hangs", || waiting.load(Ordering::SeqCst) > 0);
    for _ in 0..100 {
        recorder.save_state_now(some_state());
    }
    let begin = std::time::Instant::now();
    let recorded = recorder.record_block(block(None));
    let took = begin.elapsed();
    hangs.store(false, Ordering::SeqCst);
    recorded.unwrap();
    assert!(took < Duration::from_secs(10), "{took:?}");
    recorder.finish().unwrap();
    assert!(block_files(dir.path()).iter().any(|name| name.ends_with(".json")));
    assert!(dir.path().join("state.json").exists());
}

#[test]
fn a_block_waits_for_a_disk_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    // A file where the directory should be.
    fs::write(dir.path().join(BLOCKS_DIR), "").unwrap();
    let (recorder, _) = start(dir.path(), &quick());
    recorder.record_block(block(None)).unwrap();
    wait_until("told", || !recorder.health().write_errors.is_empty());
    assert!(recorder.health().write_errors[0].file.ends_with(BLOCKS_DIR));
    fs::remove_file(dir.path().join(BLOCKS_DIR)).unwrap();
    wait_until("written", || block_files(dir.path()).iter().any(|name| name.ends_with(".json")));
    wait_until("well again", || recorder.health().write_errors.is_empty());
    recorder.finish().unwrap();
}
