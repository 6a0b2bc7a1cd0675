//! Names at the pool: templates, verdicts, accounts.

use serde_json::json;

use crate::aggregate::opened::{
    QUIET, code, expect_credited, expect_credited_soon, expect_moved, first, follow_extranonces, is_within,
    mining, one_pool, send, share, upstream,
};
use crate::aggregate::scripted::Scripted;
use crate::aggregate::site::Site;
use crate::common::wait_for;

#[test]
fn each_worker_is_authorised_once() {
    let pool = Scripted::start();
    let site = Site::with(&format!(
        "[aggregate]\nuser = \"{{user}}.{{worker}}\"\n{}pass = \"d=5\"\n",
        upstream(&pool, "farm")
    ));
    let (mut one, mut end) = first(&site, &pool, "aa000001", "a.rig1");
    let mut two = site.asking("two", "b.rig2");
    let authorize = end.request("mining.authorize");
    assert_eq!(authorize["params"], json!(["farm.rig2", "d=5"]));
    end.answer(&authorize, json!(true));
    two.wait_job();
    expect_credited(&mut one, &mut end, "farm.rig1");
    expect_credited_soon(&mut two, &mut end, "farm.rig2");
    let _again = site.miner("again", "c.rig1");
    two.ask(7, "mining.authorize", json!(["b.rig2", "x"]));
    assert_eq!(two.answer(7)["result"], true);
    assert!(end.line.is_quiet_for(QUIET), "who is known is not asked about again");
}

#[test]
fn one_fixed_user_is_one_connection() {
    let pool = Scripted::start();
    let site = Site::with(&upstream(&pool, "farm"));
    let (mut one, mut end) = first(&site, &pool, "aa000001", "a.rig1");
    let mut two = site.miner("two", "b.rig2");
    expect_credited(&mut one, &mut end, "farm");
    expect_credited(&mut two, &mut end, "farm");
    assert!(pool.accept_within(QUIET).is_none());
    assert!(end.line.is_quiet_for(QUIET), "one name is authorised once");
}

#[test]
fn a_name_that_the_pool_refuses_is_refused_to_its_miner() {
    let pool = Scripted::start();
    let more = "[aggregate]\nuser = \"{user}.{worker}\"\n[vardiff]\nmax = 0.000001\n";
    let site = Site::start(&[pool.address()], more);
    let (mut known, mut end) = first(&site, &pool, "aa000001", "acct.known");
    let mut unknown = site.miner("unknown", "acct.unknown");
    let authorize = end.request("mining.authorize");
    // Whatever code it gives.
    end.refuse(&authorize, 20, "never heard of it");
    let refusal = json!([24, "never heard of it", null]);
    wait_for("the refusal", || {
        let id = send(&mut unknown);
        if let Some(arrived) = end.line.wait_briefly("mining.submit") {
            end.answer(&arrived, json!(true));
        }
        unknown.answer(id)["error"] == refusal
    });
    // Also for work that only the proxy would have counted.
    end.set_difficulty(1e9);
    end.notify(true);
    unknown.wait_job();
    let share = unknown.mine(unknown.difficulty, 1.0);
    let id = unknown.submit(&share);
    assert_eq!(unknown.answer(id)["error"], refusal);
    known.wait_job();
    let share = known.mine(known.difficulty, 1.0);
    assert_eq!(known.verdict(&share), None);
    assert!(end.line.is_quiet_for(QUIET));
}

