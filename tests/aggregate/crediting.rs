//! Whose work it is at the pool: names that it refuses, ignores or takes for others, and accounts that
//! share an address.

use std::time::{Duration, Instant};

use serde_json::json;
use sluice::proxy::aggregate::Limits;

use crate::aggregate::opened::{
    QUIET, code, expect_credited, expect_credited_soon, first, follow_extranonces, is_within, mining,
    one_pool, opening, send, share, upstream,
};
use crate::aggregate::scripted::Scripted;
use crate::aggregate::site::{Line, Site};
use crate::common::pool::is_quiet;
use crate::common::wait_for;

const ADDRESS: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

/// Names are asked about again soon.
fn impatient(text: &str) -> Site {
    Site::with_limits(text, Limits { authorize_retry: Duration::from_millis(100), ..Limits::default() })
}

#[test]
fn a_name_that_was_refused_is_asked_about_again() {
    let pool = Scripted::start();
    let site = impatient(&upstream(&pool, "farm"));
    let mut line = site.connect();
    let mut end = pool.open_for(&mut line, "one", "aa000001");
    line.authorize("x.rig");
    end.refuse_authorize(20, "the database is away for a moment");
    end.first_job();
    line.wait_job();
    let one = share(&mut line);
    assert_eq!(line.verdict(&one), Some(24));
    assert_eq!(end.authorize(), "farm");
    let mut verdict = Some(24);
    wait_for("the pool's second thoughts", || {
        let id = send(&mut line);
        if let Some(arrived) = end.line.wait_briefly("mining.submit") {
            end.answer(&arrived, json!(true));
        }
        verdict = line.answer(id)["error"][0].as_i64();
        verdict.is_none()
    });
    expect_credited(&mut line, &mut end, "farm");
}

#[test]
fn work_under_a_refused_name_is_work_to_the_difficulty() {
    let pool = Scripted::start();
    let site = Site::with(&format!(
        "[failover]\nconnect_deadline = \"300s\"\n[vardiff]\ntarget = \"1s\"\n{}",
        upstream(&pool, "farm")
    ));
    let mut line = site.connect();
    let mut end = pool.open_for(&mut line, "NerdMinerV2/V1.8.3", "aa000001");
    line.worker = "x.rig".to_owned();
    line.ask(3, "mining.suggest_difficulty", json!([0.000001]));
    line.ask(2, "mining.authorize", json!(["x.rig", "x"]));
    end.refuse_authorize(20, "never heard of it");
    end.set_difficulty(1.0);
    end.notify(true);
    line.wait_job();
    let begun = line.difficulty;
    wait_for("a higher difficulty", || {
        let share = line.mine(line.difficulty, 1.0);
        let _ = line.verdict(&share);
        line.difficulty > begun
    });
}

#[test]
fn a_pool_that_knows_one_name_only_gets_all_shares_under_it() {
    let pool = Scripted::start();
    let site =
        Site::with(&format!("[aggregate]\nuser = \"{{user}}.{{worker}}\"\n{}", upstream(&pool, "farm")));
    let (mut one, mut end) = first(&site, &pool, "aa000001", "a.rig1");
    // ckpool says nothing to a second authorize.
    let mut two = site.asking("a.rig2", "a.rig2");
    end.request("mining.authorize");
    two.wait_job();
    expect_credited(&mut two, &mut end, "farm.rig1");
    // Another accepts the name, and then not its shares.
    let mut three = site.asking("a.rig3", "a.rig3");
    assert_eq!(end.authorize(), "farm.rig3");
    three.wait_job();
    expect_credited_soon(&mut three, &mut end, "farm.rig3");
    let lost = share(&mut three);
    let id = three.submit(&lost);
    let arrived = end.share();
    assert_eq!(arrived["params"][0], "farm.rig3");
    end.refuse(&arrived, 20, "Worker mismatch");
    assert_eq!(code(&three.answer(id)), 20);
    expect_credited(&mut three, &mut end, "farm.rig1");
    expect_credited(&mut one, &mut end, "farm.rig1");
}

