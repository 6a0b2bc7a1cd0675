//! An honest job that some miners drop proves nothing about what they work on, after a job that nobody could
//! read. A share for it does.

use std::sync::LazyLock;

use sluice::stratum::Nonce;

use super::PAYOUT;
use super::each;
use super::forms::{self, Form};
use super::job::{Job, WORK};
use super::miner::Miner;
use super::owner::{Owner, Seen};
use super::pool::{Pool, Script};

/// A job before which no miner could be known to read the one with this text in front of it.
fn unreadable(job: &Job) -> String {
    format!("xx{}", job.line())
}

/// The alert stays for a minute after its reason is gone.
fn is_verified(seen: &Seen) -> Result<(), String> {
    let state = &seen.status["payout"]["state"];
    if state == "verified" { Ok(()) } else { Err(format!("payout is {state}")) }
}

/// An honest job, and a share for it.
static HONEST: LazyLock<(Job, Nonce)> = LazyLock::new(|| with_share(Job::honest(3)));
/// A stranger's job, and a share for it.
static STRANGER: LazyLock<(Job, Nonce)> = LazyLock::new(|| with_share(Job::stranger(1)));

fn with_share(job: Job) -> (Job, Nonce) {
    let nonce = job.mine();
    (job, nonce)
}

fn check(form: &Form) -> Result<(), String> {
    let first = Job::honest(1);
    let pool = Pool::start(Script::saying(first.line().as_bytes()));
    let owner = Owner::start("", &pool.upstream());
    let mut miner = Miner::join(owner.sluice.address());
    miner.wait("the first job", |received| received.ends_with(first.line().as_bytes()));
    miner.submit(first.id.as_bytes(), &first.ntime);
    owner.wait_verified()?;
    let connection = pool.connection();
    connection.say(unreadable(&Job::stranger(2)).as_bytes());
    owner.wait("the unreadable job", |seen| seen.is_noticed(&PAYOUT[1..]))?;
    let (honest, nonce) = &*HONEST;
    let bytes = (form.write)(honest);
    connection.say(&bytes);
    let sent = connection.sent() as usize;
    miner.wait("all that the pool said", |received| received.len() >= sent);
    owner.wait_moments(2);
    owner.look().is_noticed(&PAYOUT[1..])?;
    miner.submit_nonce(&super::job_id(&bytes).unwrap(), &honest.ntime, *nonce);
    owner.wait("a share for the honest job", is_verified)
}

#[test]
fn a_job_that_some_miners_drop_ends_no_doubt() {
    each(forms::DROPPED, check);
}

fn difficulty(value: f64) -> String {
    format!("{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{value:e}]}}\n")
}

/// A stranger's job before the pool knows the miner, and an honest one with the same id that the miner drops,
/// while the pool asks for hardly any work.
fn forge(form: &Form) -> Result<(), String> {
    let (stranger, nonce) = &*STRANGER;
    let honest = Job { id: stranger.id.clone(), ..Job::honest(2) };
    let usual = Script::saying(&[difficulty(1e-300).as_bytes(), &(form.write)(&honest)].concat());
    let authorized = [&usual.authorized[..], difficulty(WORK).as_bytes()].concat();
    let early = difficulty(WORK) + &stranger.line();
    let subscribed = [&usual.subscribed[..], early.as_bytes()].concat();
    let pool = Pool::start(Script { subscribed, authorized });
    let owner = Owner::start("", &pool.upstream());
    let mut miner = Miner::join(owner.sluice.address());
    let connection = pool.connection();
    miner.wait("all that the pool said", |received| received.len() as u64 >= connection.sent());
    miner.submit_nonce(stranger.id.as_bytes(), &stranger.ntime, *nonce);
    owner.wait("the share", |seen| match seen.status["shares"]["accepted"].as_u64() {
        Some(1) => Ok(()),
        accepted => Err(format!("{accepted:?} shares were accepted")),
    })?;
    owner.wait_moments(2);
    match is_verified(&owner.look()) {
        Ok(()) => Err("a share for the stranger's job proves that the owner is paid".to_owned()),
        Err(_) => Ok(()),
    }
}

#[test]
fn a_share_for_a_strangers_job_of_the_same_id_ends_no_doubt() {
    each(forms::DROPPED, forge);
}
