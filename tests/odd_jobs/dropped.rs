//! An honest job that some miners drop proves nothing about what they work on, after a job that nobody could
//! read. A share for it does.

use super::PAYOUT;
use super::each;
use super::forms::{self, Form};
use super::job::Job;
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

fn check(form: &Form) -> Result<(), String> {
    let first = Job::honest(1);
    let pool = Pool::start(Script::saying(first.line().as_bytes()));
    let owner = Owner::start("", &pool.upstream());
    let mut miner = Miner::join(owner.sluice.address());
    miner.wait("the first job", |told| told.ends_with(first.line().as_bytes()));
    miner.submit(first.id.as_bytes(), &first.ntime);
    owner.wait_verified()?;
    let connection = pool.connection();
    connection.say(unreadable(&Job::stranger(2)).as_bytes());
    owner.wait("the unreadable job", |seen| seen.is_noticed(&PAYOUT[1..]))?;
    let honest = Job::honest(3);
    let bytes = (form.write)(&honest);
    connection.say(&bytes);
    let sent = connection.sent() as usize;
    miner.wait("all that the pool said", |told| told.len() >= sent);
    owner.wait_moments(2);
    owner.look().is_noticed(&PAYOUT[1..])?;
    miner.submit(&super::job_id(&bytes).unwrap(), &honest.ntime);
    owner.wait("a share for the honest job", is_verified)
}

#[test]
fn a_job_that_some_miners_drop_ends_no_doubt() {
    each(forms::DROPPED, check);
}
