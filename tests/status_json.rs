//! `/status` and `/api/…`: the original's names with right values, of a real proxy and of strange
//! moments.

use std::sync::Arc;

use crate::common::shown::{ADDRESS, Shown, device, empty, miner};
use serde_json::Value;
use sluice::analyzer::KnownWorkerView;
use sluice::status::json::{api, status};
use sluice::status::server::{GatedRequest, HttpAnswer, Method, QueryParams};
use sluice::status::snapshot::{StatusSnapshot, StatusSnapshots};
use sluice::status::web::{Changeable, handler};
use sluice::util::escape::Printable;

/// Every name of the original's `/status`, with its type.
const ORIGINAL: [(&str, &str); 27] = [
    ("/upstream", "bool"),
    ("/extranonce1", "text"),
    ("/extranonce2_size", "whole"),
    ("/last_notify_unix", "whole"),
    ("/last_diff", "number"),
    ("/shares_ok", "whole"),
    ("/shares_bad", "whole"),
    ("/clients", "list"),
    ("/vardiff/total_clients", "whole"),
    ("/vardiff/active_clients", "whole"),
    ("/vardiff/avg_difficulty", "number"),
    ("/vardiff/avg_shares_per_sec", "number"),
    ("/vardiff/target_seconds", "number"),
    ("/vardiff/min_difficulty", "number"),
    ("/vardiff/max_difficulty", "number"),
    ("/ratelimit/total_ips", "whole"),
    ("/ratelimit/total_active", "whole"),
    ("/ratelimit/banned_ips", "whole"),
    ("/ratelimit/max_per_ip", "whole"),
    ("/ratelimit/max_per_minute", "whole"),
    ("/ratelimit/ban_duration_sec", "whole"),
    // Of each of clients.
    ("ip", "text"),
    ("worker", "text"),
    ("upstream_user", "text"),
    ("ok", "whole"),
    ("bad", "whole"),
    ("diff", "number"),
];

/// The names that came with this program and are promised.
const NEW: [&str; 41] = [
    "/mode",
    "/version",
    "/uptime_seconds",
    "/hashrate/1m",
    "/hashrate/5m",
    "/hashrate/1h",
    "/hashrate/24h",
    "/forwarding/messages",
    "/forwarding/bytes",
    "/forwarding/dropped_copies",
    "/forwarding/latency_us/p50",
    "/forwarding/latency_us/p99",
    "/forwarding/latency_us/max",
    "/forwarding/up/latency_us/p99",
    "/forwarding/down/bytes",
    "/ntp/synchronised",
    "/ntp/offset_ms",
    "/payout/state",
    "/payout/address",
    "/payout/percent",
    "/payout/total_sats",
    "/payout/outputs",
    "/chain/state",
    "/chain/network",
    "/chain/height",
    "/chain/network_difficulty",
    "/chain/prevhash",
    "/chain/tag",
    "/best/run",
    "/best/day",
    "/best/ever",
    "/blocks",
    "/alerts/active/high",
    "/alerts/counts",
    "/alerts/newest",
    "/shares/submitted",
    "/shares/reasons",
    "/lifetime/accepted",
    "/recording",
    "/upstreams",
    "/references",
];

fn read(moment: &StatusSnapshot) -> Value {
    serde_json::from_str(&status(moment)).unwrap()
}

fn get(path: &str, query: &[(&str, &str)], moment: &StatusSnapshot) -> HttpAnswer {
    let value =
        |name: &str| query.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
    api(path, value, moment).unwrap_or_else(|| panic!("nothing at {path}"))
}

fn document(path: &str, query: &[(&str, &str)], moment: &StatusSnapshot) -> Value {
    let reply = get(path, query, moment);
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_slice(&reply.body).unwrap()
}

/// Written to the last digit; the reader used here is one off at times.
fn near(found: &Value, expected: f64) -> bool {
    found.as_f64().is_some_and(|found| (found / expected - 1.0).abs() < 1e-15)
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "bool" => value.is_boolean(),
        "text" => value.is_string(),
        "whole" => value.is_u64(),
        "number" => value.is_f64(),
        _ => value.is_array(),
    }
}