#[test]
fn silence_to_a_second_authorize_locks_nobody_out() {
    let pool = Scripted::start();
    let site = Site::start(
        &[pool.address()],
        "[aggregate]\nlocal_authorize = false\n[failover]\nanswer_timeout = \"200ms\"\n",
    );
    let (mut one, mut end) = first(&site, &pool, "aa000001", "me.one");
    let mut two = site.asking("me.two", "me.two");
    end.request("mining.authorize");
    assert_eq!(two.answer(2)["result"], true);
    two.wait_job();
    expect_credited(&mut two, &mut end, "me.one");
    expect_credited(&mut one, &mut end, "me.one");
    // It is known by now, and nobody waits for it again.
    let mut three = site.asking("me.three", "me.three");
    assert_eq!(three.answer(2)["result"], true);
    three.wait_job();
    expect_credited(&mut three, &mut end, "me.one");
    assert!(end.line.is_quiet_for(QUIET));
}

#[test]
fn a_miner_that_reconnects_with_the_right_password_is_accepted_and_a_wrong_one_harms_nobody() {
    let (_pool, site, mut one, mut end) = mining("[aggregate]\nlocal_authorize = false\n", "me.rig");
    let mut again = site.asking("me.rig", "me.rig");
    assert_eq!(again.answer(2)["result"], true);
    again.wait_job();
    expect_credited(&mut again, &mut end, "me.rig");
    assert!(end.line.is_quiet_for(QUIET), "the pool has said so already");
    let mut other = site.connect();
    other.ask(1, "mining.subscribe", json!(["other"]));
    other.answer(1);
    other.ask(2, "mining.authorize", json!(["me.rig", "guessed"]));
    end.refuse_authorize(24, "wrong password");
    assert_eq!(code(&other.answer(2)), 24);
    expect_credited(&mut one, &mut end, "me.rig");
}

#[test]
fn a_miner_that_guesses_passwords_is_disconnected() {
    let (_pool, site, mut one, mut end) = mining("[aggregate]\nlocal_authorize = false\n", "me.rig");
    let mut other = site.connect();
    other.ask(1, "mining.subscribe", json!(["other"]));
    other.answer(1);
    let guesses: String = (0..200)
        .map(|guess| {
            format!(
                "{{\"id\":{guess},\"method\":\"mining.authorize\",\"params\":[\"me.rig\",\"{guess}\"]}}\n"
            )
        })
        .collect();
    other.write(&guesses);
    let asked = std::thread::scope(|scope| {
        let ended = scope.spawn(|| other.wait_end());
        let mut asked = 0;
        while !ended.is_finished() {
            if let Some(authorize) = end.line.wait_briefly("mining.authorize") {
                end.refuse(&authorize, 24, "wrong password");
                asked += 1;
            }
        }
        asked
    });
    assert!((90..=180).contains(&asked), "{asked}");
    expect_credited(&mut one, &mut end, "me.rig");
}

#[test]
fn a_flood_of_names_takes_its_own_time_only() {
    let pool = Scripted::start();
    let site =
        Site::with(&format!("[aggregate]\nuser = \"{{user}}.{{worker}}\"\n{}", upstream(&pool, "farm")));
    let (_one, mut end) = first(&site, &pool, "aa000001", "a.rig1");
    let mut flood = site.asking("a.flood", "a.flood");
    end.authorize();
    let began = Instant::now();
    let names: String = (0..1000)
        .map(|number| {
            format!("{{\"id\":9,\"method\":\"mining.authorize\",\"params\":[\"a.f{number}\",\"x\"]}}\n")
        })
        .collect();
    flood.write(&names);
    let mut asked = 60;
    (0..asked).for_each(|_| _ = end.authorize());
    while let Some(authorize) = end.line.wait_briefly("mining.authorize").filter(|_| asked <= 80) {
        end.answer(&authorize, json!(true));
        asked += 1;
    }
    let most = 64.0 + 20.0 * began.elapsed().as_secs_f64() + 2.0;
    assert!(f64::from(asked) <= most, "{asked} within {:?}", began.elapsed());
    drop(flood);
    let mut honest = site.asking("a.honest", "a.honest");
    let authorize = end.line.wait("the honest one", |line| line["params"][0] == "farm.honest");
    end.answer(&authorize, json!(true));
    honest.wait_job();
    // The answer is there before the share is.
    honest.ask(7, "mining.ping", json!([]));
    honest.answer(7);
    expect_credited_soon(&mut honest, &mut end, "farm.honest");
}

