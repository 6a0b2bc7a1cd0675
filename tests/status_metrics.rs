//! `/metrics`, read back by a strict reader: of a real proxy, of strangers' names, of empty moments;
//! and whether the dashboard and the alerts ask for what there is.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::common::prometheus::{Families, find, read, value};
use crate::common::shown::{ADDRESS, Shown, empty, miner};
use sluice::analyzer::{BlockSpread, KnownWorkerView, Latency, PoolView, Snapshot, Totals, WorkerTotals};
use sluice::status::metrics::metrics;
use sluice::status::snapshot::StatusSnapshot;
use sluice::upstream::{PoolStatus, UpstreamState};

/// Totals of a proxy that has seen nothing, to be filled.
fn totals() -> Totals {
    let setup = sluice::analyzer::Setup::plain(&sluice::config::AnalysisConfig::default());
    let (analyzer, _copies) = sluice::analyzer::Analyzer::start(setup).unwrap();
    analyzer.finish().totals.clone().unwrap()
}

fn with(totals: Totals, change: impl FnOnce(&mut Snapshot)) -> StatusSnapshot {
    let mut status = empty("");
    let mut snapshot = Snapshot { totals: Some(totals), ..Snapshot::default() };
    change(&mut snapshot);
    status.snapshot = Arc::new(snapshot);
    status
}

fn workers(families: &Families) -> BTreeSet<&str> {
    let samples = &families["sluice_worker_shares_total"].samples;
    samples.iter().map(|sample| sample.labels["worker"].as_str()).collect()
}

#[test]
fn a_real_proxys_numbers_are_those_of_the_pool() {
    let names = [format!("{ADDRESS}.one"), format!("{ADDRESS}.two"), "farm.\"three\"\\".to_owned()];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shown = Shown::start(&names, "");
    shown.mine(&names, 30);
    let status = shown.quiet(1e9);
    let (text, stats) = (metrics(&status), shown.pool.stats());
    let found = read(&text);
    let accepted = stats.accepted() as f64;
    assert_eq!(value(&found, "sluice_shares_total", &[("result", "accepted")]), accepted);
    assert_eq!(value(&found, "sluice_shares_total", &[("result", "rejected")]), stats.rejected() as f64);
    let rejected = &found["sluice_rejected_shares_total"].samples;
    assert_eq!(rejected.iter().map(|sample| sample.value).sum::<f64>(), stats.rejected() as f64);
    for name in &names {
        let labels = [("worker", *name), ("result", "accepted")];
        let of_worker = value(&found, "sluice_worker_shares_total", &labels);
        assert_eq!(of_worker, stats.worker(name).accepted as f64);
        assert!(value(&found, "sluice_worker_silence_seconds", &[("worker", name)]) < 60.0);
    }
    let pool = shown.pool.addr().to_string();
    let one = [("upstream", "1"), ("pool", pool.as_str())];
    assert_eq!(value(&found, "sluice_pool_answer_seconds_count", &one), accepted + stats.rejected() as f64);
    assert_eq!(
        (value(&found, "sluice_upstream_up", &one), value(&found, "sluice_upstream_sessions", &one)),
        (1.0, 3.0)
    );
    for name in [
        "sluice_miners_connected",
        "sluice_miners_authorized",
        "sluice_workers_known",
        "sluice_workers_connected",
    ] {
        assert_eq!(value(&found, name, &[]), 3.0, "{name}");
    }
    for name in &names {
        assert_eq!(value(&found, "sluice_worker_connected", &[("worker", *name)]), 1.0);
    }
    assert_eq!(value(&found, "sluice_pool_reachable", &[]), 1.0);
    assert_eq!(value(&found, "sluice_failed_over", &[]), 0.0);
    let state = |name, state| value(&found, name, &[one[0], one[1], ("state", state)]);
    assert_eq!(
        (state("sluice_payout_state", "unverifiable"), state("sluice_payout_state", "verified")),
        (1.0, 0.0)
    );
    let best = stats.accepted_shares.iter().map(|share| share.difficulty).fold(0.0, f64::max);
    assert_eq!(value(&found, "sluice_best_difficulty", &[("period", "run")]), best);
    for direction in ["up", "down"] {
        let messages = value(&found, "sluice_forwarding_messages_total", &[("direction", direction)]);
        assert!(messages >= accepted, "{direction}");
        assert!(value(&found, "sluice_forwarding_latency_seconds_count", &[("direction", direction)]) > 0.0);
    }
    let rate = value(&found, "sluice_hash_rate_hashes_per_second", &[("window", "1m")]);
    assert_eq!(rate, status.snapshot.hash_rates.one_minute);
    the_files_ask_for_what_there_is(&found);
}

