//! Miners that have to reconnect: what is open is answered, and they are not kept for it.

use std::time::Duration;

use serde_json::{Value, json};
use sluice::proxy::aggregate::Limits;

use crate::aggregate::opened::{code, expect_credited, first, is_within, send};
use crate::aggregate::scripted::Scripted;
use crate::aggregate::site::Site;
use crate::common::upstream;

#[test]
fn a_miner_that_must_reconnect_is_not_kept_by_shares_that_the_pool_does_not_answer() {
    let pool = Scripted::start();
    let limits = Limits { disconnect_wait: Duration::from_millis(200), ..Limits::default() };
    let site = Site::with_limits(&upstream(pool.address()), limits);
    let (mut line, mut end) = first(&site, &pool, "aa000001", "acct.one");
    let one = send(&mut line);
    line.ask("p", "mining.ping", json!([]));
    let two = send(&mut line);
    let arrived = [end.share(), end.share()];
    // It can't be told of another extranonce.
    end.set_extranonce("bb000001", 8);
    end.notify(true);
    let rest = line.wait_end();
    let answers: Vec<&Value> = rest.iter().filter(|message| message.get("method").is_none()).collect();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert_eq!((&answers[0]["id"], code(answers[0])), (&json!(one), 20));
    assert_eq!(*answers[1], json!({ "id": "p", "result": "pong", "error": null }));
    assert_eq!((&answers[2]["id"], code(answers[2])), (&json!(two), 20));
    crate::common::wait_for("the books", || {
        let snapshot = site.snapshot();
        let worker = snapshot.totals.as_ref().and_then(|totals| totals.workers.get("acct.one").cloned());
        worker.is_some_and(|worker| (worker.unanswered, worker.rejected) == (2, 0))
    });
    // The pool's word comes too late for anybody.
    arrived.iter().for_each(|share| end.answer(share, json!(true)));
    let mut again = site.miner("again", "acct.one");
    assert!(is_within(&again, "bb000001"));
    expect_credited(&mut again, &mut end, "acct");
}
