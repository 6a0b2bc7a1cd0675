//! Messages that a pool sends before it answers subscribe are not forgotten.

use serde_json::Value;
use sluice::stratum::{
    Difficulty, Extranonce1, Extranonce2, Extranonce2Size, JobId, Nonce, Notify, Ntime, Submit, VersionBits,
    VersionMask,
};
use sluice::work::{PreparedJob, ShareTerms};

use super::job::{EASIEST, Job};
use super::miner::Miner;
use super::owner::{Owner, Seen};
use super::pool::{Pool, Script};

/// A pool that says this before its answer to subscribe.
fn pool(before: &str) -> Pool {
    let usual = Script::saying(b"");
    Pool::start(Script { subscribed: [before.as_bytes(), &usual.subscribed].concat(), ..usual })
}

/// The program at this pool, with a miner that has been told everything.
fn start(head: &str, pool: &Pool) -> (Owner, Miner) {
    let owner = Owner::start(head, &pool.upstream());
    let miner = Miner::join(owner.sluice.address());
    let connection = pool.connection();
    if head.is_empty() || head.contains("network") {
        miner.wait("all that the pool said", |received| received.len() as u64 >= connection.sent());
    }
    (owner, miner)
}

/// Whether the newest `count` shares were accepted and have a hash.
fn has_hashes(owner: &Owner, count: usize) -> Result<Vec<Value>, String> {
    let shares = owner.json("/api/shares");
    let shares = shares["shares"].as_array().unwrap();
    let is_known = |share: &&Value| share["result"] == "accepted" && share["hash"].is_string();
    let known = shares.iter().filter(is_known).count();
    if known == count {
        Ok(shares.clone())
    } else {
        Err(format!("{known} of {count} shares have a hash: {shares:?}"))
    }
}

/// Waits for that.
fn wait_hashes(owner: &Owner, count: usize) -> Vec<Value> {
    let (mut shares, mut what) = (Vec::new(), String::new());
    let found = owner.wait("shares", |_| match has_hashes(owner, count) {
        Ok(_) => Ok(()),
        Err(why) => Err(why),
    });
    match found.and_then(|()| has_hashes(owner, count)) {
        Ok(found) => shares = found,
        Err(why) => what = why,
    }
    assert!(what.is_empty(), "{what}");
    shares
}

#[test]
fn the_owners_job_before_the_answer_is_verified() {
    let job = Job::honest(1);
    let pool = pool(&job.line());
    let (owner, mut miner) = start("", &pool);
    miner.submit(job.id.as_bytes(), &job.ntime);
    owner.wait_verified().unwrap();
    wait_hashes(&owner, 1);
}

#[test]
fn a_strangers_job_before_the_answer_is_no_promise() {
    let job = Job::stranger(1);
    let pool = pool(&job.line());
    let (owner, mut miner) = start("", &pool);
    miner.submit(job.id.as_bytes(), &job.ntime);
    wait_hashes(&owner, 1);
    let is_judged = |seen: &Seen| match seen.status["payout"]["state"].as_str() {
        // It was made before the pool could know the name.
        Some("unverifiable" | "mismatch") => Ok(()),
        state => Err(format!("payout is {state:?}")),
    };
    owner.wait("a verdict", is_judged).unwrap();
}

/// The answer lets the first job be judged, and does not make good what came behind it.
#[test]
fn what_is_unread_behind_a_job_before_the_answer_stays_unread() {
    let (first, second) = (Job::honest(1), Job::stranger(2));
    // Half a message, which some miner may read all the same.
    let unread = second.line().replacen(&second.params(), &second.params()[..200], 1);
    let pool = pool(&format!("{}{unread}", first.line()));
    let (owner, mut miner) = start("", &pool);
    miner.submit(first.id.as_bytes(), &first.ntime);
    wait_hashes(&owner, 1);
    owner.wait_moments(2);
    let seen = owner.look();
    assert_eq!(seen.status["payout"]["state"], "unverifiable", "{}", seen.status["payout"]);
}

