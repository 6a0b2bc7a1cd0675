//! Names in which nobody can be credited, and names in odd forms (wire reference, section 2.2).

use serde_json::{Value, json};

use crate::aggregate::opened::{
    QUIET, expect_credited, expect_credited_soon, first, mining, share, upstream,
};
use crate::aggregate::scripted::Scripted;
use crate::aggregate::site::Site;

/// Params of an authorize that name no account.
fn nameless() -> Vec<Value> {
    vec![
        json!(["", "x"]),
        json!([".rig1", "x"]),
        json!([".", "x"]),
        json!(["..", "x"]),
        json!(["_", "x"]),
        json!(["   ", "x"]),
        json!([" .rig1", "x"]),
        json!(["\u{a0}\t\u{200b}", "x"]),
        json!(["\u{0}", "x"]),
        json!([null, "x"]),
        json!([true, "x"]),
        json!([["acct"], "x"]),
        json!([{ "user": "acct" }, "x"]),
        json!([]),
        Value::Null,
        json!(17),
        json!("acct.rig1"),
        json!({ "user": "acct.rig1" }),
    ]
}

#[test]
fn an_authorize_without_an_account_is_refused_and_a_later_one_accepted() {
    for local in [true, false] {
        let pool = Scripted::start();
        let site = Site::start(&[pool.address()], &format!("[aggregate]\nlocal_authorize = {local}\n"));
        let mut line = site.connect();
        let mut end = pool.open_for(&mut line, "one", "aa000001");
        let more = [json!(["acct\u{7}.rig", "x"])];
        let encoded =
            [json!(["%2Erig1", "x"]), json!(["%20", "x"]), json!(["%0a", "x"]), json!(["acct%00", "x"])];
        // What the pool is to judge goes through as it is.
        let encoded = if local { &encoded[..] } else { &[] };
        for params in nameless().iter().chain(&more).chain(encoded) {
            line.ask(7, "mining.authorize", params.clone());
            let answer = line.answer(7);
            assert_eq!(
                (&answer["result"], &answer["error"][0]),
                (&Value::Null, &json!(24)),
                "{params}: {answer}"
            );
            assert!(answer["error"][1].as_str().unwrap().contains("user name"), "{params}: {answer}");
        }
        line.say(&json!({ "id": 7, "method": "mining.authorize" }));
        assert_eq!(line.answer(7)["error"][0], 24);
        assert!(end.line.is_quiet_for(QUIET), "the pool is not asked about them");
        line.authorize("acct.rig1");
        end.authorize();
        end.first_job();
        assert_eq!(line.answer(2)["result"], true);
        line.wait_job();
        expect_credited(&mut line, &mut end, if local { "acct" } else { "acct.rig1" });
    }
}

#[test]
fn any_name_is_accepted_if_the_configuration_names_the_user() {
    let pool = Scripted::start();
    let site = Site::with(&upstream(&pool, "farm"));
    let (_first, mut end) = first(&site, &pool, "aa000001", "one");
    for params in nameless() {
        let mut line = site.connect();
        line.subscribe("any");
        line.ask(2, "mining.authorize", params.clone());
        assert_eq!(line.answer(2)["result"], true, "{params}");
        line.wait_job();
        // It submits in the name that it has given.
        let name = params.get(0).cloned().unwrap_or(Value::Null);
        line.worker = name.as_str().unwrap_or_default().to_owned();
        let share = share(&mut line);
        let mut written = crate::aggregate::share_search::params(&share);
        written[0] = name;
        line.ask(5, "mining.submit", written);
        let arrived = end.share();
        assert_eq!(arrived["params"][0], "farm", "{params}");
        end.answer(&arrived, json!(true));
        assert_eq!(line.answer(5)["result"], true, "{params}");
    }
    assert!(end.line.is_quiet_for(QUIET), "nothing of these names reaches the pool");
}

#[test]
fn percent_encoded_names_and_numbers_are_read() {
    let (_pool, site, _first, mut end) = mining("[aggregate]\nuser = \"{user}.{worker}\"\n", "17.rig0");
    for (written, name) in
        [(json!("17%2Erig_1"), "17.rig_1"), (json!("17%2erig%5F2"), "17.rig_2"), (json!(17), "17")]
    {
        let mut line = site.connect();
        line.subscribe("one");
        line.worker = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
        line.ask(2, "mining.authorize", json!([written, "x"]));
        assert_eq!(line.answer(2)["result"], true, "{written}");
        let authorize = end.request("mining.authorize");
        assert_eq!(authorize["params"][0], name, "{written}");
        end.answer(&authorize, json!(true));
        line.wait_job();
        expect_credited_soon(&mut line, &mut end, name);
    }
}