#[track_caller]
fn has_the_promised_names(status: &Value) {
    for (name, kind) in ORIGINAL {
        if name.starts_with('/') {
            let value = status.pointer(name).unwrap_or_else(|| panic!("no {name}"));
            assert!(is_a(value, kind), "{name} is {value}");
        }
        for client in status["clients"].as_array().unwrap() {
            let value = client.get(name);
            assert!(
                name.starts_with('/') || value.is_some_and(|value| is_a(value, kind)),
                "{name}: {client}"
            );
        }
    }
    for name in NEW {
        assert!(status.pointer(name).is_some(), "no {name}");
    }
}

fn every_document(moment: &StatusSnapshot) -> Vec<Value> {
    let named = moment.snapshot.miners.iter().find(|miner| !miner.worker.is_empty());
    [
        "/status",
        "/api/miners",
        "/api/shares",
        "/api/alerts",
        "/api/jobs",
        "/api/upstreams",
        "/api/devices",
        "/api/history",
    ]
    .into_iter()
    .map(|path| document(path, &[], moment))
    .chain(named.map(|miner| document("/api/miner", &[("worker", &miner.worker)], moment)))
    .collect()
}

/// The keys of a document, those of lists' elements merged.
fn shape(value: &Value, at: &str, keys: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            keys.insert(format!("{at}/{key}"));
            shape(value, &format!("{at}/{key}"), keys);
        }),
        Value::Array(list) => list.iter().for_each(|value| shape(value, at, keys)),
        _ => {}
    }
}

#[test]
fn a_real_proxys_status_has_right_values() {
    let names = [format!("{ADDRESS}.one"), format!("{ADDRESS}.two"), "farm.three".to_owned()];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shown = Shown::start(&names, "");
    shown.mine(&names, 30);
    let moment = shown.quiet(1_000_000.5);
    let (status, stats) = (read(&moment), shown.pool.stats());
    has_the_promised_names(&status);
    assert_eq!(status["shares_ok"], stats.accepted());
    assert_eq!(status["shares_bad"], stats.rejected());
    assert_eq!(status["shares"]["submitted"], stats.accepted() + stats.rejected());
    assert_eq!((&status["upstream"], &status["last_diff"]), (&true.into(), &1_000_000.5.into()));
    assert!(status["last_notify_unix"].as_i64().unwrap() > 1_700_000_000);
    assert!(near(&status["hashrate"]["1m"], moment.snapshot.hash_rates.one_minute));
    assert!(status["hashrate"]["24h"].as_f64().unwrap() > 1000.0);
    for key in ["p50", "p99", "max"] {
        assert!(status["forwarding"]["latency_us"][key].as_f64().unwrap() > 0.0, "{key}");
    }
    let clients = status["clients"].as_array().unwrap();
    assert_eq!(clients.len(), 3);
    for (miner, name) in shown.miners.iter().zip(&names) {
        let client = clients.iter().find(|client| client["worker"] == *name).unwrap();
        assert_eq!(client["ok"], stats.worker(name).accepted, "{client}");
        assert_eq!(client["diff"], 1_000_000.5);
        let extranonce1 = miner.stats().extranonce1.unwrap().to_string();
        assert_eq!(client["extranonce1"], extranonce1.as_str());
        assert_eq!((&client["upstream_user"], &client["upstream"]), (&(*name).into(), &1.into()));
    }
    assert_eq!(status["extranonce1"], clients[0]["extranonce1"]);
    assert_eq!((&status["extranonce2_size"], &status["mode"]), (&8.into(), &"passthrough".into()));
    // One miner has no address in its name: that is the worst of the three.
    assert_eq!(status["payout"]["state"], "unverifiable");
    let best = stats.accepted_shares.iter().map(|share| share.difficulty).fold(0.0, f64::max);
    assert!(near(&status["best"]["ever"]["difficulty"], best));
    let upstream = &status["upstreams"][0];
    assert_eq!((&upstream["standing"], &upstream["sessions"]), (&"up".into(), &3.into()));
    assert_eq!(upstream["accepted"], stats.accepted());
}