#[test]
fn an_address_and_a_worker_can_be_parted_by_an_underscore() {
    let (pool, site, mut one, mut end) = mining("", &format!("{ADDRESS}_rig0"));
    let mut two = site.miner("two", &format!("{ADDRESS}_rig1"));
    let mut three = site.miner("three", &format!("{ADDRESS}.rig_2"));
    for line in [&mut one, &mut two, &mut three] {
        expect_credited(line, &mut end, ADDRESS);
    }
    assert!(pool.accept_within(QUIET).is_none(), "one account, one connection");
}

#[test]
fn several_accounts_behind_one_address_find_their_places_at_the_second_try() {
    let (pool, site) = one_pool("");
    let accounts = ["alice", "bob", "carol", "dave", "eve"];
    let (_first, end) = first(&site, &pool, "aa000000", "alice.first");
    let mut ends = vec![end];
    let mut lines: Vec<Line> = (0..accounts.len())
        .map(|_| {
            let mut line = site.connect();
            line.subscribe("NerdMinerV2/V1.8.3");
            line
        })
        .collect();
    for (line, account) in lines.iter_mut().zip(accounts) {
        line.ask(2, "mining.authorize", json!([format!("{account}.rig"), "x"]));
        if account != "alice" {
            line.wait_end();
        }
    }
    for (number, account) in accounts.into_iter().enumerate().skip(1) {
        let mut line = site.connect();
        line.ask(1, "mining.subscribe", json!(["NerdMinerV2/V1.8.3"]));
        let extranonce1 = format!("aa00000{number}");
        let mut end = pool.accept();
        end.open(&extranonce1, 8);
        line.wait_subscribed(1);
        line.worker = format!("{account}.rig");
        line.ask(2, "mining.authorize", json!([line.worker, "x"]));
        assert_eq!(end.authorize(), account);
        end.first_job();
        line.wait_job();
        assert!(is_within(&line, &extranonce1), "{account}");
        expect_credited(&mut line, &mut end, account);
        ends.push(end);
        lines.push(line);
    }
}

#[test]
fn reconnecting_to_the_right_account_is_no_reason_for_a_ban() {
    let pool = Scripted::start();
    let ratelimit = "[ratelimit]\nmax_connections_per_minute = 12\nban = \"1h\"\n";
    let site = Site::start(&[pool.address()], ratelimit);
    let (_first, _end) = first(&site, &pool, "aa000000", "alice.first");
    let mut kept = Vec::new();
    for number in 0..8 {
        // Twice each, which would be 17 with the first one.
        let worker = format!("account{number}.rig");
        let mut line = site.connect();
        line.ask(1, "mining.subscribe", json!(["one"]));
        line.answer(1);
        line.ask(2, "mining.authorize", json!([worker, "x"]));
        line.wait_end();
        let mut line = site.connect();
        let end = pool.open_for(&mut line, "one", "bb000000");
        line.ask(2, "mining.authorize", json!([worker, "x"]));
        assert_eq!(line.answer(2)["result"], true);
        kept.push((line, end));
    }
}

