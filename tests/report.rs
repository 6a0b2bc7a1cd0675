//! `sluice report` through the real binary: its figures, exit codes, damaged and hostile files.

mod hostile;
mod sample_week;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use sluice::record::ShareRow;

/// One share as `shares.csv` has it.
#[derive(Clone, Copy)]
struct Row {
    minute: i64,
    worker: &'static str,
    pool: &'static str,
    result: &'static str,
    found: f64,
}

const ROW: Row = Row {
    minute: 0,
    worker: "bc1qminer.rig1",
    pool: "stratum+tcp://a.example:3333",
    result: "accepted",
    found: 0.0,
};

/// Every row has difficulty 8 and a hash of its own. Where `found` is 0, the hash has a difficulty as chance makes them.
fn share(row: Row, number: usize) -> String {
    let Row { minute, worker, pool, result, found } = row;
    let (day, hour, minute) = (16 + minute / 1440, minute / 60 % 24, minute % 60);
    let chance = ((number + 1) as f64 * 0.618_033_988_75).fract();
    let found = if found > 0.0 { found } else { 8.0 / chance };
    let (code, reason) = if result == "rejected" { ("21", "Job not found") } else { ("", "") };
    format!(
        "2026-11-{day:02}T{hour:02}:{minute:02}:00.000Z,10.0.0.7:51234,{worker},1e5,0000beef,{found},1.500,false,{number},8,{result},\
         {code},{reason},34.500,6b013ca4,20000000,08000002,0000000000000001,{number:064x},900000,150000000000000,{pool},7,bitaxe/2.9\n"
    )
}

fn shares(rows: impl IntoIterator<Item = Row>) -> String {
    let header = ShareRow::COLUMNS.join(",") + "\n";
    rows.into_iter().enumerate().fold(header, |text, (number, row)| text + &share(row, number))
}

fn report(args: &[&str], paths: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.arg("report").args(paths).args(args).env_remove("RUST_LOG").output().expect("the binary starts")
}

