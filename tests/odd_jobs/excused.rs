//! A job for a stranger is excused while the pool cannot know the miner, and no longer.

use std::time::{Duration, Instant};

use super::PAYOUT;
use super::each_of;
use super::job::Job;
use super::miner::Miner;
use super::owner::{Owner, Seen};
use super::pool::{Pool, Script};
use crate::common::wait_for;

/// Aggregate mode, passthrough with a consequence, and how the pool takes authorize.
struct Case {
    name: &'static str,
    head: &'static str,
    tables: &'static str,
    answers_authorize: bool,
}

const CASES: [Case; 4] = [
    Case { name: "accepted", head: "", tables: "", answers_authorize: true },
    Case { name: "never answered", head: "", tables: "", answers_authorize: false },
    Case { name: "aggregate", head: "mode = \"aggregate\"", tables: "", answers_authorize: true },
    Case {
        name: "blocked",
        head: "",
        tables: "[payout]\non_mismatch = \"block\"\n",
        answers_authorize: true,
    },
];

/// A pool that gives this job before authorize and `later` behind its answer.
fn pool(early: &Job, later: &str, answers_authorize: bool) -> Pool {
    let usual = Script::saying(later.as_bytes());
    let subscribed = [&usual.subscribed[..], early.line().as_bytes()].concat();
    let mut authorized = usual.authorized;
    if !answers_authorize {
        let end = authorized.iter().position(|byte| *byte == b'\n').unwrap();
        authorized.drain(..=end);
    }
    Pool::start(Script { subscribed, authorized })
}

fn notice(case: &Case) -> Result<(), String> {
    let job = Job::stranger(1);
    let pool = pool(&job, "", case.answers_authorize);
    let owner = Owner::start(case.head, &(pool.upstream() + case.tables));
    let mut miner = Miner::join(owner.sluice.address());
    miner.wait("the job", |received| received.windows(13).any(|part| part == b"mining.notify"));
    if !case.answers_authorize {
        pool.connection();
        miner.submit(job.id.as_bytes(), &job.ntime);
    }
    if case.tables.is_empty() {
        owner.wait("a stranger's job", |seen| seen.is_noticed(&PAYOUT[..1]))
    } else {
        owner.wait("a pool that is left", |seen| match seen.status["upstreams"][0]["standing"].as_str() {
            Some("blocked") => Ok(()),
            state => Err(format!("the pool is {state:?}")),
        })
    }
}

#[test]
fn the_excuse_of_a_strangers_job_ends() {
    each_of(&CASES, |case| case.name, notice);
}

/// The job that follows ends it, when a share proves that the miner has taken it.
#[test]
fn a_job_that_follows_with_a_share_is_verified_and_nothing_alerts() {
    let later = Job::honest(2);
    let pool = pool(&Job::stranger(1), &later.line(), true);
    let owner = Owner::start("", &pool.upstream());
    let mut miner = Miner::join(owner.sluice.address());
    miner.wait("both jobs", |received| received.ends_with(later.line().as_bytes()));
    let is_in_doubt = |seen: &Seen| match seen.status["payout"]["reason"].as_str() {
        Some(reason) if reason.contains("before the pool knew the miner") => Ok(()),
        reason => Err(format!("the reason is {reason:?}")),
    };
    owner.wait("the doubt", is_in_doubt).unwrap();
    miner.submit_nonce(later.id.as_bytes(), &later.ntime, later.mine());
    owner.wait_verified().unwrap();
}

/// A pool's mean excuse: it never keeps a session for the 10 s after which a job for a stranger is judged.
struct ShortSession {
    name: &'static str,
    accepts_share: bool,
}

/// Longer than a job for others is excused when the session ends, and shorter than it is otherwise.
const SHORT: Duration = Duration::from_millis(2200);

fn is_told(seen: &Seen) -> Result<(), String> {
    let alerts = seen.serious();
    if alerts.iter().any(|id| id == PAYOUT[0]) { Ok(()) } else { Err(format!("the alerts are {alerts:?}")) }
}

fn notice_in_short_session(case: &ShortSession) -> Result<(), String> {
    let job = Job::stranger(1);
    let pool = pool(&job, "", true);
    let owner = Owner::start("", &pool.upstream());
    let mut miner = Miner::join(owner.sluice.address());
    let connection = pool.connection();
    miner.wait("all that the pool said", |received| received.len() as u64 >= connection.sent());
    let since = Instant::now();
    wait_for("a short session", || since.elapsed() > SHORT);
    if case.accepts_share {
        miner.submit(job.id.as_bytes(), &job.ntime);
        miner.wait("the answer", |received| {
            received.len() as u64 >= connection.sent() && is_answered(received)
        });
    }
    connection.end();
    miner.leave();
    owner.wait("a stranger's job", is_told)
}

/// The first share has this id.
fn is_answered(received: &[u8]) -> bool {
    received.windows(9).any(|part| part == b"{\"id\":101")
}

#[test]
fn short_sessions_excuse_no_job() {
    let cases = [
        ShortSession { name: "with a share", accepts_share: true },
        ShortSession { name: "without a share", accepts_share: false },
    ];
    each_of(&cases, |case| case.name, notice_in_short_session);
}

/// The miner drops the good job, and goes on with the excused one.
#[test]
fn a_share_for_an_excused_job_long_after_a_good_one_ends_the_excuse() {
    let (early, later) = (Job::stranger(1), Job::honest(2));
    let pool = pool(&early, &later.line(), true);
    let owner = Owner::start("", &pool.upstream());
    let mut miner = Miner::join(owner.sluice.address());
    miner.wait("both jobs", |received| received.ends_with(later.line().as_bytes()));
    let (since, nonce) = (Instant::now(), early.mine());
    wait_for("a good job that is no news any more", || since.elapsed() > Duration::from_millis(10_500));
    miner.submit_nonce(early.id.as_bytes(), &early.ntime, nonce);
    owner.wait("a stranger's job", |seen| seen.is_noticed(&PAYOUT[..1])).unwrap();
}
