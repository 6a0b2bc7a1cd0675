//! Each share is judged by its real hash before the pool sees it.

use std::time::Duration;

use serde_json::json;
use sluice::stratum::{Extranonce1, Notify, Ntime, Submit};
use sluice::work::{BlockHash, ShareValues};

use crate::aggregate::opened::{first_at_once, one_pool};
use crate::aggregate::scripted::{PoolEnd, Scripted, Work};
use crate::aggregate::share_search::{Field, code, params, target};
use crate::aggregate::site::{Line, Site};

/// Every miner at 1e-6, unless the pool asks for less.
const LEAST: &str = "[vardiff]\nmax = 0.000001\n";
/// A share of this difficulty takes 43,000 hashes.
const POOL: f64 = 0.000_01;

/// A pool at 1e-5, and a miner at 1e-6.
fn pair() -> (Site, Scripted, PoolEnd, Line) {
    let (scripted, site) = one_pool(LEAST);
    let (pool, miner) = join(&site, &scripted);
    (site, scripted, pool, miner)
}

fn join(site: &Site, scripted: &Scripted) -> (PoolEnd, Line) {
    let (miner, pool) = first_at_once(site, scripted, ("NerdMinerV2/V1.8.3", "bc1q.rig"), POOL);
    (pool, miner)
}

#[test]
fn a_share_is_forwarded_exactly_when_the_pool_asks_for_no_more_and_to_the_letter() {
    let (_site, _scripted, mut pool, mut miner) = pair();
    let odd = "\u{e4} \"1\\2\u{1f41f}";
    pool.give(&Work { id: odd.to_owned(), salt: 77, ..Work::default() });
    let job = miner.wait_job();
    let mut field = Field::of(&miner, 0xbeef);
    let prefix = miner.extranonce1.to_string().strip_prefix("ab12").unwrap().to_owned();
    for _ in 0..5 {
        let (low, good) = (field.between(1e-8, 9e-7), field.between(1.01e-6, 9.9e-6));
        assert_eq!((miner.verdict(&low), miner.verdict(&good)), (Some(23), None));
    }
    for place in 0..5 {
        let best = field.at_least(POOL);
        // Neither padded nor small.
        let nonce = format!("{:X}", best.nonce.0);
        let ntime = best.ntime.to_string().to_uppercase();
        let extranonce2 = best.extranonce2.to_string();
        let worker = miner.worker.clone();
        let share = json!([worker, job.job_id.as_str(), extranonce2.to_uppercase(), ntime, nonce]);
        miner.ask(place, "mining.submit", share);
        let forwarded = pool.share();
        let expected = json!([
            "bc1q",
            odd,
            format!("{prefix}{extranonce2}"),
            best.ntime.to_string(),
            format!("{:08x}", best.nonce.0),
            "00000000"
        ]);
        assert_eq!(forwarded["params"], expected);
        pool.answer(&forwarded, json!(true));
        assert_eq!(code(&miner.answer(place)), None);
    }
}

#[test]
fn a_fall_of_the_pools_difficulty_reaches_the_miner_with_a_job_at_once() {
    let (scripted, site) = one_pool("");
    let (mut pool, mut miner) = join(&site, &scripted);
    assert_eq!(miner.difficulty, POOL);
    let before = miner.job.clone().unwrap();
    let mut old = Field::of(&miner, 1);
    let lower = 2e-6;
    pool.set_difficulty(lower);
    let next = miner.wait("a line", |message| message["method"].is_string() && message["id"].is_null());
    // The first of the two was kept when it joined.
    assert_eq!(next["method"], "mining.set_difficulty");
    let now = miner.wait("a job", |message| {
        message["method"] == "mining.notify" && message["params"][0] != before.job_id.as_str()
    });
    assert_eq!(miner.difficulty, lower);
    let job = miner.job.clone().unwrap();
    assert!(job.ntime > before.ntime && job.coinb1 == before.coinb1, "{now}");
    // The lower of both holds for the job before as well, and for the pool's own judgement.
    for field in [&mut old, &mut Field::of(&miner, 2)] {
        let share = field.between(2.01e-6, 9e-6);
        let id = miner.submit(&share);
        let forwarded = pool.share();
        assert_eq!(
            (&forwarded["params"][1], &forwarded["params"][3]),
            (&json!("job1"), &json!(share.ntime.to_string()))
        );
        pool.answer(&forwarded, json!(true));
        assert_eq!(code(&miner.answer(id)), None);
    }
    // A rise holds from the next job on: until then the lowest does that the job has had.
    pool.set_difficulty(1.0);
    pool.wait_until_read();
    let mut field = Field::of(&miner, 3);
    for share in [field.between(2.01e-6, 9e-6), field.at_least(POOL)] {
        let id = miner.submit(&share);
        let forwarded = pool.share();
        assert_eq!(forwarded["params"][4], share.nonce.to_string());
        pool.answer(&forwarded, json!(true));
        assert_eq!((code(&miner.answer(id)), miner.difficulty), (None, lower));
    }
    pool.notify(false);
    miner.wait_job();
    assert!(miner.difficulty > lower, "{}", miner.difficulty);
}