fn json(args: &[&str], paths: &[&Path]) -> Value {
    let output = report(&[&["--json"], args].concat(), paths);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(paths: &[&Path]) -> String {
    let output = report(&[], paths);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn totals_workers_and_pools_add_up_over_plain_and_compressed_files() {
    let dir = tempfile::tempdir().unwrap();
    let first = shares((0..60).map(|minute| Row { minute, ..ROW }));
    let second = shares((60..121).map(|minute| {
        let (worker, result, found) = match minute % 4 {
            0 => ("other", "rejected", 0.0),
            1 => ("other", "unanswered", 7.0),
            2 => ("other", "unknown", 0.0),
            _ => ("other", "accepted", 0.0),
        };
        Row { minute, worker, result, found, pool: "stratum+tcp://b.example:3333" }
    }));
    fs::write(dir.path().join("shares-2026-11-16.1.csv.gz"), gzip(&first)).unwrap();
    // Left by a crash in the middle of compressing.
    fs::write(dir.path().join("shares-2026-11-16.1.csv"), &first).unwrap();
    fs::write(dir.path().join("shares.csv"), second.replace(",20000000,", ",2000e000,")).unwrap();
    let found = json(&[], &[dir.path()]);
    let totals = &found["totals"];
    // The second file's hashes came before: they prove nothing again, but for the last one.
    assert_eq!(
        [
            &totals["submitted"],
            &totals["accepted"],
            &totals["rejected"],
            &totals["unanswered"],
            &totals["unknown"]
        ]
        .map(|count| count.as_u64().unwrap()),
        [121, 75, 16, 15, 15]
    );
    assert_eq!(
        (totals["proven_difficulty"].as_f64(), totals["accepted_difficulty"].as_f64()),
        (Some(61.0 * 8.0), Some(600.0))
    );
    assert_eq!(
        (found["from"].as_str(), found["to"].as_str()),
        (Some("2026-11-16T00:00:00.000Z"), Some("2026-11-16T02:00:00.000Z"))
    );
    let rate = 61.0 * 8.0 * 4_294_967_296.0 / 7200.0;
    assert!((totals["hashrate"].as_f64().unwrap() / rate - 1.0).abs() < 1e-9);
    let workers = found["workers"].as_array().unwrap();
    assert_eq!(
        (workers[0]["worker"].as_str(), workers[1]["worker"].as_str()),
        (Some("bc1qminer.rig1"), Some("other"))
    );
    assert_eq!(found["pools"][1]["upstream"], "stratum+tcp://b.example:3333");
    for name in [
        "submitted",
        "accepted",
        "rejected",
        "unanswered",
        "unknown",
        "proven_difficulty",
        "accepted_difficulty",
        "hashrate",
    ] {
        for parts in [workers, found["pools"].as_array().unwrap()] {
            let sum: f64 = parts.iter().map(|part| part[name].as_f64().unwrap()).sum();
            assert!((sum - totals[name].as_f64().unwrap()).abs() <= 1e-6 * sum.abs(), "{name}");
        }
    }
    assert_eq!(
        found["reasons"],
        serde_json::json!([{ "code": 21, "reason": "Job not found", "shares": 16 }])
    );
    assert_eq!(found["damaged"]["rows"], 0);
}

#[test]
fn the_selection_limits_everything() {
    let dir = tempfile::tempdir().unwrap();
    let rows = (0..100).map(|minute| Row { minute, worker: if minute < 40 { "a" } else { "b" }, ..ROW });
    let path = dir.path().join("shares.csv");
    fs::write(&path, shares(rows)).unwrap();
    let submitted = |args: &[&str]| json(args, &[&path])["totals"]["submitted"].as_u64().unwrap();
    assert_eq!(submitted(&["--worker", "a"]), 40);
    assert_eq!(submitted(&["--since", "2026-11-16T00:30:00Z", "--until", "2026-11-16T00:50:00Z"]), 20);
    assert_eq!(submitted(&["--upstream", "a.example"]), 100);
    assert_eq!(submitted(&["--upstream", "b.example"]), 0);
    assert_eq!(submitted(&["--since", "2026-11-17"]), 0);
    assert!(text(&[&path]).contains("100 shares in 1 file"));
}

#[test]
fn exit_codes_tell_a_report_from_nothing_and_from_a_wrong_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let code = |args: &[&str], path: &Path| report(args, &[path]).status.code();
    assert_eq!(code(&[], dir.path()), Some(1));
    assert_eq!(code(&[], &dir.path().join("missing")), Some(1));
    assert_eq!(report(&[], &[]).status.code(), Some(2));
    fs::write(dir.path().join("shares.csv"), shares([])).unwrap();
    assert_eq!(code(&[], dir.path()), Some(0));
    assert_eq!(code(&["--since", "yesterday"], dir.path()), Some(2));
    assert_eq!(code(&["--csv", "/nonexistent/x.csv"], dir.path()), Some(1));
    fs::write(dir.path().join("notes.txt"), "hello").unwrap();
    let output = report(&[], &[&dir.path().join("notes.txt")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("none of the files that Sluice writes"));
}

#[test]
fn the_python_proxys_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("share_analysis.txt");
    let header = ShareRow::COLUMNS[..9].join(",");
    let row = "2025-10-02T11:22:33.123456+00:00,10.0.0.7:5000,rig,1a,00ff,512.000000,3.1,pending,7";
    fs::write(&path, format!("{header}\n{row}\n{row}\n")).unwrap();
    let found = json(&[], &[dir.path()]);
    assert_eq!(
        (found["totals"]["submitted"].as_u64(), found["totals"]["unknown"].as_u64()),
        (Some(2), Some(2))
    );
    assert_eq!(found["totals"]["assigned_difficulty_last"], 512.0);
    assert_eq!(found["totals"]["proven_difficulty"], 0.0);
}

#[test]
fn the_text_fits_into_100_columns_and_has_no_colours_in_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["short", "a-very-long-worker-name-that-does-not-fit-into-its-column-at-all"];
    let rows = (0..3000).map(|minute| Row {
        minute,
        worker: names[minute as usize % 2],
        result: if minute % 10 == 0 { "rejected" } else { "accepted" },
        ..ROW
    });
    fs::write(dir.path().join("shares.csv"), shares(rows)).unwrap();
    let text = text(&[dir.path()]);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(!text.contains('\u{1b}'));
    assert!(
        text.contains("What to do") && text.contains("[medium]") && text.contains("too late for their job"),
        "{text}"
    );
}

