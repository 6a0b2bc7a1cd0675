//! Answers of pools that write the ids of our requests in another way, and names that they take in the end.

use serde_json::{Value, json};

use crate::aggregate::opened::{share, upstream};
use crate::aggregate::scripted::{PoolEnd, Scripted};
use crate::aggregate::site::{Line, Site};
use crate::common::wait_for;

/// Answers with the id as `spelled`.
fn answer(end: &mut PoolEnd, request: &Value, spelled: fn(u64) -> Value, result: Value) {
    let id = spelled(request["id"].as_u64().unwrap());
    end.line.say(&json!({ "id": id, "result": result, "error": null }));
}

/// The miner's name, as the page, JSON and metrics have it.
fn name(site: &Site) -> String {
    site.snapshot().miners.first().map(|miner| miner.worker.to_string()).unwrap_or_default()
}

#[test]
fn a_pool_may_write_our_ids_as_texts_or_with_a_fraction() {
    let spellings: [fn(u64) -> Value; 2] = [|id| json!(id.to_string()), |id| json!(id as f64)];
    for spelled in spellings {
        let pool = Scripted::start();
        let site = Site::with(&upstream(&pool, "farm"));
        let mut miner = site.connect();
        miner.worker = "a.rig".to_owned();
        miner.ask(1, "mining.subscribe", json!(["bitaxe"]));
        miner.ask(2, "mining.authorize", json!(["a.rig", "x"]));
        let mut end = pool.accept();
        let configure = end.request("mining.configure");
        answer(&mut end, &configure, spelled, json!({ "version-rolling": false }));
        let subscribe = end.request("mining.subscribe");
        answer(&mut end, &subscribe, spelled, json!([[], "aa000001", 8]));
        let authorize = end.request("mining.authorize");
        answer(&mut end, &authorize, spelled, json!(true));
        end.first_job();
        miner.wait_subscribed(1);
        miner.wait_job();
        for count in 1..4 {
            let found = share(&mut miner);
            let id = miner.submit(&found);
            let arrived = end.share();
            answer(&mut end, &arrived, spelled, json!(true));
            assert_eq!(miner.answer(id)["result"], true);
            // The analyzer has both conversations.
            wait_for("the verdict", || {
                let snapshot = site.snapshot();
                let accepted =
                    |miners: &[sluice::analyzer::MinerView]| miners.first().map(|one| one.accepted);
                (accepted(&snapshot.miners), accepted(&snapshot.shared)) == (Some(count), Some(count))
            });
        }
    }
}

/// The pool's verdict, and with it the miner's answer.
fn authorize(miner: &mut Line, end: &mut PoolEnd, is_taken: bool) {
    miner.ask(2, "mining.authorize", json!([miner.worker, "x"]));
    let request = end.request("mining.authorize");
    if is_taken {
        end.answer(&request, json!(true));
    } else {
        end.refuse(&request, 24, "the database is away for a moment");
    }
    assert_eq!(miner.answer(2)["result"] == true, is_taken);
}

#[test]
fn a_worker_that_is_taken_after_a_refusal_has_its_name() {
    let pool = Scripted::start();
    let site = Site::with(&format!("[aggregate]\nlocal_authorize = false\n{}", upstream(&pool, "{user}")));
    let mut miner = site.connect();
    miner.worker = "a.rig".to_owned();
    let mut end = pool.open_for(&mut miner, "bitaxe", "aa000001");
    authorize(&mut miner, &mut end, false);
    authorize(&mut miner, &mut end, true);
    wait_for("its name", || name(&site) == "a.rig");
}
