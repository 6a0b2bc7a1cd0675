//! Pools that put something beside a good answer: an empty error (wire reference, section 5.2, 13), or the
//! method that it answers.

use serde_json::{Value, json};

use crate::aggregate::opened::{expect_credited, is_within, one_pool, two_pools};
use crate::aggregate::scripted::PoolEnd;

fn answer(end: &mut PoolEnd, method: &str, result: &Value, error: &Value) -> Value {
    let request = end.request(method);
    end.line.say(&json!({ "id": request["id"], "result": result, "error": error }));
    request
}

#[test]
fn an_empty_error_beside_a_result_is_none() {
    for error in [json!([]), json!({}), json!(""), json!(false), Value::Null] {
        let (pool, site) = one_pool("[aggregate]\nlocal_authorize = false\n");
        let mut line = site.connect();
        let asked = json!([["version-rolling"], { "version-rolling.mask": "ffffffff" }]);
        line.ask(9, "mining.configure", asked);
        line.answer(9);
        line.ask(1, "mining.subscribe", json!(["one"]));
        let mut end = pool.accept();
        let granted = json!({ "version-rolling": true, "version-rolling.mask": "00ffe000" });
        answer(&mut end, "mining.configure", &granted, &error);
        answer(&mut end, "mining.subscribe", &json!([[["mining.notify", "s"]], "aa000001", 8]), &error);
        line.wait_subscribed(1);
        let mask = line.wait("the mask", |message| message["method"] == "mining.set_version_mask");
        assert_eq!(mask["params"], json!(["00ffe000"]), "{error}");
        line.authorize("acct.one");
        answer(&mut end, "mining.authorize", &json!(true), &error);
        assert_eq!(line.answer(2)["result"], true, "{error}");
        end.first_job();
        line.wait_job();
        expect_credited(&mut line, &mut end, "acct.one");
    }
}

#[test]
fn an_error_that_says_something_is_one_whatever_the_result() {
    for error in [json!([20, "no", null]), json!("no"), json!({ "code": 20 }), json!(true)] {
        let (pool, second, site) = two_pools("");
        let mut line = site.connect();
        line.ask(1, "mining.subscribe", json!(["one"]));
        let mut end = pool.accept();
        answer(&mut end, "mining.subscribe", &json!([[], "aa000001", 8]), &error);
        let mut end = second.accept();
        end.open("bb000001", 8);
        line.wait_subscribed(1);
        assert!(is_within(&line, "bb000001"), "{error}");
    }
}

#[test]
fn a_method_beside_a_result_makes_it_no_request() {
    let (pool, site) = one_pool("[aggregate]\nlocal_authorize = false\n");
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["one"]));
    let mut end = pool.accept();
    let answer = |end: &mut PoolEnd, method: &str, result: Value| {
        let id = end.request(method)["id"].clone();
        end.line.say(&json!({ "id": id, "method": method, "result": result, "error": null }));
    };
    answer(&mut end, "mining.subscribe", json!([[["mining.notify", "s"]], "aa000001", 8]));
    line.wait_subscribed(1);
    line.authorize("acct.one");
    answer(&mut end, "mining.authorize", json!(true));
    assert_eq!(line.answer(2)["result"], true);
    end.first_job();
    line.wait_job();
    expect_credited(&mut line, &mut end, "acct.one");
}
