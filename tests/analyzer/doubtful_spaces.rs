//! A pool that says two things about the search space. An extranonce1 can hold outputs, so a job is judged for
//! certain only where every miner takes the same one.

use std::sync::atomic::Ordering;

use sluice::analyzer::Snapshot;

use crate::analyzer::copies::{Bench, Session, paid, real_job, submit};

/// The extranonce1 of the job's own pool.
const CLEAN: &str = "4128064f";

/// The result that the owner of this pool sees.
fn payout(snapshot: &Snapshot, upstream: usize) -> Option<&'static str> {
    let pool = snapshot.pools.iter().find(|pool| pool.place == upstream)?;
    Some(pool.payout.as_ref()?.state.as_str())
}

fn opened(session: &Session, said: &str) {
    session.up("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n");
    session.down(said);
}

fn answer(extranonce1: &str) -> String {
    format!("{{\"id\":1,\"result\":[[],\"{extranonce1}\",4],\"error\":null}}\n")
}

fn set_extranonce(extranonce1: &str) -> String {
    format!("{{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"{extranonce1}\",4]}}\n")
}

const ASKS: &str = "{\"id\":9,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}\n";

type Talk = fn(&Session);

const HONEST: [(&str, Talk); 3] = [
    ("a plain session", |session| opened(session, &answer(CLEAN))),
    ("the miner asked to be told", |session| {
        session.up(ASKS);
        opened(session, &answer("aabbccdd"));
        session.down(&set_extranonce(CLEAN));
    }),
    ("the same twice", |session| {
        opened(session, &(set_extranonce(CLEAN) + &answer(CLEAN)));
        session.down(&answer(CLEAN));
    }),
];

const DOUBTFUL: [(&str, Talk); 6] = [
    ("an answer that is a set_extranonce, too", |session| {
        let line = format!(
            "{{\"id\":1,\"result\":[[],\"deadbeef\",4],\"error\":null,\"Method\":\"mining.set_extranonce\",\
             \"params\":[\"{CLEAN}\",4]}}\n"
        );
        opened(session, &line);
    }),
    ("a set_extranonce that nobody asked for", |session| {
        opened(session, &answer("deadbeef"));
        session.down(&set_extranonce(CLEAN));
    }),
    ("another one before the answer", |session| {
        session.up(ASKS);
        opened(session, &(set_extranonce(CLEAN) + &answer("deadbeef")));
    }),
    ("a second answer that miners read differently", |session| {
        opened(session, &answer(CLEAN));
        session.down(&format!(
            "{{\"Result\":[[],\"deadbeef\",4],\"id\":1,\"result\":[[],\"{CLEAN}\",4],\"error\":null}}\n"
        ));
    }),
    ("a second answer", |session| {
        opened(session, &answer(CLEAN));
        session.down(&answer("deadbeef"));
    }),
    ("an answer before its request was seen, read differently", |session| {
        session.down(&format!(
            "{{\"Result\":[[],\"deadbeef\",4],\"id\":1,\"result\":[[],\"{CLEAN}\",4],\"error\":null}}\n"
        ));
        session.up("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n");
    }),
];

#[test]
fn what_miners_take_differently_is_never_verified() {
    let bench = Bench::start(&paid());
    let mut sessions = Vec::new();
    for (upstream, (_, talk)) in HONEST.iter().chain(&DOUBTFUL).enumerate() {
        let session = bench.session(upstream as u64 + 1);
        session.conversation.set_upstream(upstream);
        talk(&session);
        // Whatever was said before, this is an ordinary job.
        session.down(&real_job("a1"));
        sessions.push(session);
    }
    for (upstream, (name, _)) in HONEST.iter().enumerate() {
        bench.wait(name, |snapshot| payout(snapshot, upstream) == Some("verified"));
    }
    for (upstream, (name, _)) in DOUBTFUL.iter().enumerate() {
        let upstream = HONEST.len() + upstream;
        bench.wait(name, |snapshot| payout(snapshot, upstream).is_some_and(|state| state != "verified"));
    }
    let (_, snapshot) = bench.finish();
    for (upstream, (name, _)) in HONEST.iter().enumerate() {
        assert_eq!(payout(&snapshot, upstream), Some("verified"), "{name}");
    }
}

/// A flood that ends with a job whose copy is lost, and then silence: nothing shows the gap but the count.
#[test]
fn a_lost_copy_takes_the_verdict_back_without_a_further_line() {
    let bench = Bench::start(&paid());
    let session = bench.session(1);
    session.conversation.set_upstream(0);
    opened(&session, &answer(CLEAN));
    // So low that every hash is a share.
    session.down("{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1e-10]}\n");
    session.down(&real_job("a1"));
    bench.wait("the first job", |snapshot| payout(snapshot, 0) == Some("verified"));
    session.conversation.down.dropped.fetch_add(1, Ordering::Relaxed);
    bench.wait("the loss", |snapshot| payout(snapshot, 0) == Some("unverifiable"));
    session.down(&real_job("a2"));
    session.up(&submit("5", "a2", 5));
    bench.wait("a share for the next job", |snapshot| payout(snapshot, 0) == Some("verified"));
}

/// A job that calls itself one ends no finding: part of the miners may not take it. A share for it does.
#[test]
fn a_strangers_job_counts_until_a_share_proves_that_the_miner_has_another() {
    let bench = Bench::start(&paid());
    let session = bench.session(1);
    session.conversation.set_upstream(0);
    opened(&session, &answer(CLEAN));
    session.up("{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n");
    session.down("{\"id\":2,\"result\":true,\"error\":null}\n");
    // So low that every hash is a share.
    session.down("{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1e-10]}\n");
    let stranger = real_job("a1").replace("0020984a77c289", "0020184a77c289");
    assert_ne!(stranger, real_job("a1"));
    session.down(&stranger);
    session.down(&real_job("a2"));
    bench.wait("the stranger's job", |snapshot| payout(snapshot, 0) == Some("mismatch"));
    session.up(&submit("5", "a1", 5));
    session.down("{\"id\":5,\"result\":true,\"error\":null}\n");
    bench.wait("a share for it", |snapshot| snapshot.summary.shares == 1);
    session.down(&real_job("a3"));
    bench.wait("a further job", |snapshot| snapshot.totals.as_ref().is_some_and(|totals| totals.jobs == 3));
    assert_eq!(payout(&bench.analyzer.snapshot(), 0), Some("mismatch"));
    session.up(&submit("6", "a3", 6));
    session.down("{\"id\":6,\"result\":true,\"error\":null}\n");
    bench.wait("a share for the owner's job", |snapshot| payout(snapshot, 0) == Some("verified"));
    let (_, snapshot) = bench.finish();
    assert_eq!(snapshot.alerts.counts.get("payout.mismatch"), Some(&1), "{:?}", snapshot.alerts.counts);
}
