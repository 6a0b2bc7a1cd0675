use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::analyzer::{PayoutState, Unverifiable, WorkDoubt};
use crate::clock::NtpTime;
use crate::status::page::tests::{change, gone, miner, mining, pool, share, status, upstream};
use crate::upstream::UpstreamState;

/// The tone and the title.
fn said(status: &StatusSnapshot) -> (Tone, String) {
    let Headline { tone, title, .. } = headline(status);
    (tone, title)
}

fn add_alert(status: &mut StatusSnapshot, id: &'static str, severity: Severity, evidence: serde_json::Value) {
    let began: NtpTime = "2026-11-21T11:50:00Z".parse().unwrap();
    let description = String::from("it is so; do something");
    let alert = Alert {
        id,
        severity,
        subject: String::from("rig"),
        description,
        evidence,
        began,
        last: began,
        count: 1,
        ended: None,
    };
    change(status, |snapshot| {
        let all = snapshot.alerts.alerts.iter().cloned().chain([Arc::new(alert)]);
        snapshot.alerts.alerts = all.collect();
    });
}

fn an_hour_ago() -> NtpTime {
    "2026-11-21T11:00:00Z".parse().unwrap()
}

#[test]
fn all_is_well_with_the_number_of_miners_and_the_hash_rate() {
    let now = mining();
    assert_eq!(said(&now), (Tone::Good, "All well: 1 miner at 1.20 TH/s".into()));
    assert_eq!(headline(&now).detail, "Last share 1 s ago.");
}

#[test]
fn one_line_has_the_miners_their_hash_rate_and_what_is_badly_wrong() {
    let mut now = mining();
    assert_eq!(status_line(&now), "1 miner, 1.20 TH/s");
    now.runtime.upstreams = vec![upstream(PoolStatus::Failed)];
    assert_eq!(status_line(&now), "1 miner; Not mining: no pool can be reached");
}

#[test]
fn without_a_pool_nothing_else_matters() {
    let mut now = mining();
    now.runtime.upstreams = vec![upstream(PoolStatus::Failed)];
    add_alert(&mut now, "payout.mismatch", Severity::High, json!({}));
    assert_eq!(said(&now), (Tone::Bad, "Not mining: no pool can be reached".into()));
    let detail = "pool.example:3333: connection refused. Next try in 12 s. Check the internet connection, or add another \
                  [[upstream]].";
    assert_eq!(headline(&now).detail, detail);
    now.runtime.upstreams[0].gives_no_work = true;
    assert_eq!(said(&now).1, "Not mining: the pool gives no work");
    now.runtime.upstreams = vec![upstream(PoolStatus::Blocked)];
    assert_eq!(said(&now).1, "Not mining: every pool is out of rotation");
}

#[test]
fn without_a_recent_share_nothing_is_well() {
    let mut now = mining();
    let late = |now: &mut StatusSnapshot, seconds| {
        change(now, |snapshot| {
            snapshot.recent = Default::default();
            snapshot.miners[0].last_share_ago = Some(Duration::from_secs(seconds));
        });
    };
    late(&mut now, 599);
    assert_eq!(said(&now).0, Tone::Good);
    late(&mut now, 1200);
    assert_eq!(said(&now), (Tone::Neutral, "Connected: 1 miner, last share 20 min ago".into()));
    assert_eq!(headline(&now).detail, "");
    change(&mut now, |snapshot| snapshot.known_workers = vec![gone("nerd", an_hour_ago())].into());
    assert_eq!(headline(&now).detail, "nerd has been offline for 1 h 0 min.");
}

#[test]
fn one_failed_connection_does_not_end_the_mining() {
    let mut now = mining();
    now.runtime.upstreams[0] = UpstreamState { sessions: 1, ..upstream(PoolStatus::Failed) };
    assert_eq!(said(&now), (Tone::Neutral, "Mining: 1 miner at 1.20 TH/s".into()));
    let detail = "The connected miners go on, and no pool takes a new connection. pool.example:3333: connection refused.";
    assert_eq!(headline(&now).detail, detail);
}

#[test]
fn nobody_is_connected_since_when() {
    let mut now = status();
    assert_eq!(said(&now), (Tone::Warn, "Not mining: no miner is connected".into()));
    change(&mut now, |snapshot| snapshot.known_workers = vec![gone("rig", an_hour_ago())].into());
    assert_eq!(said(&now), (Tone::Bad, "Not mining: no miner has been connected for 1 h 0 min".into()));
    now.up_for = Duration::from_secs(10);
    assert_eq!(said(&now), (Tone::Neutral, "Sluice started 10 s ago".into()));
}

#[test]
fn the_worst_alert_is_in_the_words_of_its_message() {
    let mut now = mining();
    add_alert(&mut now, "payout.unverifiable", Severity::Info, json!({}));
    assert_eq!(said(&now).0, Tone::Good, "notes are no alarm");
    add_alert(&mut now, "miner.gone", Severity::Medium, json!({ "worker": "rig", "seconds": 300 }));
    assert_eq!(said(&now), (Tone::Warn, "rig has been offline for 15 minutes".into()));
    add_alert(&mut now, "record.failing", Severity::Medium, json!({}));
    add_alert(&mut now, "chain.bad_prevhash", Severity::High, json!({}));
    let worst = headline(&now);
    assert_eq!(
        (worst.tone, worst.title.as_str()),
        (Tone::Bad, "Your pool builds on a block that is not real")
    );
    assert_eq!(worst.detail, "Use another pool. There are 2 more below.", "notes are not counted");
    let mut now = mining();
    add_alert(&mut now, "record.failing", Severity::Medium, json!({}));
    add_alert(&mut now, "pool.silent", Severity::Medium, json!({}));
    assert_eq!(
        headline(&now).detail,
        "Nothing to do unless it lasts; then use another pool. There is 1 more below."
    );
}

