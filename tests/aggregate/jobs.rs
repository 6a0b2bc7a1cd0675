//! The effect of the pool's jobs on the work that miners have.

use serde_json::json;
use sluice::stratum::Submit;

use crate::aggregate::opened::{EASY, expect_accepted, expect_credited, mining, share};
use crate::aggregate::scripted::Work;

#[test]
fn a_job_that_comes_back_is_other_work() {
    let (_pool, _site, mut line, mut end) = mining("", "acct.one");
    line.forget();
    let mut give = |id: &str, salt| {
        end.give(&Work { id: id.to_owned(), salt, ..Work::default() });
        line.wait_job()
    };
    let jobs = [give("p", 50), give("q", 51), give("p", 50), give("r", 52), give("p", 50)];
    assert_eq!(jobs[0].coinb1, jobs[2].coinb1);
    let ntime = jobs[0].ntime.0;
    assert_eq!(jobs.map(|job| job.ntime.0 - ntime), [0, 0, 1, 0, 2]);
    expect_credited(&mut line, &mut end, "acct");
}

#[test]
fn a_job_of_another_block_is_clean_whatever_the_pool_says() {
    let (_pool, _site, mut line, mut end) = mining("", "acct.one");
    let late: Submit = share(&mut line);
    line.forget();
    let parent = "1111111111111111111111111111111111111111111111111111111111111111";
    let (coinb1, coinb2) = ("00".repeat(60), "00".repeat(60));
    let params = json!(["next", parent, coinb1, coinb2, [], "20000000", "17023a04", "68596192", false]);
    end.line.say(&json!({ "id": null, "method": "mining.notify", "params": params }));
    assert_eq!(line.wait_job().clean_jobs, Some(true));
    // It has not said that it takes no more of the former ones.
    expect_accepted(&mut line, &mut end, &late);
    assert_eq!(line.verdict(&late), Some(22));
    let new = line.mine(EASY, 1.0);
    line.submit(&new);
    assert_eq!(end.share()["params"][1], "next");
}
