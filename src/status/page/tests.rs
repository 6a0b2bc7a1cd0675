//! Moments that are made up, for the tests of the sections, and the whole page of some of them.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::analyzer::{JobView, KnownWorkerView, MinerView, PayoutState};
use crate::clock::NtpTime;
use crate::config::{Config, Overrides};
use crate::net::Stamp;
use crate::record::{ShareOutcome, ShareRow};
use crate::status::snapshot::{ProgramInfo, RuntimeStatus};
use crate::stratum::{Extranonce2, JobId, Nonce, Ntime};
use crate::tap::SessionId;
use crate::upstream::{PoolStatus, UpstreamState};

/// A proxy with one pool that nobody has needed yet, up for an hour, without miners.
pub(in crate::status) fn status() -> StatusSnapshot {
    let text = "[[upstream]]\nurl = \"stratum+tcp://pool.example:3333\"\n";
    let config = Config::parse(text, &Overrides::default()).unwrap();
    let at: NtpTime = "2026-11-21T12:00:00Z".parse().unwrap();
    let runtime =
        RuntimeStatus { upstreams: vec![upstream(PoolStatus::Untried)], ..RuntimeStatus::default() };
    StatusSnapshot {
        program: Arc::new(ProgramInfo { started: at, ..ProgramInfo::new(&config, Vec::new()) }),
        snapshot: Arc::new(Snapshot { up_for: Duration::from_secs(3600), ..Snapshot::default() }),
        runtime,
        at,
        up_for: Duration::from_secs(3600),
    }
}

pub(in crate::status) fn change(status: &mut StatusSnapshot, change: impl FnOnce(&mut Snapshot)) {
    change(Arc::make_mut(&mut status.snapshot));
}

pub(in crate::status) fn upstream(standing: PoolStatus) -> UpstreamState {
    let trouble = (standing == PoolStatus::Failed)
        .then(|| (String::from("connection refused"), Duration::from_secs(12)));
    UpstreamState {
        name: String::from("pool.example:3333"),
        url: String::from("stratum+tcp://pool.example:3333"),
        user: String::from("{user}"),
        rank: Some(0),
        standing,
        sessions: 0,
        heard_ago: None,
        blocked: (standing == PoolStatus::Blocked).then(|| String::from("it pays a stranger")),
        trouble,
        gives_no_work: false,
        serves_sessions: true,
    }
}

/// The pool with one miner and a good job of half a minute ago.
pub(in crate::status) fn pool() -> PoolView {
    let at: NtpTime = "2026-11-21T11:59:30Z".parse().unwrap();
    let job = JobView::for_tests(at);
    PoolView {
        miners: 1,
        name: String::from("pool.example:3333"),
        payout: Some(job.payout.clone()),
        chain: Some(job.chain.clone()),
        newest_answers: [Duration::from_millis(34)].into(),
        last_answer: Some(Stamp::from_nanos(u64::try_from(at.timestamp().as_nanosecond()).unwrap())),
        job: Some(Arc::new(job)),
        ..PoolView::default()
    }
}

/// A connected miner without a share.
pub(in crate::status) fn miner(session: u64, worker: &str) -> MinerView {
    MinerView {
        session: SessionId(session),
        miner: "10.0.0.7:50123".parse().unwrap(),
        worker: worker.into(),
        user_agent: "bitaxe/BM1370/v2.6.5".into(),
        upstream: Some(0),
        difficulty: 512.0,
        difficulty_since: None,
        best: 0.0,
        accepted: 0,
        rejected: 0,
        unanswered: 0,
        unknown: 0,
        hash_rates: Default::default(),
        connected_for: Duration::from_secs(600),
        connected_since: "2026-11-21T11:50:00Z".parse().unwrap(),
        last_share_ago: None,
        last_share: None,
        stale: 0,
        accepted_difficulty: 0.0,
        best_ever: None,
        extranonce1: None,
        extranonce2_size: None,
        payout: Some(PayoutState::Verified),
    }
}

/// A known worker without a connection.
pub(in crate::status) fn gone(worker: &str, last_seen: NtpTime) -> KnownWorkerView {
    KnownWorkerView {
        worker: worker.into(),
        is_connected: false,
        first_seen: last_seen,
        last_seen,
        address: None,
        user_agent: None,
        best_ever: Some(1e6),
    }
}