#[test]
fn strangers_names_stay_apart_or_are_added_up() {
    let mut totals = totals();
    let one = |accepted| WorkerTotals { accepted, proven_difficulty: 1.0, ..WorkerTotals::default() };
    let long = "x".repeat(128);
    for (name, accepted) in [
        ("quote\"back\\slash", 1),
        ("line\nfeed", 2),
        ("line\rfeed", 3),
        ("nul\0", 4),
        ("", 5),
        ("{a=\"b\"} 1", 6),
        ("é⛏️\u{202e}", 7),
        ("(other)", 8),
        (&format!("{long}a"), 9),
        (&format!("{long}b"), 10),
    ] {
        totals.workers.insert(name.to_owned(), one(accepted));
        totals.reasons.insert(name.to_owned(), accepted);
    }
    let found = read(&metrics(&with(totals, |_| {})));
    let accepted =
        |name: &str| value(&found, "sluice_worker_shares_total", &[("worker", name), ("result", "accepted")]);
    for (name, count) in [
        ("quote\"back\\slash", 1.0),
        ("line\\nfeed", 2.0),
        ("line\\rfeed", 3.0),
        ("nul\\u{0}", 4.0),
        ("", 5.0),
        ("{a=\"b\"} 1", 6.0),
        ("é⛏️\\u{202e}", 7.0),
        ("(other)", 8.0),
        (&long, 19.0),
    ] {
        assert_eq!(accepted(name), count, "{name:?}");
        assert_eq!(value(&found, "sluice_rejected_shares_total", &[("reason", name)]), count, "{name:?}");
    }
    assert_eq!(workers(&found).len(), 9);
}

#[test]
fn many_workers_are_bounded_and_none_is_lost() {
    let mut totals = totals();
    for number in 0..5000_u32 {
        let work = f64::from(number);
        let worker = WorkerTotals {
            accepted: 1,
            proven_difficulty: work,
            best_difficulty: work * 2.0,
            ..WorkerTotals::default()
        };
        totals.workers.insert(format!("w{number}"), worker);
    }
    let status = with(totals, |snapshot| {
        let at = empty("").at;
        for session in 0..300 {
            let mut miner = miner(session, at);
            miner.worker = format!("w{}", session * 10).into();
            miner.hash_rates.five_minutes = 2.0;
            snapshot.miners.push(miner);
        }
    });
    let found = read(&metrics(&status));
    let shown = workers(&found);
    assert_eq!(shown.len(), 201);
    assert!(shown.contains("w4999") && shown.contains("w4800") && !shown.contains("w4799"));
    assert_eq!(value(&found, "sluice_workers_not_shown", &[]), 4800.0);
    let sum = |name: &str| found[name].samples.iter().map(|sample| sample.value).sum::<f64>();
    assert_eq!(sum("sluice_worker_shares_total"), 5000.0);
    assert_eq!(sum("sluice_worker_proven_difficulty_total"), f64::from(4999 * 2500));
    assert_eq!(sum("sluice_worker_hash_rate_hashes_per_second"), 600.0);
    assert_eq!(value(&found, "sluice_worker_best_difficulty", &[("worker", "(other)")]), 9598.0);
    let again = read(&metrics(&status));
    assert_eq!(workers(&again), shown);
}

#[test]
fn a_missing_worker_and_an_unused_pool_have_samples() {
    let status = with(totals(), |snapshot| {
        let at = empty("").at;
        let known = |worker: &str, is_connected| KnownWorkerView {
            worker: worker.into(),
            is_connected,
            first_seen: at,
            last_seen: at,
            address: None,
            user_agent: None,
            best_ever: None,
        };
        let long = "x".repeat(128);
        snapshot.known_workers = [
            known("here", true),
            known("gone", false),
            known(&format!("{long}a"), true),
            known(&format!("{long}b"), false),
        ]
        .into();
        // It has sent no authorize, or none has been accepted.
        snapshot.miners.push(miner(1, at));
    });
    let of = |runtime: Vec<UpstreamState>| {
        let mut status = status.clone();
        (status.runtime.sessions, status.runtime.upstreams) = (1, runtime);
        read(&metrics(&status))
    };
    let found = of(vec![upstream_state(0, PoolStatus::Failed, 1)]);
    let connected = |worker: &str| value(&found, "sluice_worker_connected", &[("worker", worker)]);
    assert_eq!((connected("here"), connected("gone"), connected(&"x".repeat(128))), (1.0, 0.0, 0.0));
    let summary = ["sluice_workers_known", "sluice_workers_connected", "sluice_miners_connected"];
    assert_eq!(summary.map(|name| value(&found, name, &[])), [4.0, 2.0, 1.0]);
    assert_eq!(value(&found, "sluice_miners_authorized", &[]), 0.0);
    let pools = ["sluice_pool_reachable", "sluice_failed_over"];
    let pools = |found: &Families| pools.map(|name| value(found, name, &[]));
    assert_eq!(pools(&found), [0.0, 0.0]);
    // A pool that no miner has needed yet may work.
    let failed = upstream_state(0, PoolStatus::Failed, 0);
    assert_eq!(pools(&of(vec![failed.clone(), upstream_state(1, PoolStatus::Untried, 0)])), [1.0, 0.0]);
    assert_eq!(pools(&of(vec![failed, upstream_state(1, PoolStatus::Up, 1)])), [1.0, 1.0]);
    let found = of(vec![upstream_state(0, PoolStatus::Blocked, 0)]);
    assert_eq!(pools(&found), [0.0, 0.0]);
    let first = [("upstream", "1"), ("pool", "pool.example:3333"), ("state", "blocked")];
    assert_eq!(value(&found, "sluice_upstream_standing", &first), 1.0);
}