#[test]
fn accounts_that_one_address_makes_up_shut_out_nobody_else() {
    let (pool, site) = one_pool("");
    let (mut one, mut end) = first(&site, &pool, "aa000000", "alice.rig");
    let mut kept = Vec::new();
    let mut refused = None;
    for number in 0..80 {
        let mut line = site.connect();
        line.write(&opening(&format!("made-up-{number}")));
        let mut opened = None;
        wait_for("a connection to the pool, or a refusal", || {
            opened = pool.accept_within(Duration::from_millis(2));
            opened.is_some() || !is_quiet(line.raw())
        });
        if let Some(end) = &mut opened {
            end.open(&format!("cc{number:06x}"), 8);
        }
        let answer = line.answer(1);
        if opened.is_none() {
            refused = answer["error"][1].as_str().map(|words| (number, words.to_owned()));
            break;
        }
        kept.push((line, opened));
    }
    assert_eq!(
        refused.map(|(number, words)| (number, words.contains("too many accounts"))),
        Some((63, true))
    );
    // Who is there already, and who comes to an account that is, is none of that, nor who has yet to say
    // whose it is.
    expect_credited(&mut one, &mut end, "alice");
    let mut nameless = site.connect();
    nameless.ask(1, "mining.subscribe", json!([]));
    assert!(nameless.answer(1)["error"].is_null());
    let mut two = site.connect();
    two.write(&opening("alice.two"));
    two.wait_subscribed(1);
    two.wait_job();
    two.worker = "alice.two".to_owned();
    follow_extranonces(&mut two);
    expect_credited(&mut two, &mut end, "alice");
}

#[test]
fn a_share_that_the_pool_never_answered_is_not_counted_as_rejected() {
    let (_pool, site, mut line, mut end) = mining("", "acct.one");
    follow_extranonces(&mut line);
    expect_credited(&mut line, &mut end, "acct");
    let id = send(&mut line);
    end.share();
    drop(end);
    assert_eq!(code(&line.answer(id)), 20);
    wait_for("the books", || {
        let snapshot = site.snapshot();
        snapshot.miners.first().is_some_and(|miner| miner.unanswered == 1)
    });
    let snapshot = site.snapshot();
    assert_eq!((snapshot.miners[0].accepted, snapshot.miners[0].rejected), (1, 0));
    assert_eq!((snapshot.pools[0].accepted, snapshot.pools[0].rejected), (1, 0));
    assert!(snapshot.pools[0].newest_answers.len() == 1, "as the pool answered, not as was answered here");
}

#[test]
fn a_miner_whose_name_the_only_pool_refuses_is_told_and_disconnected() {
    let pool = Scripted::start();
    let failover = "[failover]\nconnect_deadline = \"1500ms\"\n";
    let site = Site::with(&format!("{failover}{}", upstream(&pool, "farm")));
    let mut one = site.connect();
    let mut end = pool.open_for(&mut one, "one", "aa000001");
    follow_extranonces(&mut one);
    one.ask(2, "mining.authorize", json!(["x.rig", "x"]));
    end.refuse_authorize(20, "never heard of it");
    let refusal = json!([24, "never heard of it", null]);
    // Who comes later hears it at once.
    wait_for("the refusal", || {
        let mut two = site.connect();
        two.write(&opening("x.rig2"));
        two.wait_end().iter().any(|answer| answer["error"] == refusal)
    });
    one.wait_end();
    assert_eq!(site.running().stats().upstreams[0].trouble, None, "it is not the pool's fault");
}

#[test]
fn a_pool_that_was_left_for_a_name_gets_another_chance_with_another_name() {
    let (pool, spare) = (Scripted::start(), Scripted::start());
    let site = Site::with(&format!(
        "[aggregate]\nuser = \"{{user}}.{{worker}}\"\n[failover]\nfailback_after = \"100ms\"\n{}{}",
        upstream(&pool, "farm"),
        upstream(&spare, "farm")
    ));
    let mut bad = site.connect();
    bad.ask(3, "mining.configure", json!([["subscribe-extranonce"], {}]));
    bad.ask(1, "mining.subscribe", json!(["bad"]));
    bad.ask(2, "mining.authorize", json!(["x.bad/name", "x"]));
    let mut end = pool.accept();
    end.open("aa000001", 8);
    end.refuse_authorize(20, "a slash");
    let mut end = spare.accept_and_give_work("bb000001");
    assert!(pool.accept_within(QUIET * 6).is_none(), "it knows nobody who is here");
    let mut good = site.asking("x.good", "x.good");
    end.authorize();
    good.wait_job();
    let mut back = pool.accept();
    back.open("aa000002", 8);
    for _ in 0..2 {
        let authorize = back.request("mining.authorize");
        if authorize["params"][0] == "farm.good" {
            back.answer(&authorize, json!(true));
        } else {
            back.refuse(&authorize, 20, "a slash");
        }
    }
    back.first_job();
    good.wait_end();
    let mut good = site.asking("x.good", "x.good");
    good.wait_job();
    expect_credited(&mut good, &mut back, "farm.good");
}

