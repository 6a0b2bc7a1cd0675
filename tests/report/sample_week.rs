//! A week with a known truth, `tests/data/sample_week`: the report has the figures of an independent computation, finds
//! everything that was planted, and claims nothing else. `scripts/sample-week` makes the week, and
//! `scripts/analysis/check.py --write` the expected figures.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use sluice::record::{JobRow, ShareRow};
use sluice::work::{BlockHash, share_difficulty};

use super::json;

/// The findings of the whole week.
const PLANTED: [&str; 5] = ["pool.credit", "worker.ill", "pool.outage", "sluice.down", "chain.race"];
const COUNTS: [&str; 5] = ["submitted", "accepted", "rejected", "unanswered", "unknown"];
const SUMS: [&str; 3] = ["proven_difficulty", "accepted_difficulty", "hashrate"];

fn week() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sample_week")
}

fn report(args: &[&str]) -> Value {
    json(args, &[&week()])
}

fn truth() -> Value {
    serde_json::from_reader(File::open(week().join("truth.json")).unwrap()).unwrap()
}

fn findings(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| text(&finding["id"])).collect()
}

fn evidence<'a>(report: &'a Value, id: &str) -> &'a Value {
    let found = report["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == id);
    &found.unwrap_or_else(|| panic!("no finding {id}: {}", report["findings"]))["evidence"]
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Seconds from the first time to the second one.
fn seconds(from: &Value, to: &Value) -> f64 {
    let time = |value: &Value| text(value).parse::<jiff::Timestamp>().unwrap();
    time(to).duration_since(time(from)).as_secs_f64()
}

/// Asserts that two times are at most so many minutes apart.
#[track_caller]
fn assert_near(found: &Value, expected: &Value, minutes: f64) {
    assert!(seconds(expected, found).abs() <= minutes * 60.0, "{found}, not {expected}");
}

#[track_caller]
fn assert_figures(found: &Value, expected: &Value) {
    for count in COUNTS {
        assert_eq!(found[count], expected[count], "{count} of {expected}");
    }
    for sum in SUMS {
        let (found, expected) = (number(&found[sum]), number(&expected[sum]));
        assert!((found / expected - 1.0).abs() < 1e-9, "{sum}: {found}, not {expected}");
    }
}

#[test]
fn the_figures_are_those_of_an_independent_computation() {
    let found = report(&[]);
    let expected: Value = serde_json::from_reader(File::open(week().join("expected.json")).unwrap()).unwrap();
    assert_eq!((&found["from"], &found["to"]), (&expected["from"], &expected["to"]));
    assert_figures(&found["totals"], &expected["totals"]);
    for (list, name) in [("workers", "worker"), ("pools", "upstream")] {
        let (found, expected) = (found[list].as_array().unwrap(), expected[list].as_array().unwrap());
        assert_eq!(found.len(), expected.len(), "{list}");
        for expected in expected {
            assert_figures(found.iter().find(|one| one[name] == expected[name]).unwrap(), expected);
        }
    }
    assert_eq!(found["reasons"], expected["reasons"]);
    assert_eq!(found["damaged"]["rows"], expected["damaged"]["rows"]);
}

#[test]
fn the_hash_rates_are_those_of_the_miners() {
    // Two days in which nothing goes wrong but the pool's books. One range of twenty misses the truth, and does so by little.
    let found = report(&["--until", "2026-11-18"]);
    let rates = truth()["hash_rates"].clone();
    for worker in found["workers"].as_array().unwrap() {
        let rate = number(&rates[text(&worker["worker"])]);
        let (low, high) = (number(&worker["hashrate_low"]), number(&worker["hashrate_high"]));
        assert!(
            low * 0.95 < rate && rate < high * 1.05,
            "{rate} H/s, not {low} to {high}: {}",
            worker["worker"]
        );
        assert!(high / low < 1.6, "{low} to {high}");
    }
}

#[test]
fn everything_planted_is_found_and_nothing_else() {
    let (found, truth) = (report(&[]), truth());
    let mut ids = findings(&found);
    ids.sort_unstable();
    let mut planted = PLANTED;
    planted.sort_unstable();
    assert_eq!(ids, planted);
    let planted = &truth["planted"];

    let (credit, planted_credit) = (evidence(&found, "pool.credit"), &planted["half_credit"]);
    assert_eq!(credit["upstream"], planted_credit["upstream"]);
    for (name, known) in [("from", "begun"), ("to", "ended")] {
        assert_near(&credit[name], &planted_credit["alert"][known], 1.0);
    }
    for name in ["credited", "proven"] {
        assert_eq!(credit[name], planted_credit["alert"][name]);
    }

    let (ill, heat) = (evidence(&found, "worker.ill"), &planted["overheating"]);
    assert_eq!(ill["worker"], heat["worker"]);
    // It gets worse for a day; anywhere in it is a good beginning.
    let begin = seconds(&heat["from"], &ill["from"]);
    assert!((-3600.0..=seconds(&heat["from"], &heat["worst_from"])).contains(&begin), "{}", ill["from"]);
    assert_near(&ill["to"], &found["to"], 60.0);
    let left = number(&ill["hashrate"]) / number(&ill["usual_hashrate"]);
    assert!((left - number(&heat["hash_rate_left"])).abs() < 0.12, "{left}");
    assert!(number(&ill["reject_rate"]) > 10.0 * number(&ill["usual_reject_rate"]), "{ill}");

    let (outage, planted_outage) = (evidence(&found, "pool.outage"), &planted["outage"]);
    assert_eq!(outage["upstream"], planted_outage["upstream"]);
    assert_eq!(outage["outages"], 1);
    assert_near(&outage["longest_from"], &planted_outage["from"], 1.0);
    assert_near(&outage["longest_to"], &planted_outage["to"], 1.0);
    // The second pool got the work.
    assert_eq!(number(&outage["silent_seconds"]), 0.0);

    let (down, planted_down) = (evidence(&found, "sluice.down"), &planted["proxy_down"]);
    assert_eq!((&down["pauses"], &down["crashes"]), (&1.into(), &1.into()));
    // No record says when a crash was. The last share before it is the last sign of life.
    assert_near(&down["longest_from"], &planted_down["last_share"], 1.0);
    assert_near(&down["longest_to"], &planted_down["to"], 1.0);

    let (race, planted_race) = (evidence(&found, "chain.race"), &planted["block_race"]);
    assert_eq!(
        (&race["height"], &race["stale_shares"]),
        (&planted_race["height"], &planted_race["stale_shares"])
    );
    assert_near(&race["from"], &planted_race["from"], 2.0);
    assert_near(&race["to"], &planted_race["to"], 2.0);
}

#[test]
fn the_honest_part_has_no_findings() {
    for honest in [
        ["--until", "2026-11-17"],
        // The owner has put the other pool first.
        ["--since", "2026-11-22T06:00:00Z"],
    ] {
        let found = report(&honest);
        assert_eq!(findings(&found), Vec::<&str>::new(), "{honest:?}: {}", found["findings"]);
    }
    let about = truth();
    for worker in about["honest"]["workers"].as_array().unwrap() {
        let found = report(&["--worker", text(worker)]);
        let own: Vec<&str> = findings(&found).into_iter().filter(|id| id.starts_with("worker.")).collect();
        assert_eq!(own, Vec::<&str>::new(), "{worker}: {}", found["findings"]);
    }
}

#[test]
fn only_real_differences_are_called_real() {
    let found = report(&[]);
    let about = truth();
    let slow = &about["pools"][1];
    for comparison in found["comparisons"].as_array().unwrap() {
        let (kind, better) = (text(&comparison["kind"]), text(&comparison["better"]));
        let names = [&comparison["first"], &comparison["second"]];
        match kind {
            // The second pool answers in twice the time, by construction.
            "pool_answers" => assert_eq!(names[usize::from(better == "first")], slow, "{comparison}"),
            // Attic's shares are often too easy, which is a difference to all others.
            "worker_rejects" if text(names[0]).ends_with(".attic") => {
                assert_eq!(better, "second", "{comparison}")
            }
            "worker_rejects" => assert_ne!(better, "second", "{comparison}"),
            "pool_rejects" | "pool_new_blocks" => {
                assert!(["none", "unknown"].contains(&better), "{comparison}")
            }
            other => panic!("unknown comparison {other}"),
        }
    }
    let luck = &found["luck"]["distribution"]["p_value"];
    assert!(number(luck) > 0.01, "{luck}");
}

/// The rows of all files of a kind, with the header of each.
fn rows(stem: &str) -> Vec<(csv::StringRecord, Vec<csv::StringRecord>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(week()).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().starts_with(stem) {
            continue;
        }
        let file = File::open(&path).unwrap();
        let is_packed = path.extension().is_some_and(|extension| extension == "gz");
        let source: Box<dyn Read> = if is_packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        let mut reader = csv::Reader::from_reader(source);
        let header = reader.headers().unwrap().clone();
        files.push((header, reader.records().map(Result::unwrap).collect()));
    }
    assert!(files.len() > 7, "{} files of {stem}", files.len());
    files
}

#[test]
fn the_week_looks_as_sluice_writes_it() {
    for (header, _) in rows("timing") {
        assert_eq!(&header, JobRow::COLUMNS.as_slice());
    }
    for (header, rows) in rows("shares") {
        assert_eq!(&header, ShareRow::COLUMNS.as_slice());
        let place = |name: &str| header.iter().position(|column| column == name).unwrap();
        let (difficulty, hash) = (place("share_difficulty"), place("hash"));
        for row in rows {
            let mut bytes = [0; 32];
            for (place, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&row[hash][62 - 2 * place..64 - 2 * place], 16).unwrap();
            }
            // Every digit is the one that Sluice writes for this hash.
            assert_eq!(row[difficulty], share_difficulty(&BlockHash::from_bytes(bytes)).to_string());
        }
    }
}