#[test]
fn a_block_is_forwarded_whatever_else_is_wrong_with_it_and_once() {
    let (_site, _scripted, mut pool, mut miner) = pair();
    // Every 65,536th hash is a block, which is 1.5e-5: more than the miner is asked for.
    let easy = |id: &str, salt, clean| Work {
        id: id.to_owned(),
        salt,
        clean,
        nbits: 0x1f00_ffff,
        ..Work::default()
    };
    pool.give(&easy("first", 50, true));
    // Not the first job, which may still be unread.
    while miner.job.as_ref().unwrap().nbits.0 != 0x1f00_ffff {
        miner.wait_job();
    }
    // The pool asks for so much that only blocks are worth it.
    pool.set_difficulty(1e6);
    pool.give(&easy("second", 51, false));
    miner.wait_job();
    let block = target(1.6e-5);
    let mut field = Field::of(&miner, 5);
    let low = field.find(|hash| block.is_met_by(hash));
    let stale = field.find(|hash| block.is_met_by(hash));
    field.job.ntime = Ntime(field.job.ntime.0 - 50);
    let early = field.find(|hash| block.is_met_by(hash));
    let check = |pool: &mut PoolEnd, miner: &mut Line, share: &Submit| {
        let id = miner.submit(share);
        let forwarded = pool.share();
        assert_eq!(forwarded["params"][1], "second");
        assert_eq!(forwarded["params"][4], share.nonce.to_string());
        pool.refuse(&forwarded, 23, "Above target");
        assert_eq!(code(&miner.answer(id)), Some(23));
    };
    check(&mut pool, &mut miner, &low);
    check(&mut pool, &mut miner, &early);
    pool.give(&easy("third", 52, true));
    miner.wait_job();
    check(&mut pool, &mut miner, &stale);
    // A second time it is worth nothing.
    assert_eq!(miner.verdict(&stale), Some(22));
    assert_eq!(miner.verdict(&low), Some(22));
    // Of another length nobody knows what was hashed.
    let mut long = params(&field.find(|hash| block.is_met_by(hash)));
    long[2] = json!(format!("{}00", long[2].as_str().unwrap()));
    miner.ask("long", "mining.submit", long);
    assert_eq!(code(&miner.answer("long")), Some(20));
    assert!(pool.line.is_quiet_for(Duration::from_millis(100)));
}

/// The credit as a pool counts it: the job's difficulty or the present one, whichever is lower.
struct Books {
    jobs: Vec<(String, Notify, f64)>,
    now: f64,
}

impl Books {
    fn credit(&self, params: &serde_json::Value) -> f64 {
        let raw = serde_json::value::to_raw_value(params).unwrap();
        let share = Submit::from_params(Some(&raw)).unwrap();
        let (_, job, difficulty) = self.jobs.iter().find(|(id, ..)| *id == share.job_id.as_str()).unwrap();
        let asked = difficulty.min(self.now);
        if target(asked).is_met_by(&hash_at_pool(job, &share)) { asked } else { 0.0 }
    }
}

fn hash_at_pool(job: &Notify, share: &Submit) -> BlockHash {
    let values = ShareValues {
        extranonce2: share.extranonce2.clone(),
        ntime: share.ntime,
        nonce: share.nonce,
        version: job.version,
    };
    values.header(job, &Extranonce1::from_text("ab12").unwrap()).hash()
}

