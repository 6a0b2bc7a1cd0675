//! Each form through the program in passthrough mode.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::forms::{self, Expect, Form};
use super::job::Job;
use super::miner::Miner;
use super::owner::{Owner, Seen};
use super::pool::{Pool, Script};
use super::{PAYOUT, each, each_of, job_id};
use crate::common::wait_for;

/// The program between a miner and a pool that has been honest for two jobs.
struct Site {
    owner: Owner,
    pool: Pool,
    miner: Miner,
}

impl Site {
    fn start() -> Result<Site, String> {
        let (first, second) = (Job::honest(1), Job::honest(2));
        let pool = Pool::start(Script::saying((first.line() + &second.line()).as_bytes()));
        let owner = Owner::start("", &pool.upstream());
        let mut miner = Miner::join(owner.sluice.address());
        // No miner sends a share for a job that it does not have.
        let jobs = first.line() + &second.line();
        miner.wait("both jobs", |received| received.ends_with(jobs.as_bytes()));
        miner.submit(second.id.as_bytes(), &second.ntime);
        owner.wait_verified()?;
        Ok(Site { owner, pool, miner })
    }

    /// The pool says this, the miner gets it, and the pool accepts shares for it.
    fn go_on(&mut self, bytes: &[u8], job: &Job) {
        let connection = self.pool.connection();
        connection.say(bytes);
        let sent = connection.sent() as usize;
        self.miner.wait("all that the pool said", |received| received.len() >= sent);
        for _ in 0..3 {
            self.miner.submit(&job_id(bytes).unwrap_or_else(|| job.id.clone().into_bytes()), &job.ntime);
        }
    }
}

/// A stranger's job in this form is noticed.
fn notice(form: &Form) -> Result<(), String> {
    let mut site = Site::start()?;
    let job = Job::stranger(3);
    site.go_on(&(form.write)(&job), &job);
    let ids = if form.expect == Expect::Judged { &PAYOUT[..1] } else { &PAYOUT[..] };
    site.owner.wait("a stranger's job", |seen| seen.is_noticed(ids))
}

fn check(group: &[Form]) {
    each(group, |form| notice(form).map_err(|why| format!("a stranger's: {why}")));
}

#[test]
fn a_strangers_job_of_the_usual_forms_is_noticed() {
    check(forms::USUAL);
}

#[test]
fn a_key_that_stands_twice_hides_nothing() {
    check(forms::KEYS);
}

#[test]
fn something_around_the_object_hides_nothing() {
    check(forms::AROUND);
}

#[test]
fn an_odd_field_hides_nothing() {
    check(forms::FIELDS);
}

#[test]
fn an_odd_job_id_hides_nothing() {
    check(forms::IDS);
}

#[test]
fn an_odd_method_hides_nothing() {
    check(forms::METHODS);
}

#[test]
fn a_long_line_hides_nothing() {
    check(forms::LONG);
}

#[test]
fn an_odd_redirect_is_noticed() {
    let names = [
        "client.reconnect",
        "Client.Reconnect",
        "CLIENT.RECONNECT",
        "client.reconnect2",
        "client\\u002ereconnect",
    ];
    each_of(
        &names,
        |name| name,
        |name| {
            let site = Site::start()?;
            let line =
                format!("{{\"id\":null,\"method\":\"{name}\",\"params\":[\"stranger.example\",3333]}}\n");
            site.pool.connection().say(line.as_bytes());
            site.owner.wait("a redirect", |seen| {
                let serious = seen.serious();
                if serious == ["pool.redirect"] { Ok(()) } else { Err(format!("{serious:?}")) }
            })
        },
    );
}

#[test]
fn an_honest_pool_may_be_odd() {
    let mut site = Site::start().unwrap();
    let read: Vec<Form> =
        forms::ALL.concat().into_iter().filter(|form| form.expect == Expect::Judged).collect();
    for (number, form) in (3..).zip(&read) {
        let job = Job::honest(number);
        let submits = site.pool.connection().submits.load(Ordering::SeqCst) + 3;
        site.go_on(&(form.write)(&job), &job);
        // None of its shares is late for the job that follows.
        wait_for("the shares", || site.pool.connection().submits.load(Ordering::SeqCst) >= submits);
    }
    let count = 1 + 3 * read.len() as u64;
    let are_judged = |seen: &Seen| match seen.status["shares_ok"].as_u64() {
        Some(found) if found == count => Ok(()),
        found => Err(format!("{found:?} accepted shares of {count}")),
    };
    site.owner.wait("the shares", are_judged).unwrap();
    site.owner.wait_moments(2);
    site.owner.look().is_fine().unwrap();
    // Each share belongs to a job that was read.
    let shares = site.owner.json("/api/shares?limit=200");
    let shares = shares["shares"].as_array().unwrap();
    let unknown: Vec<&Value> = shares.iter().filter(|share| !share["hash"].is_string()).collect();
    assert!(shares.len() > 190 && unknown.is_empty(), "{} of {}: {unknown:?}", unknown.len(), shares.len());
}