#[test]
fn every_job_before_the_answer_is_known() {
    let jobs: Vec<Job> = (1..=4).map(Job::honest).collect();
    let pool = pool(&jobs.iter().map(Job::line).collect::<String>());
    let (owner, mut miner) = start("", &pool);
    for job in &jobs {
        miner.submit(job.id.as_bytes(), &job.ntime);
    }
    wait_hashes(&owner, 4);
    owner.wait_verified().unwrap();
}

#[test]
fn a_block_of_a_job_before_the_answer_is_recorded() {
    let job = Job { nbits: EASIEST.to_owned(), ..Job::honest(1) };
    let pool = pool(&job.line());
    let (owner, mut miner) = start("network = \"regtest\"", &pool);
    // Every second hash is a block.
    for _ in 0..16 {
        miner.submit(job.id.as_bytes(), &job.ntime);
    }
    let has_block = |seen: &Seen| match seen.status["blocks"].as_u64() {
        Some(1..) => Ok(()),
        blocks => Err(format!("{blocks:?} blocks")),
    };
    owner.wait("a block", has_block).unwrap();
}

#[test]
fn difficulty_and_mask_before_the_answer_hold() {
    let job = Job::honest(1);
    let before = format!(
        "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[0.5]}}\n\
         {{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"1fffe000\"]}}\n{}",
        job.line()
    );
    let usual = Script::saying(b"");
    let authorized = String::from_utf8(usual.authorized).unwrap();
    let authorized = authorized.lines().next().unwrap().to_owned() + "\n";
    let subscribed = [before.as_bytes(), &usual.subscribed].concat();
    let pool = Pool::start(Script { subscribed, authorized: authorized.into_bytes() });
    let (owner, mut miner) = start("", &pool);
    let submit = Submit {
        worker: String::new(),
        job_id: JobId::from_text(job.id.trim_matches('"')).unwrap(),
        extranonce2: Extranonce2::from_text("00000007").unwrap(),
        ntime: Ntime::from_text(job.ntime.trim_matches('"')).unwrap(),
        nonce: Nonce(7),
        version_bits: Some(VersionBits(0x0000_2000)),
    };
    miner.say(&format!(
        "{{\"id\":9,\"method\":\"mining.submit\",\"params\":[\"x\",{},\"00000007\",{},\"00000007\",\"00002000\"]}}\n",
        job.id, job.ntime
    ));
    let shares = wait_hashes(&owner, 1);
    let size = Extranonce2Size::new(4).unwrap();
    let terms = ShareTerms {
        extranonce2_size: size,
        version_mask: VersionMask::from_text("1fffe000").ok(),
        difficulty: Difficulty::new(0.5).unwrap(),
    };
    let params = serde_json::from_str::<Box<serde_json::value::RawValue>>(&job.params()).unwrap();
    let notify = Notify::from_params(Some(&params)).unwrap();
    let extranonce1 = Extranonce1::from_text("08000002").unwrap();
    let share = PreparedJob::new(notify, extranonce1).rebuild(&submit, &terms).unwrap();
    assert_eq!(shares[0]["hash"], share.hash.to_string());
    assert_eq!(shares[0]["assigned_difficulty"], 0.5);
}

#[test]
fn aggregate_mode_counts_a_job_before_the_answer() {
    let pool = pool(&Job::honest(1).line());
    let (owner, miner) = start("mode = \"aggregate\"", &pool);
    miner.wait("a job", |received| received.windows(13).any(|part| part == b"mining.notify"));
    let is_counted = |seen: &Seen| {
        let mut lines = seen.metrics.lines().filter(|line| line.starts_with("sluice_jobs_total"));
        let line = lines.next().unwrap_or("no such metric");
        if line.ends_with(" 0") { Err(line.to_owned()) } else { Ok(()) }
    };
    owner.wait("the pool's job", is_counted).unwrap();
    let is_judged = |seen: &Seen| match seen.status["payout"]["state"].as_str() {
        Some(_) => Ok(()),
        None => Err("no verdict".to_owned()),
    };
    owner.wait("a verdict", is_judged).unwrap();
}