#[test]
fn the_pool_credits_what_it_would_have_credited_directly() {
    let (site, _scripted, mut pool, first) = pair();
    let second = site.miner("NerdMinerV2/V1.8.3", "bc1q.other");
    let mut miners = [first, second];
    let mut books = Books { jobs: Vec::new(), now: POOL };
    let (mut directly, mut credited, mut sent) = (0.0, 0.0, 0);
    // It falls and rises, with a job and without one.
    for (round, difficulty) in [4e-6, 1e-5, 2e-6, 8e-6].into_iter().enumerate() {
        let id = format!("round{round}");
        let is_late = round % 2 == 1;
        if !is_late {
            pool.set_difficulty(difficulty);
            books.now = difficulty;
        }
        pool.give(&Work { id: id.clone(), salt: 900 + round as u32, ..Work::default() });
        for miner in &mut miners {
            while miner.wait_job().coinb1.last() != Some(&((900 + round as u32) as u8)) {}
        }
        books.jobs.push((id.clone(), miners[0].job.clone().unwrap(), books.now));
        if is_late {
            pool.set_difficulty(difficulty);
            books.now = difficulty;
            pool.wait_until_read();
        }
        for miner in &mut miners {
            let mut field = Field::of(miner, 1000 + round as u64);
            let prefix = miner.extranonce1.to_string().strip_prefix("ab12").unwrap().to_owned();
            for _ in 0..15 {
                let share = field.at_least(1e-6);
                let mut direct = params(&share);
                direct[1] = json!(id);
                direct[2] = json!(format!("{prefix}{}", share.extranonce2));
                let expected = books.credit(&direct);
                directly += expected;
                let answer = miner.submit(&share);
                if expected > 0.0 {
                    let forwarded = pool.share();
                    credited += books.credit(&forwarded["params"]);
                    sent += 1;
                    pool.answer(&forwarded, json!(true));
                }
                assert_eq!(code(&miner.answer(answer)), None);
            }
        }
    }
    assert!(sent >= 10 && directly > 0.0);
    assert_eq!(directly, credited);
    assert!(pool.line.is_quiet_for(Duration::from_millis(50)));
}

#[test]
fn a_job_id_that_is_given_to_other_work_ends_the_work_before() {
    let (_site, _scripted, mut pool, mut miner) = pair();
    let mut old = Field::of(&miner, 1);
    // The id of the first job, for other work.
    pool.give(&Work { id: "job1".to_owned(), salt: 40, ..Work::default() });
    while miner.wait_job().coinb1 == old.job.coinb1 {}
    assert_eq!(miner.verdict(&old.at_least(POOL)), Some(21));
    let mut field = Field::of(&miner, 1);
    let share = field.at_least(POOL);
    let id = miner.submit(&share);
    let forwarded = pool.share();
    assert_eq!(forwarded["params"][4], share.nonce.to_string());
    pool.answer(&forwarded, json!(true));
    assert_eq!(code(&miner.answer(id)), None);
    // The same job once more is given as other work, or everybody would repeat what was done.
    pool.give(&Work { id: "job1".to_owned(), salt: 40, ..Work::default() });
    let again = miner.wait_job();
    assert!(again.ntime > field.job.ntime && again.coinb1 == field.job.coinb1);
    let id = miner.submit(&field.at_least(POOL));
    pool.accept_share();
    assert_eq!(code(&miner.answer(id)), None);
}

#[test]
fn a_share_is_never_forwarded_twice_however_long_ago_it_was() {
    let (scripted, site) = one_pool("");
    let (mut pool, mut miner) = join(&site, &scripted);
    pool.set_difficulty(1e-8);
    while miner.difficulty > 1e-8 {
        miner.wait_job();
    }
    let mut field = Field::of(&miner, 1);
    let first = field.at_least(1e-8);
    let shares: Vec<Submit> = std::iter::repeat_with(|| field.at_least(1e-8)).take(1300).collect();
    for batch in std::iter::once(&[first.clone()][..]).chain(shares.chunks(100)) {
        let ids: Vec<u64> = batch.iter().map(|share| miner.submit(share)).collect();
        for _ in batch {
            pool.accept_share();
        }
        for id in ids {
            assert_eq!(code(&miner.answer(id)), None);
        }
    }
    assert_eq!(miner.verdict(&first), Some(22));
    assert!(pool.line.is_quiet_for(Duration::from_millis(50)));
}

#[test]
fn a_pool_that_answers_late_costs_no_share() {
    let (scripted, site) = one_pool("");
    let (mut pool, mut miner) = join(&site, &scripted);
    pool.set_difficulty(1e-8);
    while miner.difficulty > 1e-8 {
        miner.wait_job();
    }
    let mut field = Field::of(&miner, 1);
    let shares: Vec<Submit> = std::iter::repeat_with(|| field.at_least(1e-8)).take(1200).collect();
    // More than one miner may have waiting.
    let ids: Vec<u64> = shares.iter().map(|share| miner.submit(share)).collect();
    let waiting: Vec<_> = (0..500).map(|_| pool.share()).collect();
    waiting.iter().for_each(|share| pool.answer(share, json!(true)));
    for _ in 500..1200 {
        pool.accept_share();
    }
    for id in ids {
        assert_eq!(code(&miner.answer(id)), None);
    }
}
