//! Too many alerts, and recipients that hold up.

use std::time::{Duration, Instant};

use serde_json::Value;
use sluice::config::Severity;
use sluice::notify::SendPacing;
use sluice::record::AlertKind;

use crate::common::wait_for;
use crate::notify::server::{Answer, Server, ok};
use crate::notify::tools::{alert, pace, row, start, wait_health, webhook};

#[test]
fn ten_thousand_alerts_are_five_messages_and_then_one_that_sums_up() {
    let server = Server::start(|_| ok());
    let pace = SendPacing { interval: Duration::from_secs(2), ..pace() };
    let notifier = start(&webhook(&server.url("/")), &pace);
    let began = Instant::now();
    for n in 0..10_000 {
        notifier.notify(&alert(&n.to_string()));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "it took {took:?}");
    // What finds no room in the queue while the first are sent is in the count as well.
    let bursts =
        wait_health(&notifier, "all to be sorted", |health| health.sent + health.held_back >= 10_000);
    let most = 6 + began.elapsed().as_secs() / 2;
    assert!((5..=most).contains(&bursts.sent), "{bursts:?}");
    notifier.notify(&row("block.found", Severity::Info, AlertKind::Happened, "rig"));
    let asked = server.wait(6);
    let mut all = 0;
    for asked in &asked {
        all +=
            asked.json()["held_back"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
    }
    // Whichever message the block is in, five were sent before the flood was summed up.
    assert!(all >= 9_900, "{all}");
    let sums_up = |asked: &Value| asked["held_back"].get("payout.mismatch").is_some();
    assert!(asked.iter().any(|asked| sums_up(&asked.json())), "no message says how many were held back");
    let took = began.elapsed();
    assert!(asked.len() <= 6 + took.as_secs() as usize / 2, "{} in {took:?}", asked.len());
}

#[test]
fn the_same_is_told_once_and_its_end_too() {
    let server = Server::start(|_| ok());
    let notifier =
        start(&webhook(&server.url("/")), &SendPacing { repeat_interval: Duration::from_secs(1), ..pace() });
    for _ in 0..10 {
        notifier.notify(&alert("pool"));
    }
    let health = wait_health(&notifier, "one", |health| health.sent == 1 && health.held_back == 9);
    assert_eq!(health.failed, 0);
    let again = server.wait(2)[1].json();
    assert_eq!((&again["count"], &again["kind"]), (&9.into(), &"begins".into()));
    notifier.notify(&row("payout.mismatch", Severity::High, AlertKind::Ends, "pool"));
    assert_eq!(server.wait(3)[2].json()["kind"], "ends");
}

#[test]
fn one_that_never_answers_delays_nobody() {
    let (silent, well) = (Server::start(|_| Answer::Never), Server::start(|_| ok()));
    let text = format!("{}{}", webhook(&silent.url("/")), webhook(&well.url("/")));
    let patient = SendPacing {
        request_limit: Duration::from_secs(60),
        finish_limit: Duration::from_millis(300),
        ..pace()
    };
    let notifier = start(&text, &patient);
    let began = Instant::now();
    for n in 0..200 {
        notifier.notify(&alert(&n.to_string()));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    silent.wait(1);
    assert_eq!(well.wait(5).len(), 5);
    wait_for("the count of what found no room", || {
        let health = notifier.health();
        // 64 wait; one more is being sent, if it was taken out in time.
        (135..=136).contains(&health[0].held_back) && health[1].held_back >= 195
    });
    let began = Instant::now();
    notifier.finish();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(20), "{took:?}");
    assert_eq!(silent.asked().len(), 1);
    silent.end();
}

#[test]
fn messages_queued_at_the_end_are_sent() {
    let server = Server::start(|_| ok());
    let notifier = start(&webhook(&server.url("/")), &pace());
    for n in 0..5 {
        notifier.notify(&alert(&n.to_string()));
    }
    notifier.finish();
    assert_eq!(server.asked().len(), 5);
    // Afterwards nobody is there, and nobody minds.
    notifier.notify(&alert("late"));
    notifier.finish();
    assert_eq!(notifier.health()[0].held_back, 1);
}

#[test]
fn the_end_cuts_a_pause_short_for_one_last_try() {
    let server = Server::start(|n| if n == 0 { Answer::Close } else { ok() });
    let slow = SendPacing { retry_pauses: vec![Duration::from_secs(3600)], ..pace() };
    let notifier = start(&webhook(&server.url("/")), &slow);
    notifier.notify(&alert("pool"));
    wait_health(&notifier, "the first try", |health| health.last_error.is_some());
    notifier.finish();
    assert_eq!((server.asked().len(), notifier.health()[0].sent), (2, 1));
}
