//! A share that is worth a block reaches the pool that gave the work, whatever else is wrong with it.

use serde_json::json;

use crate::aggregate::opened::{EASY, code, expect_moved, follow_extranonces, mining, send};
use crate::aggregate::scripted::{PoolEnd, Work};
use crate::aggregate::site::Line;
use crate::common::wait_for;

/// Every 65,536th hash is a block.
const NBITS: u32 = 0x1f00_ffff;
const BLOCK: f64 = 1.6e-5;

/// A job whose blocks can be found here.
fn give(end: &mut PoolEnd, number: u32, clean: bool) {
    end.give(&Work {
        id: format!("block{number}"),
        salt: 1000 + number,
        nbits: NBITS,
        clean,
        ..Work::default()
    });
}

/// Waits for the job that was just given.
fn wait_for_job(line: &mut Line) {
    wait_for("the job", || line.wait_job().nbits.0 == NBITS);
}

fn expect_forwarded(line: &mut Line, end: &mut PoolEnd, share: &sluice::stratum::Submit, name: &str) {
    let id = line.submit(share);
    let arrived = end.share();
    assert_eq!(arrived["params"][0], name);
    assert_eq!(arrived["params"][4], share.nonce.to_string());
    end.answer(&arrived, json!(true));
    assert_eq!(line.answer(id)["result"], true);
}

#[test]
fn a_block_under_an_unknown_name_reaches_the_pool() {
    let (_pool, _site, mut line, mut end) = mining("[aggregate]\nuser = \"{user}.{worker}\"\n", "acct.w1");
    give(&mut end, 1, false);
    wait_for_job(&mut line);
    line.worker = "acct.W1".to_owned();
    let ordinary = line.mine(EASY, 1e-6);
    assert_eq!(line.verdict(&ordinary), Some(24));
    let block = line.mine(BLOCK, 1e9);
    expect_forwarded(&mut line, &mut end, &block, "acct.w1");
}

#[test]
fn a_block_under_a_refused_name_reaches_the_pool() {
    let (_pool, site, _one, mut end) = mining("[aggregate]\nuser = \"{user}.{worker}\"\n", "acct.w1");
    let mut line = site.asking("two", "acct.w2");
    end.refuse_authorize(24, "never heard of it");
    give(&mut end, 1, false);
    wait_for_job(&mut line);
    let block = line.mine(BLOCK, 1e9);
    expect_forwarded(&mut line, &mut end, &block, "acct.w1");
}

#[test]
fn a_block_of_a_job_that_several_clean_jobs_have_ended_reaches_the_pool() {
    let (_pool, _site, mut line, mut end) = mining("", "acct.one");
    give(&mut end, 1, true);
    wait_for_job(&mut line);
    let block = line.mine(BLOCK, 1e9);
    let ordinary = line.mine(EASY, 1e-6);
    for number in 2..6 {
        give(&mut end, number, true);
        wait_for_job(&mut line);
    }
    assert_eq!(line.verdict(&ordinary), Some(21));
    expect_forwarded(&mut line, &mut end, &block, "acct");
}

#[test]
fn a_block_in_the_search_space_before_reaches_the_pool() {
    let (_pool, _site, mut line, mut end) = mining("", "acct.one");
    follow_extranonces(&mut line);
    give(&mut end, 1, true);
    wait_for_job(&mut line);
    let block = line.mine(BLOCK, 1e9);
    let ordinary = line.mine(EASY, 1e-6);
    end.set_extranonce("bb000002", 8);
    end.notify(true);
    expect_moved(&mut line, "bb000002");
    assert_eq!(line.verdict(&ordinary), Some(21));
    expect_forwarded(&mut line, &mut end, &block, "acct");
}

#[test]
fn a_block_found_while_the_proxy_ends_reaches_the_pool() {
    let (_pool, mut site, mut line, mut end) = mining("", "acct.one");
    give(&mut end, 1, false);
    wait_for_job(&mut line);
    let block = line.mine(BLOCK, 1e9);
    let open = send(&mut line);
    let arrived = end.share();
    let address = site.address();
    let ending = std::thread::spawn(move || site.shut_down());
    wait_for("its beginning to end", || std::net::TcpStream::connect(address).is_err());
    let late = line.submit(&block);
    let of_block = end.share();
    assert_eq!(of_block["params"][4], block.nonce.to_string());
    end.answer(&arrived, json!(true));
    end.answer(&of_block, json!(true));
    assert_eq!(line.answer(open)["result"], true);
    assert_eq!(line.answer(late)["result"], true);
    ending.join().unwrap();
}

#[test]
fn a_block_of_a_lost_connection_is_answered_as_stale() {
    let (pool, _site, mut line, mut end) = mining("", "acct.one");
    follow_extranonces(&mut line);
    give(&mut end, 1, false);
    wait_for_job(&mut line);
    let block = line.mine(BLOCK, 1e9);
    drop(end);
    let _end = pool.accept_and_give_work("bb000001");
    expect_moved(&mut line, "bb000001");
    let id = line.submit(&block);
    assert_eq!(code(&line.answer(id)), 21);
}