#[test]
fn a_name_that_no_pool_knows_harms_nobody_else() {
    let (pool, site, mut good, mut end) = mining("[failover]\nconnect_deadline = \"2s\"\n", "good.rig");
    let is_up = || site.running().stats().upstreams[0].trouble.is_none();
    for _ in 0..2 {
        let mut typo = site.connect();
        typo.write(&opening("typo.rig"));
        let mut refusing = pool.accept();
        refusing.open("bb000001", 8);
        refusing.refuse_authorize(24, "invalid address");
        typo.wait_end();
        assert!(is_up());
    }
    let mut honest = site.connect();
    honest.write(&opening("honest.rig"));
    let _its = pool.accept_and_give_work("cc000001");
    honest.wait_job();
    expect_credited(&mut good, &mut end, "good");
}

#[test]
fn a_slow_verdict_takes_no_name_away() {
    let pool = Scripted::start();
    let site = Site::with(&format!(
        "[aggregate]\nuser = \"{{user}}.{{worker}}\"\n[failover]\nanswer_timeout = \"100ms\"\n{}",
        upstream(&pool, "farm")
    ));
    let (_one, mut end) = first(&site, &pool, "aa000001", "a.rig1");
    let mut two = site.asking("a.rig2", "a.rig2");
    end.authorize();
    two.wait_job();
    expect_credited_soon(&mut two, &mut end, "farm.rig2");
    let mut three = site.asking("a.rig3", "a.rig3");
    let late = end.request("mining.authorize");
    three.wait_job();
    // It is looked after each half second.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1200) {
        expect_credited(&mut two, &mut end, "farm.rig2");
    }
    end.answer(&late, json!(true));
    expect_credited_soon(&mut three, &mut end, "farm.rig3");
}

#[test]
fn a_refused_name_that_nobody_has_any_more_is_forgotten() {
    let pool = Scripted::start();
    let site =
        impatient(&format!("[aggregate]\nuser = \"{{user}}.{{worker}}\"\n{}", upstream(&pool, "farm")));
    let (_one, mut end) = first(&site, &pool, "aa000001", "a.rig1");
    let two = site.asking("a.typo", "a.typo");
    end.refuse_authorize(24, "no");
    end.refuse_authorize(24, "no");
    drop(two);
    wait_for("the end of its session", || site.running().sessions() == 1);
    // Once more perhaps, as it was on its way.
    let mut asked = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1600) {
        if let Some(authorize) = end.line.wait_briefly("mining.authorize") {
            end.refuse(&authorize, 24, "no");
            asked += 1;
        }
    }
    assert!(asked <= 1, "{asked}");
}

#[test]
fn a_connection_made_for_an_account_stays_its_own_before_anybody_has_said_so() {
    let (pool, site) = one_pool("");
    let (_first, _end) = first(&site, &pool, "aa000000", "alice.first");
    // Taken for alice's, and expected as bob's from then on.
    let mut sent_away = site.connect();
    sent_away.subscribe("NerdMinerV2/V1.8.3");
    sent_away.ask(2, "mining.authorize", json!(["bob.rig", "x"]));
    sent_away.wait_end();
    let mut bob = site.connect();
    let mut bobs = pool.open_for(&mut bob, "NerdMinerV2/V1.8.3", "bb000000");
    let mut carol = site.connect();
    carol.write(&opening("carol.rig"));
    let mut carols = pool.accept();
    carols.open("cc000000", 8);
    assert_eq!(carols.authorize(), "carol");
    bob.ask(2, "mining.authorize", json!(["bob.rig", "x"]));
    assert_eq!(bob.answer(2)["result"], true);
    assert_eq!(bobs.authorize(), "bob");
}