/// A share of a second ago.
pub(in crate::status) fn share(status: &StatusSnapshot, outcome: ShareOutcome) -> ShareRow {
    ShareRow {
        at: NtpTime::from_timestamp(status.at.timestamp() - jiff::SignedDuration::from_secs(1)),
        miner: "10.0.0.7:50123".parse().unwrap(),
        worker: String::from("rig"),
        job_id: JobId::from_counter(1),
        nonce: Nonce(1),
        share_difficulty: Some(600.0),
        job_age: None,
        is_block: Some(false),
        msg_id: String::from("1"),
        assigned_difficulty: None,
        outcome,
        response: None,
        ntime: Ntime(1_795_262_400),
        version: None,
        extranonce1: None,
        extranonce2: Extranonce2::from_bytes(vec![0; 4]),
        hash: None,
        height: None,
        network_difficulty: None,
        upstream: String::from("pool.example:3333"),
        session: SessionId(1),
        user_agent: String::from("bitaxe"),
    }
}

/// The proxy with one miner that mines well.
pub(in crate::status) fn mining() -> StatusSnapshot {
    let mut now = status();
    now.runtime.sessions = 1;
    now.runtime.upstreams[0] = UpstreamState { sessions: 1, ..upstream(PoolStatus::Up) };
    let row = Arc::new(share(&now, ShareOutcome::Accepted));
    change(&mut now, |snapshot| {
        snapshot.pools = vec![pool()];
        snapshot.miners =
            vec![MinerView { last_share_ago: Some(Duration::from_secs(1)), accepted: 20, ..miner(1, "rig") }];
        snapshot.hash_rates.five_minutes = 1.2e12;
        snapshot.recent.shares = vec![row; 20].into();
    });
    now
}

/// The titles of the answers that have a green mark.
fn green(status: &StatusSnapshot) -> Vec<String> {
    let html = page(status, &PageRequest::default()).html;
    let answers = html.split("id=\"answers\"").nth(1).unwrap().split("</ul>").next().unwrap();
    let items = answers.split("<li class=\"good\">").skip(1);
    let title = |item: &str| item.split("<strong>").nth(1)?.split("</strong>").next().map(str::to_owned);
    items.filter_map(title).collect()
}

#[test]
fn green_marks_are_about_now() {
    let mut now = mining();
    let all = [
        "Mining",
        "A block would pay you 98.00\u{a0}%",
        "This is Bitcoin",
        "The pool answers in 34 ms",
        "No alert",
    ];
    assert_eq!(green(&now), all);
    now.runtime.upstreams[0] = upstream(PoolStatus::Failed);
    assert_eq!(green(&now), Vec::<String>::new(), "no pool");
    let mut now = mining();
    (now.runtime.sessions, now.runtime.upstreams[0].sessions) = (0, 0);
    change(&mut now, |snapshot| {
        snapshot.miners.clear();
        snapshot.known_workers = vec![gone("rig", now_time())].into();
        snapshot.pools[0].miners = 0;
    });
    assert_eq!(green(&now), Vec::<String>::new(), "no miner");
    let html = page(&now, &PageRequest::default()).html;
    assert!(html.contains("<title>Not mining · Sluice</title>"));
    assert!(!html.contains("<p class=\"rate\">"), "no large hash rate");
    let mut now = mining();
    let rejected = Arc::new(share(&now, ShareOutcome::Rejected { code: None, reason: None }));
    change(&mut now, |snapshot| snapshot.recent.shares = vec![rejected; 5].into());
    assert!(!green(&now).iter().any(|title| ["Mining", "No alert"].contains(&title.as_str())));
}

#[test]
fn a_name_cannot_leave_its_place() {
    let mut now = mining();
    let name = "\"><script>x</script>%";
    change(&mut now, |snapshot| {
        snapshot.miners[0].worker = name.into();
        snapshot.known_workers = vec![gone(name, now_time())].into();
    });
    let html = page(&now, &PageRequest::default()).html;
    assert!(html.contains("href=\"/miner?worker=%22%3E%3Cscript%3Ex%3C%2Fscript%3E%25\""));
    assert!(!html.contains("<script>x"));
    let query = MinersQuery::of_query(|parameter| (parameter == "filter").then_some(name));
    let html = page(&now, &PageRequest { miners: query, ..PageRequest::default() }).html;
    assert!(!html.contains("<script>x"));
}

fn now_time() -> NtpTime {
    "2026-11-21T11:00:00Z".parse().unwrap()
}