#[test]
fn the_export_has_a_letter_before_every_hex_digit() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shares.csv"), shares((0..5).map(|minute| Row { minute, ..ROW }))).unwrap();
    let export = dir.path().join("out.csv");
    let output = report(&["--csv", export.to_str().unwrap()], &[dir.path()]);
    assert_eq!(output.status.code(), Some(0));
    let mut reader = csv::Reader::from_path(&export).unwrap();
    assert_eq!(reader.headers().unwrap(), ShareRow::COLUMNS.as_slice());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(
        (&rows[0][3], &rows[0][4], &rows[0][15], &rows[0][8]),
        ("id:1e5", "x0000beef", "x20000000", "id:0")
    );
    assert_eq!((&rows[0][9], &rows[0][10]), ("8", "accepted"));
    assert!(rows[0][5].starts_with("12.94"), "{}", &rows[0][5]);
}

#[test]
fn events_tell_a_pool_that_failed_from_a_miner_that_was_off_and_a_proxy_that_was_down() {
    let dir = tempfile::tempdir().unwrap();
    let away = |minute: i64| match minute {
        300..420 => Some("sluice"),
        600..720 => Some("pool"),
        900..1020 => Some("miner"),
        _ => None,
    };
    let rows = (0..1440).flat_map(|minute| ["a", "b"].map(|worker| Row { minute, worker, ..ROW }));
    let rows = rows.filter(|row| away(row.minute).is_none_or(|who| who == "miner" && row.worker == "b"));
    fs::write(dir.path().join("shares.csv"), shares(rows)).unwrap();
    let event = |time: &str, kind: &str, upstream: &str| {
        format!(
            "{{\"at\":\"2026-11-16T{time}.000Z\",\"kind\":\"{kind}\",\"severity\":\"medium\",\"subject\":\"{upstream}\",\
             \"worker\":null,\"upstream\":{},\"text\":\"text\",\"data\":{{}}}}\n",
            if upstream == "sluice" { "null".to_owned() } else { format!("\"{upstream}\"") }
        )
    };
    let events = [
        event("05:00:30", "program.stop", "sluice"),
        event("06:59:30", "program.start", "sluice"),
        event("10:00:30", "pool.failed", "a.example:3333"),
        event("11:59:30", "pool.returned", "a.example:3333"),
    ];
    fs::write(dir.path().join("events.jsonl"), events.concat()).unwrap();
    let found = json(&[], &[dir.path()]);
    let causes = |place: usize| -> Vec<String> {
        let absences = found["workers"][place]["absences"].as_array().unwrap().iter();
        absences.map(|absence| absence["cause"].as_str().unwrap().to_owned()).collect()
    };
    // The one with more work comes first.
    assert_eq!(found["workers"][0]["worker"], "b");
    assert_eq!(
        (causes(0), causes(1)),
        (vec!["sluice".into(), "pool".into()], vec!["sluice".into(), "pool".into(), "miner".into()])
    );
    let uptime = found["workers"][1]["uptime"].as_f64().unwrap();
    assert!((0.91..0.92).contains(&uptime) && found["workers"][0]["uptime"] == 1.0, "{uptime}");
    let ids: Vec<&str> =
        found["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["pool.outage", "sluice.down", "worker.away"]);
    assert_eq!(found["pools"][0]["outages"], 1);
}

#[test]
fn the_page_is_one_file_without_script_and_has_its_plots() {
    let dir = tempfile::tempdir().unwrap();
    let rows = (0..3000).map(|minute| Row { minute, worker: ["a", "b"][minute as usize % 2], ..ROW });
    fs::write(dir.path().join("shares.csv"), shares(rows)).unwrap();
    let path = dir.path().join("week.html");
    let output = report(&["--html", path.to_str().unwrap()], &[dir.path()]);
    assert_eq!(output.status.code(), Some(0));
    let page = fs::read_to_string(path).unwrap();
    assert!(page.len() < 1_000_000, "{}", page.len());
    assert!(
        !page.contains("<script")
            && !page.contains("http://")
            && !page.contains("https://")
            && !page.contains("src=")
    );
    assert!(page.matches("<svg ").count() >= 8, "{}", page.matches("<svg ").count());
    for text in [
        "Hash rate",
        "Shares by result",
        "Time line",
        "Luck",
        "Hours of the day",
        "Miners",
        "Pools",
        "aria-label",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("NaN") && !page.contains("#0102"));
}