#[test]
fn a_small_difficulty_stays_what_it_is() {
    let name = format!("{ADDRESS}.nerd");
    let shown = Shown::start(&[&name], "");
    shown.mine(&[&name], 1);
    shown.pool.set_difficulty(sluice::stratum::Difficulty::new(0.000_15).unwrap());
    let moment = shown
        .see("the difficulty", |snapshot| snapshot.miners.iter().any(|miner| miner.difficulty == 0.000_15));
    let text = status(&moment);
    assert!(text.contains("\"last_diff\":0.00015,"), "{text}");
    assert_eq!(read(&moment)["clients"][0]["diff"], 0.000_15);
    let verified = shown.quiet(1e9);
    let status = read(&verified);
    assert_eq!(status["payout"]["state"], "verified");
    assert!((status["payout"]["percent"].as_f64().unwrap() - 98.0).abs() < 0.001);
    assert_eq!(status["payout"]["address"], ADDRESS);
    assert_eq!(status["payout"]["outputs"][0]["is_expected"], true);
    every_name_is_explained(&verified);
}

#[test]
fn the_lists_show_what_is_asked_for() {
    let names = [format!("{ADDRESS}.one"), format!("{ADDRESS}.two")];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shown = Shown::start(&names, "");
    shown.mine(&names, 20);
    shown.pool.new_block();
    shown.see("the new block", |snapshot| snapshot.pools[0].new_block.is_some());
    let moment = shown.quiet(1e9);
    let of_one = document("/api/shares", &[("worker", names[0]), ("limit", "200")], &moment);
    let shares = of_one["shares"].as_array().unwrap();
    assert!(shares.len() as u64 >= 20 && shares.iter().all(|share| share["worker"] == names[0]));
    assert!(shares.iter().all(|share| share["pool"] == shown.pool.addr().to_string()));
    assert_eq!(
        document("/api/shares", &[("limit", "3"), ("upstream", "1")], &moment)["shares"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let second = document("/api/miners", &[("limit", "1"), ("offset", "1")], &moment);
    assert_eq!((&second["total"], &second["miners"][0]["session"]), (&2.into(), &2.into()));
    assert_eq!(
        document("/api/miners", &[("offset", "18446744073709551615")], &moment)["miners"],
        Value::Array(vec![])
    );
    assert_eq!(document("/api/miners", &[("worker", "nobody")], &moment)["total"], 0);
    let jobs = document("/api/jobs", &[], &moment);
    let jobs = jobs["jobs"].as_array().unwrap();
    assert!(jobs.iter().any(|job| job["clean"] == true && job["height"] == 967_018), "{jobs:?}");
    assert_eq!(document("/api/upstreams", &[], &moment)["upstreams"][0]["chain"]["network"], "mainnet");
    let block = &document("/api/upstreams", &[], &moment)["upstreams"][0]["new_block"];
    assert_eq!((&block["miners"], &block["blocks"]), (&2.into(), &1.into()), "{block}");
    assert!(block["spread_ms"].as_f64() > Some(0.0) && block["seconds_ago"].as_f64() > Some(2.0), "{block}");
    assert_eq!(
        (&block["median_spread_ms"], block),
        (&block["spread_ms"], &read(&moment)["upstreams"][0]["new_block"])
    );
    every_name_is_explained(&moment);
    let history = document("/api/history", &[("span", "24h")], &moment);
    let buckets = history["buckets"].as_array().unwrap();
    assert_eq!((buckets.len(), &history["bucket_seconds"]), (144, &600.into()));
    let accepted: u64 = buckets.iter().map(|bucket| bucket["accepted"].as_u64().unwrap()).sum();
    assert_eq!(accepted, shown.pool.stats().accepted());
    a_miner_that_is_gone_stays_listed((*moment).clone());
}

fn a_miner_that_is_gone_stays_listed(mut moment: StatusSnapshot) {
    let known = |worker: &str, is_connected| KnownWorkerView {
        worker: worker.into(),
        is_connected,
        first_seen: moment.at,
        last_seen: moment.at,
        address: Some("10.0.0.7".parse().unwrap()),
        user_agent: Some("bitaxe/BM1370/v2.6.5".into()),
        best_ever: Some(7.5),
    };
    let workers = [known("away", false), known("here", true)].into();
    Arc::make_mut(&mut moment.snapshot).known_workers = workers;
    let miners = document("/api/miners", &[], &moment);
    assert_eq!((&miners["total"], &miners["offline_total"]), (&2.into(), &1.into()));
    let away = &miners["offline"][0];
    assert_eq!(
        (&away["worker"], &away["connected"], &away["ip"]),
        (&"away".into(), &false.into(), &"10.0.0.7".into())
    );
    assert_eq!((&away["best_ever"], away), (&7.5.into(), &read(&moment)["offline"][0]));
    for (query, total) in [(("worker", "away"), 1), (("worker", "here"), 0), (("upstream", "1"), 0)] {
        assert_eq!(document("/api/miners", &[query], &moment)["offline_total"], total, "{query:?}");
    }
    let devices = [device("away", moment.at), device("here", moment.at)].into();
    Arc::make_mut(&mut moment.snapshot).devices = devices;
    let found = document("/api/devices", &[("worker", "here")], &moment);
    assert_eq!((&found["total"], &found["devices"][0]["worker"]), (&1.into(), &"here".into()));
    let reading = &found["devices"][0]["reading"];
    assert_eq!((&reading["power_watts"], &reading["paused"]), (&17.9.into(), &Value::Null));
    every_name_is_explained(&moment);
}

/// Every name that a document of `moment` has is in the documentation.
fn every_name_is_explained(moment: &StatusSnapshot) {
    let mut keys = std::collections::BTreeSet::new();
    for document in every_document(moment) {
        shape(&document, "", &mut keys);
    }
    let docs = include_str!("../docs/api.md").to_owned() + include_str!("../docs/records.md");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: std::collections::BTreeSet<&str> = docs.split(|c| !is_word(c)).collect();
    // Their keys are rules, reasons, and what a rule has for evidence.
    let is_open = |key: &str| ["counts/", "reasons/", "evidence/"].iter().any(|open| key.contains(open));
    let name = |key: &str| key.rsplit('/').next().unwrap_or_default().to_owned();
    let missing: Vec<&String> =
        keys.iter().filter(|key| !is_open(key) && !words.contains(name(key).as_str())).collect();
    assert!(keys.len() > 150 && missing.is_empty(), "{missing:?}");
}

#[test]
fn nonsense_gets_a_clear_answer() {
    let moment = empty("");
    for (path, name, value) in [
        ("/api/miners", "limit", "0"),
        ("/api/miners", "offset", "-1"),
        ("/api/shares", "limit", "201"),
        ("/api/jobs", "limit", "many"),
        ("/api/jobs", "upstream", "2"),
        ("/api/alerts", "limit", "\u{202e}\n\"'<script>"),
        ("/api/history", "span", "1y"),
    ] {
        let reply = get(path, &[(name, value)], &moment);
        let error: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply.status, 400);
        assert!(error["error"].as_str().unwrap().starts_with(&format!("{name} must be ")), "{error}");
    }
    for path in ["/", "/api", "/api/", "/api/miners/", "/metrics", "/status/"] {
        assert!(api(path, |_| None, &moment).is_none(), "{path}");
    }
}

#[test]
fn the_server_passes_them_on() {
    let handler = handler(StatusSnapshots::fixed(empty("")), Changeable::default());
    let ask = |path: &str, query: QueryParams| {
        let (method, path) = (Method::Get, path.to_owned());
        let answer =
            handler(&GatedRequest { method, path, query, body: Vec::new(), host: None, may_change: false });
        let kind = answer.header("Content-Type").unwrap().to_owned();
        (answer.status, kind, String::from_utf8(answer.body).unwrap())
    };
    let json = "application/json";
    let (code, kind, body) = ask("/status", QueryParams::default());
    assert!((code, kind.as_str()) == (200, json) && body.contains("\"clients\":[]"), "{body}");
    let (code, kind, body) = ask("/api/history", QueryParams::from([("span", "7d")]));
    assert!((code, kind.as_str()) == (200, json) && body.contains("\"bucket_seconds\":3600"), "{body}");
    let (code, kind, body) = ask("/api/shares", QueryParams::from([("limit", "all")]));
    assert!(
        (code, kind.as_str()) == (400, json) && body.starts_with("{\"error\":\"limit must be "),
        "{body}"
    );
    let (code, kind, body) = ask("/metrics", QueryParams::default());
    assert_eq!((code, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    crate::common::prometheus::read(&body);
    assert_eq!(ask("/api/nothing", QueryParams::default()).0, 404);
}

#[test]
fn before_the_first_moment_and_without_analysis_nothing_is_missing() {
    let names = [format!("{ADDRESS}.one")];
    let shown = Shown::start(&[&names[0]], "");
    shown.mine(&[&names[0]], 2);
    let full = read(&shown.quiet(1e9));
    for moment in [empty(""), empty("[analysis]\nenabled = false\n")] {
        let status = read(&moment);
        has_the_promised_names(&status);
        assert_eq!((&status["clients"], &status["upstream"]), (&Value::Array(vec![]), &false.into()));
        assert_eq!(status["last_notify_unix"], 0);
        every_document(&moment);
        // Not the list's elements, and what only exists together.
        let absent_together = [
            "clients",
            "upstreams",
            "payout/outputs",
            "best/",
            "recording/",
            "alerts/newest",
            "alerts/counts",
        ];
        let (mut there, mut here) = (Default::default(), Default::default());
        shape(&full, "", &mut there);
        shape(&status, "", &mut here);
        let missing: Vec<_> = there
            .difference(&here)
            .filter(|key| !absent_together.iter().any(|one| key[1..].starts_with(one)))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

#[test]
fn strangers_texts_and_odd_numbers_break_no_document() {
    let hostile = "\u{0}\u{1b}[2J\"\\\n\r\t</script><img src=x>\u{202e}\u{2028}é⛏️'=cmd()";
    let mut moment = empty("");
    let mut snapshot = (*moment.snapshot).clone();
    for (session, odd) in [(1, f64::NAN), (2, f64::INFINITY), (3, -0.0), (4, 1e308), (5, 5e-324)] {
        let mut miner = miner(session, moment.at);
        miner.worker = hostile.repeat(session as usize).into();
        miner.user_agent = hostile.into();
        (miner.difficulty, miner.best, miner.accepted_difficulty) = (odd, odd, odd);
        miner.hash_rates.one_hour = odd;
        snapshot.miners.push(miner);
    }
    snapshot.hash_rates.one_minute = f64::NEG_INFINITY;
    snapshot.lifetime.accepted_difficulty = f64::NAN;
    moment.snapshot = Arc::new(snapshot);
    let text = status(&moment);
    assert!(text.bytes().all(|byte| byte >= 0x20 && byte != 0x7f), "a control character");
    for document in every_document(&moment) {
        assert!(document.is_object());
    }
    let status = read(&moment);
    let shown = Printable(hostile).to_string();
    assert_eq!(status["clients"][0]["worker"], shown);
    assert_eq!((&status["hashrate"]["1m"], &status["clients"][3]["best"]), (&Value::Null, &1e308.into()));
    assert_eq!(status["clients"][4]["hashrate"]["1h"], 5e-324);
    assert_eq!(document("/api/miners", &[("worker", hostile)], &moment)["total"], 1);
    assert_eq!(document("/api/miners", &[("worker", &shown)], &moment)["total"], 1);
}
