//! Quiet hours and the daily summary, by this machine's clock.

use std::time::Instant;

use jiff::{ToSpan, Zoned};
use serde_json::json;
use sluice::app::{App, AppOptions};
use sluice::config::{Config, Overrides, Severity};
use sluice::notify::Notifier;
use sluice::record::AlertKind;
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::status::daily_summary::daily_summary;
use sluice::stratum::{Difficulty, Nbits};
use sluice::util::stop::Stop;

use crate::common::{DEADLINE, upstream, wait_for};
use crate::notify::server::{Asked, Server, ok};
use crate::notify::tools::{pace, row, start, wait_health, webhook};

/// The time of the day in so many seconds, as the configuration has it.
fn clock_in(seconds: i64) -> String {
    Zoned::now().checked_add(seconds.seconds()).unwrap().strftime("%H:%M:%S").to_string()
}

#[test]
fn in_quiet_hours_only_what_is_urgent_is_sent_and_the_rest_is_one_message_at_their_end() {
    let server = Server::start(|_| ok());
    let quiet = format!("{}-{}", clock_in(-3600), clock_in(8));
    let ended = Instant::now() + std::time::Duration::from_secs(8);
    let text = format!("{}quiet = \"{quiet}\"\n", webhook(&server.url("/")));
    let notifier = start(&text, &pace());
    for worker in ["kitchen", "attic"] {
        notifier.notify(&row("miner.gone", Severity::Medium, AlertKind::Begins, worker));
    }
    notifier.notify(&row("miner.gone", Severity::Medium, AlertKind::Ends, "kitchen"));
    notifier.notify(&row("pool.unreachable", Severity::High, AlertKind::Begins, "pools"));
    assert_eq!(server.wait(1)[0].json()["id"], "pool.unreachable");
    wait_health(&notifier, "three to wait", |health| health.held_back == 3);
    if Instant::now() < ended {
        assert_eq!(server.asked().len(), 1);
    }
    let digest = server.wait(2).remove(1).json();
    assert!(Instant::now() + std::time::Duration::from_secs(2) > ended);
    assert_eq!(digest["title"], "3 messages from the quiet hours");
    assert_eq!((&digest["id"], &digest["severity"]), (&json!("summary.quiet"), &json!("medium")));
    let lines: Vec<&str> =
        digest["lines"].as_array().unwrap().iter().filter_map(|line| line.as_str()).collect();
    for (line, end) in
        lines.iter().zip(["kitchen has been offline", "attic has been offline", "kitchen is back"])
    {
        assert!(line.ends_with(end), "{lines:?}");
    }
    notifier.finish();
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn what_waits_is_sent_when_the_program_ends() {
    let server = Server::start(|_| ok());
    let quiet = format!("{}-{}", clock_in(-3600), clock_in(3600));
    let notifier = start(&format!("{}quiet = \"{quiet}\"\n", webhook(&server.url("/"))), &pace());
    notifier.notify(&row("miner.gone", Severity::Medium, AlertKind::Begins, "kitchen"));
    notifier.finish();
    assert_eq!(server.asked().len(), 1);
    assert_eq!(server.asked()[0].json()["title"], "kitchen has been offline");
}

#[test]
fn the_summary_of_the_day_is_sent_at_its_time() {
    const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let server = Server::start(|_| ok());
    let pool = SimPool::start(PoolOptions {
        difficulty: Difficulty::new(0.000_001).unwrap(),
        nbits: Nbits(0x1702_1369),
        ..PoolOptions::default()
    })
    .unwrap();
    let text = format!(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\npublic_url = \"https://miner.example.org/\"\n{}{}\
         summary = \"{}\"\noutages = false\ngood_news = false\n",
        upstream(pool.addr()),
        webhook(&server.url("/hook")),
        clock_in(12)
    );
    let config = Config::parse(&text, &Overrides::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let notifier = Notifier::with_pacing(&config.notify, &pace(), &Stop::new()).unwrap();
    let record_to = Some(directory.path().to_owned());
    let options = AppOptions { record_to, notifier: Some(notifier), ..AppOptions::default() };
    let app = App::start(&config, options, &Stop::new()).unwrap();
    let miners: Vec<_> = (0..22)
        .map(|n| {
            let options = MinerOptions {
                hash_rate_limit: Some(SimHashRate(20_000.0)),
                ..MinerOptions::new(app.addresses()[0], MinerModel::Bitaxe, format!("{ADDRESS}.rig{n}"))
            };
            SimMiner::start(options).unwrap()
        })
        .collect();
    assert!(pool.wait_until(Instant::now() + DEADLINE, |stats| stats.accepted() >= 100));
    let summary = || daily_summary(&app.snapshots.newest());
    wait_for("all miners in the summary", || {
        summary().is_some_and(|summary| summary.data["miners_connected"] == 22 && summary.lines.len() > 20)
    });
    let is_known = || summary().is_some_and(|summary| summary.data["accepted"].as_u64() >= Some(100));
    wait_for("the shares in the summary", is_known);
    let content = summary().unwrap();
    assert!(content.description.starts_with("In the last 24 hours: "), "{}", content.description);
    assert!(content.description.contains(". Sluice ran for "), "{}", content.description);
    let shown = content.lines.join("\n");
    for part in [
        &format!("Pool {}: up", pool.addr()),
        "22 miners:",
        " accepted, ",
        "connected for ",
        "2 more",
        "Payout: ",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains(ADDRESS), "{shown}");
    let is_summary = |asked: &Asked| asked.json()["id"] == "summary.daily";
    wait_for("the summary", || server.asked().iter().any(is_summary));
    let sent = server.asked().iter().find(|asked| is_summary(asked)).unwrap().json();
    assert_eq!(sent["severity"], "info");
    assert!(sent["title"].as_str().unwrap().starts_with("24 h: "), "{sent}");
    assert_eq!(sent["page"], "https://miner.example.org/");
    drop(miners);
    app.shut_down(|_| ());
    assert_eq!(server.asked().iter().filter(|asked| is_summary(asked)).count(), 1);
}
