//! Torn, cut and hostile files: a report, and nothing that drives a terminal, a spreadsheet or a browser.

use std::fs;
use std::path::Path;

use super::{ROW, Row, gzip, json, report, shares, text};

const NASTY: &str = "\"=HYPERLINK(\"\"http://x\"\")</script><img src=x onerror=alert(1)>\u{1b}[2J\u{202e}\"";

fn rows(count: i64) -> String {
    shares((0..count).map(|minute| Row { minute, ..ROW }))
}

#[test]
fn damaged_rows_are_skipped_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = rows(3).into_bytes();
    bytes.extend(b"2026-11-16T01:00:00.000Z,10.0.0.7:51234,torn\n");
    bytes.extend([0; 4096]);
    bytes.extend(b"\n");
    bytes.extend(vec![b'x'; 1 << 20]);
    bytes.extend(b"\n\xff\xfe\n");
    bytes.extend(rows(3).replace("accepted", "\u{1b}[31maccepted").as_bytes());
    bytes.extend(rows(2).as_bytes());
    let path = dir.path().join("shares.csv");
    fs::write(&path, &bytes).unwrap();
    let found = json(&[], &[&path]);
    assert_eq!(
        (found["totals"]["submitted"].as_u64(), found["damaged"]["rows"].as_u64()),
        (Some(5), Some(7))
    );
    let places = found["damaged"]["places"].as_array().unwrap();
    assert_eq!(
        (places[0]["line"].as_u64(), places[1]["line"].as_u64(), places[2]["line"].as_u64()),
        (Some(5), Some(6), Some(7))
    );
    assert!(text(&[&path]).contains("7 rows were skipped"));
}

#[test]
fn a_compressed_file_that_is_cut_off_gives_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let whole = gzip(&rows(2000));
    let path = dir.path().join("shares-2026-11-16.1.csv.gz");
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let found = json(&[], &[dir.path()]);
    let submitted = found["totals"]["submitted"].as_u64().unwrap();
    assert!((100..2000).contains(&submitted), "{submitted}");
    let places = found["damaged"]["places"].as_array().unwrap();
    assert!(places.iter().any(|place| place["reason"].as_str().unwrap().contains("cut off")), "{places:?}");
    fs::write(&path, b"\x1f\x8bnonsense").unwrap();
    assert_eq!(json(&[], &[dir.path()])["damaged"]["rows"], 1);
}

#[test]
fn the_records_are_never_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let (live, link) = (dir.path().join("shares.csv"), dir.path().join("typed.csv"));
    fs::write(&live, rows(50)).unwrap();
    fs::hard_link(&live, &link).unwrap();
    for option in ["--csv", "--html"] {
        for output in [&live, &link] {
            let refused = report(&[option, output.to_str().unwrap()], &[dir.path()]);
            assert_eq!(refused.status.code(), Some(1));
            assert!(String::from_utf8(refused.stderr).unwrap().contains("one of the records"));
        }
    }
    assert_eq!(fs::read_to_string(&live).unwrap(), rows(50));
}

#[test]
fn a_clock_that_was_not_set_stretches_no_period() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shares.csv");
    fs::write(&path, rows(50)).unwrap();
    let whole = json(&[], &[&path]);
    let with = rows(50) + &rows(1).lines().last().unwrap().replace("2026-11-16", "1970-01-01") + "\n";
    fs::write(&path, with).unwrap();
    let found = json(&[], &[&path]);
    assert_eq!((&found["totals"], &found["from"]), (&whole["totals"], &whole["from"]));
    assert_eq!(found["damaged"]["rows"], 1);
}

#[test]
fn nothing_in_the_files_reaches_the_terminal_or_the_export_raw() {
    let dir = tempfile::tempdir().unwrap();
    let hostile = rows(50).replace("bc1qminer.rig1", NASTY).replace("stratum+tcp://a.example:3333", NASTY);
    fs::write(
        dir.path().join("shares.csv"),
        hostile.replace(",accepted,,,", &format!(",rejected,23,{NASTY},")),
    )
    .unwrap();
    let event = serde_json::json!({
        "at": "2026-11-16T00:10:00.000Z", "kind": "alert.begun", "severity": "high", "subject": "\u{1b}[2Jx",
        "upstream": "\u{1b}[2J", "text": "\u{1b}]0;title\u{7}</script>", "data": { "\u{202e}": "\u{1b}" },
    });
    fs::write(dir.path().join("events.jsonl"), format!("{event}\n[]\n{{\"at\":1}}\nnot json\u{1b}[2J\n"))
        .unwrap();
    fs::write(
        dir.path().join("alerts.log"),
        "[x] HIGH: a\nDescription: \u{1b}\n[2026-11-16T00:10:00.000Z] HIGH: \u{1b}[2J\n",
    )
    .unwrap();
    fs::write(dir.path().join("state.json"), "{").unwrap();
    let is_safe =
        |text: &str| !text.contains(|c: char| c != '\n' && c.is_control()) && !text.contains('\u{202e}');
    let shown = text(&[dir.path()]);
    assert!(is_safe(&shown), "{shown:?}");
    let export = dir.path().join("out.csv");
    let html = dir.path().join("out.html");
    let files = ["--csv", export.to_str().unwrap(), "--html", html.to_str().unwrap()];
    let output = report(&[&["--json"], &files[..]].concat(), &[dir.path()]);
    let page = fs::read_to_string(html).unwrap();
    assert!(
        is_safe(&page) && !page.contains("<script") && !page.contains("<img") && page.contains("&lt;img")
    );
    assert!(is_safe(&String::from_utf8(output.stdout).unwrap()));
    let written = fs::read_to_string(&export).unwrap();
    assert!(is_safe(&written));
    let mut reader = csv::Reader::from_reader(written.as_bytes());
    for row in reader.records() {
        assert!(row.unwrap().iter().all(|field| !field.starts_with(['=', '+', '-', '@'])));
    }
}

#[test]
fn a_flood_of_names_costs_no_more_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = rows(0);
    for number in 0..5000 {
        let row = rows(1)
            .lines()
            .nth(1)
            .unwrap()
            .replace("rig1", &format!("rig{number}"))
            .replace("a.example", &format!("p{number}"));
        text += &row.replace(",accepted,,,", &format!(",rejected,{number},reason {number},"));
        text.push('\n');
    }
    fs::write(dir.path().join("shares.csv"), text).unwrap();
    let found = json(&[], &[dir.path() as &Path]);
    assert_eq!(found["workers"].as_array().unwrap().len(), 1001);
    assert_eq!(found["workers_left_out"], 4000);
    assert_eq!(found["totals"]["submitted"], 5000);
    assert!(
        found["pools"].as_array().unwrap().len() <= 65 && found["reasons"].as_array().unwrap().len() <= 201
    );
}