#[test]
fn before_the_first_moment_and_without_analysis_there_are_no_false_zeros() {
    for status in [empty(""), empty("[analysis]\nenabled = false\n")] {
        let found = read(&metrics(&status));
        for name in
            ["sluice_shares_total", "sluice_hash_rate_hashes_per_second", "sluice_last_job_age_seconds"]
        {
            assert!(found[name].samples.is_empty(), "{name}");
        }
        assert_eq!(value(&found, "sluice_upstream_connected", &[]), 0.0);
        assert_eq!(value(&found, "sluice_alerts_total", &[("rule", "payout.mismatch")]), 0.0);
        let version = [("version", env!("CARGO_PKG_VERSION")), ("mode", "passthrough")];
        assert_eq!(value(&found, "sluice_build_info", &version), 1.0);
    }
}

#[test]
fn the_same_pool_twice_and_odd_numbers_are_no_trouble() {
    let mut totals = totals();
    totals.accepted_difficulty = f64::NAN;
    totals.network_difficulty = Some(f64::INFINITY);
    totals.proven_difficulty = 1e300;
    let mut status = with(totals, |snapshot| {
        snapshot.hash_rates.one_hour = f64::NAN;
        snapshot.pools = (0..2).map(pool).collect();
    });
    let state = upstream_state(0, PoolStatus::Failed, 0);
    status.runtime.upstreams = vec![state.clone(), state];
    let found = read(&metrics(&status));
    assert_eq!(found["sluice_upstream_up"].samples.len(), 2);
    let second = [("upstream", "2"), ("pool", "pool.example:3333")];
    assert_eq!(value(&found, "sluice_new_block_spread_seconds", &second), 0.0084);
    assert_eq!(value(&found, "sluice_new_block_miners", &second), 12.0);
    assert_eq!(found["sluice_new_block_miners"].samples.len(), 1, "the first has had none");
    assert_eq!(value(&found, "sluice_proven_difficulty_total", &[]), 1e300);
    assert_eq!(find(&found, "sluice_accepted_difficulty_total", &[]), None);
    assert_eq!(find(&found, "sluice_network_difficulty", &[]), None);
    let second = [("upstream", "2"), ("pool", "pool.example:3333"), ("state", "failed")];
    assert_eq!(value(&found, "sluice_upstream_standing", &second), 1.0);
}

fn upstream_state(rank: usize, standing: PoolStatus, sessions: usize) -> UpstreamState {
    UpstreamState {
        name: "pool.example:3333".to_owned(),
        url: "stratum+tcp://pool.example:3333".to_owned(),
        user: "{user}".to_owned(),
        rank: Some(rank),
        standing,
        sessions,
        heard_ago: None,
        blocked: None,
        trouble: None,
        gives_no_work: false,
        serves_sessions: true,
    }
}

fn pool(place: usize) -> PoolView {
    PoolView {
        place,
        name: String::new(),
        miners: 0,
        accepted: 1,
        rejected: 2,
        unanswered: 3,
        unknown: 0,
        answers: Latency::default(),
        newest_answers: Default::default(),
        last_answer: None,
        job: None,
        newest_block: None,
        new_block: (place == 1).then_some(BlockSpread {
            time: Duration::from_micros(8400),
            miners: 12,
            age: Duration::from_secs(180),
            median: Duration::from_millis(7),
            blocks: 2,
        }),
        payout: None,
        outputs: [].into(),
        chain: None,
    }
}

/// Every metric that the dashboard, the alerts and the documentation name is one of `found`, and the
/// documentation has all.
fn the_files_ask_for_what_there_is(found: &Families) {
    let files = [
        ("deploy/grafana-dashboard.json", 25),
        ("deploy/prometheus-alerts.yml", 15),
        ("deploy/prometheus-alerts_test.yml", 10),
        ("docs/api.md", 50),
    ];
    for (file, least) in files {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let mut names = BTreeSet::new();
        for (place, _) in text.match_indices("sluice_") {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let rest = &text[place..];
            names.insert(&rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]);
        }
        assert!(names.len() >= least, "{file} names only {names:?}");
        for name in names {
            let bare = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let is_there = found.contains_key(name)
                || bare.is_some_and(|bare| found.get(bare).is_some_and(|family| family.kind == "histogram"));
            assert!(is_there, "{file} asks for {name}, which there is not");
        }
        if file == "docs/api.md" {
            let missing: Vec<_> = found.keys().filter(|name| !text.contains(&format!("`{name}`"))).collect();
            assert!(missing.is_empty(), "{file} does not explain {missing:?}");
        }
    }
}

#[test]
fn the_dashboard_is_json_with_a_datasource_to_choose() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana-dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(
        variables.iter().any(|variable| variable["type"] == "datasource" && variable["name"] == "datasource")
    );
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
        }
    }
    assert!(panels.len() >= 12, "{}", panels.len());
}
