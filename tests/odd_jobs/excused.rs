//! A job for a stranger is excused while the pool cannot know the miner, and no longer.

use super::PAYOUT;
use super::each_of;
use super::job::Job;
use super::miner::Miner;
use super::owner::{Owner, Seen};
use super::pool::{Pool, Script};

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
    miner.wait("the job", |told| told.windows(13).any(|part| part == b"mining.notify"));
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
    miner.wait("both jobs", |told| told.ends_with(later.line().as_bytes()));
    let is_in_doubt = |seen: &Seen| match seen.status["payout"]["reason"].as_str() {
        Some(reason) if reason.contains("before the pool knew the miner") => Ok(()),
        reason => Err(format!("the reason is {reason:?}")),
    };
    owner.wait("the doubt", is_in_doubt).unwrap();
    miner.submit(later.id.as_bytes(), &later.ntime);
    owner.wait_verified().unwrap();
}