#[test]
fn the_miners_own_name_and_password_go_to_the_pool() {
    let (pool, site) = one_pool("[aggregate]\nlocal_authorize = false\n");
    let mut line = site.connect();
    let mut end = pool.open_for(&mut line, "own", "aa000001");
    follow_extranonces(&mut line);
    line.ask(4, "mining.authorize", json!(["me.bad", "wrong"]));
    line.ask(5, "mining.authorize", json!(["me.good", "right"]));
    line.ask(6, "mining.ping", json!([]));
    let (bad, good) = (end.request("mining.authorize"), end.request("mining.authorize"));
    assert_eq!(
        (&bad["params"], &good["params"]),
        (&json!(["me.bad", "wrong"]), &json!(["me.good", "right"]))
    );
    end.first_job();
    assert!(line.is_quiet_for(QUIET), "nothing before the pool's word");
    // The second verdict waits for the first.
    end.answer(&good, json!(true));
    end.refuse(&bad, 24, "no such worker");
    let answers: Vec<_> = (0..3).map(|_| line.next_answer()).collect();
    assert_eq!(answers[0]["error"], json!([24, "no such worker", null]));
    assert_eq!((&answers[1]["result"], &answers[2]["result"]), (&json!(true), &json!("pong")));
    line.wait_job();
    line.worker = "me.good".to_owned();
    expect_credited(&mut line, &mut end, "me.good");
    line.worker = "me.bad".to_owned();
    let share = share(&mut line);
    assert_eq!(line.verdict(&share), Some(24));
    // After a reconnect with the miner's password again.
    drop(end);
    let mut end = pool.accept();
    end.open("bb000001", 8);
    for _ in 0..2 {
        let authorize = end.request("mining.authorize");
        let password = if authorize["params"][0] == "me.good" { "right" } else { "wrong" };
        assert_eq!(authorize["params"][1], password);
        end.answer(&authorize, json!(true));
    }
    end.first_job();
    expect_moved(&mut line, "bb000001");
    line.worker = "me.good".to_owned();
    expect_credited(&mut line, &mut end, "me.good");
}

#[test]
fn an_authorize_that_the_pool_cannot_answer_any_more_ends_the_session() {
    let (pool, site) = one_pool("[aggregate]\nlocal_authorize = false\n");
    let mut line = site.connect();
    let mut end = pool.open_for(&mut line, "own", "aa000001");
    line.ask(2, "mining.authorize", json!(["me.good", "right"]));
    end.request("mining.authorize");
    drop(end);
    let rest = line.wait_end();
    assert!(rest.iter().any(|answer| answer["id"] == 2 && answer["result"].is_null()), "{rest:?}");
}

#[test]
fn two_accounts_are_never_on_one_connection() {
    let (pool, site, mut one, mut end) = mining("", "alice.rig");
    // The address is known for alice's; bob can be told of his own search space.
    let mut follows = site.connect();
    follows.subscribe("bob's");
    follow_extranonces(&mut follows);
    follows.authorize("bob.one");
    let mut bobs = pool.accept();
    bobs.open("bb000001", 8);
    assert_eq!(bobs.authorize(), "bob");
    bobs.first_job();
    assert_eq!(follows.answer(2)["result"], true);
    follows.wait_job();
    assert!(is_within(&follows, "bb000001"));
    expect_credited(&mut follows, &mut bobs, "bob");
    // Alice reconnects, and the address is bob's by now: who can't be told comes twice.
    let mut plain = site.connect();
    plain.ask(1, "mining.subscribe", json!(["alice's"]));
    plain.answer(1);
    plain.ask(2, "mining.authorize", json!(["alice.two", "x"]));
    plain.wait_end();
    let mut plain = site.miner("alice's", "alice.two");
    assert!(is_within(&plain, "aa000001"));
    expect_credited(&mut plain, &mut end, "alice");
    expect_credited(&mut one, &mut end, "alice");
    // Who says everything at once is right at once.
    let bobs_words = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n\
                      {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"bob.two\",\"x\"]}\n";
    let mut burst = site.connect();
    burst.write(bobs_words);
    burst.wait_subscribed(1);
    burst.wait_job();
    assert!(is_within(&burst, "bb000001"));
    burst.worker = "bob.two".to_owned();
    expect_credited(&mut burst, &mut bobs, "bob");
    // And so is who says who it is first.
    let mut early = site.connect();
    early.ask(1, "mining.authorize", json!(["alice.three", "x"]));
    early.answer(1);
    let mut between = site.connect();
    between.write(bobs_words);
    between.wait_job();
    early.ask(2, "mining.subscribe", json!([]));
    early.wait_subscribed(2);
    assert!(is_within(&early, "aa000001"));
}

#[test]
fn one_miner_has_one_account() {
    let (pool, _site, mut line, mut end) = mining("", "alice.rig");
    line.ask(7, "mining.authorize", json!(["bob.rig", "x"]));
    assert_eq!(code(&line.answer(7)), 24);
    expect_credited(&mut line, &mut end, "alice");
    line.worker = "bob.rig".to_owned();
    let share = share(&mut line);
    assert_eq!(line.verdict(&share), Some(24));
    assert!(pool.accept_within(QUIET).is_none());
}