#[test]
fn an_alert_whose_state_is_visibly_over_is_not_the_first_line() {
    let mut now = mining();
    let mut known = gone("rig", an_hour_ago());
    add_alert(&mut now, "miner.gone", Severity::Medium, json!({ "worker": "rig", "seconds": 300 }));
    change(&mut now, |snapshot| snapshot.known_workers = vec![known.clone()].into());
    assert_eq!(said(&now).1, "rig has been offline for 15 minutes");
    known.is_connected = true;
    change(&mut now, |snapshot| snapshot.known_workers = vec![known].into());
    assert_eq!(said(&now).0, Tone::Good);

    let mut now = mining();
    add_alert(&mut now, "pool.failed_over", Severity::Medium, json!({}));
    let spare = UpstreamState { rank: Some(1), ..upstream(PoolStatus::Up) };
    now.runtime.upstreams.push(UpstreamState { sessions: 1, ..spare.clone() });
    assert_eq!(said(&now).0, Tone::Warn);
    now.runtime.upstreams[1] = spare;
    assert_eq!(said(&now).0, Tone::Good);
}

#[test]
fn an_alert_that_the_present_work_disproves_is_of_the_past() {
    let mut now = mining();
    add_alert(&mut now, "payout.mismatch", Severity::High, json!({}));
    assert_eq!(said(&now), (Tone::Warn, "10 min ago: Your pool pays somebody else".into()));
    assert!(headline(&now).detail.starts_with("It is not so of the miners' present work."));
    change(&mut now, |snapshot| snapshot.miners[0].payout = Some(PayoutState::Mismatch));
    assert_eq!(said(&now), (Tone::Bad, "Your pool pays somebody else".into()));
}

#[test]
fn a_disproved_alert_hides_no_real_one() {
    for ids in [["payout.mismatch", "chain.bad_prevhash"], ["chain.bad_prevhash", "payout.mismatch"]] {
        let mut now = mining();
        for id in ids {
            add_alert(&mut now, id, Severity::High, json!({}));
        }
        assert_eq!(said(&now), (Tone::Bad, "Your pool builds on a block that is not real".into()));
        let worst = worst_of(&now, now.active_alerts()).unwrap();
        assert_eq!(worst.id, "chain.bad_prevhash", "the summary shows it, too");
    }
}

#[test]
fn what_no_alert_says_yet_is_said() {
    let mut now = mining();
    change(&mut now, |snapshot| snapshot.miners[0].payout = Some(PayoutState::Mismatch));
    assert_eq!(said(&now), (Tone::Bad, "A block would pay somebody else".into()));
    let mut now = mining();
    let reason = Some(String::from("unauthorized"));
    let row = Arc::new(share(&now, ShareOutcome::Rejected { code: Some(24), reason }));
    change(&mut now, |snapshot| snapshot.recent.shares = vec![row; 5].into());
    assert_eq!(said(&now), (Tone::Bad, "Not one of the newest shares was accepted".into()));
    assert!(headline(&now).detail.contains("“unauthorized”"));
    let mut now = mining();
    change(&mut now, |snapshot| {
        let mut old = pool();
        old.chain.as_mut().unwrap().doubt = Some(WorkDoubt::Old);
        snapshot.pools = vec![old];
    });
    assert_eq!(said(&now), (Tone::Warn, "The pool has sent no job for 30 s".into()));
}

#[test]
fn one_without_an_address_is_a_warning_and_all_are_a_doubt() {
    let unknown = Some(PayoutState::Unverifiable(Unverifiable::NoAddress));
    let mut now = mining();
    change(&mut now, |snapshot| {
        let other = crate::analyzer::MinerView { payout: unknown, ..miner(2, "noaddress") };
        snapshot.miners.push(other);
    });
    assert_eq!(said(&now), (Tone::Warn, "Payout: 1 of 2 verified; noaddress is not".into()));
    change(&mut now, |snapshot| snapshot.miners[0].payout = unknown);
    let (tone, title) = said(&now);
    assert!(tone == Tone::Neutral && title.starts_with("Mining: "), "{title}");
}

#[test]
fn what_is_not_known_is_not_well() {
    let mut now = mining();
    change(&mut now, |snapshot| snapshot.pools[0].chain.as_mut().unwrap().network = "testnet");
    assert_eq!(said(&now).0, Tone::Neutral);
    let mut now = mining();
    now.runtime.sessions = 2;
    change(&mut now, |snapshot| {
        snapshot.recent = Default::default();
        snapshot.miners[0].last_share_ago = None;
    });
    assert_eq!(said(&now), (Tone::Neutral, "2 miners connected, no share yet".into()));
    change(&mut now, |snapshot| snapshot.pools.clear());
    assert_eq!(said(&now), (Tone::Neutral, "2 connections, nothing to mine yet".into()));
    let mut now = mining();
    change(&mut now, |snapshot| snapshot.known_workers = vec![gone("nerd", an_hour_ago())].into());
    assert_eq!(headline(&now).detail, "nerd has been offline for 1 h 0 min.");
}
