use super::*;
use crate::proxy::aggregate::group::extranonce_space::Split;
use crate::proxy::aggregate::group::prefixes::Slots;
use crate::proxy::aggregate::jobs::TaskNumbers;
use crate::proxy::aggregate::jobs::tests::job_of;
use crate::stratum::{Nbits, Notify, Ntime, PrevHash, Version};

fn seated() -> MinerWork {
    let mut desk = MinerWork::new(Arc::new(config::VardiffConfig::default()));
    let split = Split::of(Extranonce2Size::new(8).unwrap()).unwrap();
    let prefix = Slots::new(split).take().unwrap();
    let extranonce1 = split.extranonce1(&Extranonce1::default(), &prefix).unwrap();
    desk.seat = Some(ExtranonceLease {
        epoch: SpaceId(1),
        prefix: Arc::new(prefix),
        extranonce1: Arc::new(extranonce1),
        extranonce2_size: split.miner_size(),
    });
    (desk.is_subscribed, desk.is_authorized) = (true, true);
    desk
}

fn job(block: u8) -> Arc<PoolJob> {
    let notify = Notify {
        job_id: JobId::from_counter(u64::from(block)),
        prevhash: PrevHash::from_wire_bytes([block; 32]),
        coinb1: vec![block; 60],
        coinb2: vec![2; 90],
        branches: Vec::new(),
        version: Version(0x2000_0000),
        nbits: Nbits(0x1d00_ffff),
        ntime: Ntime(1000),
        clean_jobs: Some(true),
    };
    Arc::new(PoolJob::sample(SpaceId(1), notify, u64::from(block)))
}

#[test]
fn a_new_block_is_clean_also_when_its_job_given_again_is_faster() {
    let (mut desk, numbers, now) = (seated(), TaskNumbers::default(), Instant::now());
    let (one, two) = (numbers.first(job(1), true, None), numbers.first(job(2), true, None));
    assert!(desk.give(&one, Difficulty::ONE, now).is_some());
    let again = numbers.again(&two, now);
    assert!(!again.clean);
    let lines = desk.give(&again, Difficulty::ONE, now).unwrap();
    assert!(lines.trim_end().ends_with("true]}"), "{lines}");
    // A job that a newer one has overtaken is not sent.
    assert_eq!(desk.give(&two, Difficulty::ONE, now), None);
    let once_more = numbers.again(&again, now);
    assert!(desk.give(&once_more, Difficulty::ONE, now).unwrap().trim_end().ends_with("false]}"));
}

#[test]
fn no_miner_is_given_more_than_the_pool_asks_for() {
    let (mut desk, numbers, now) = (seated(), TaskNumbers::default(), Instant::now());
    desk.user_agent = "bitaxe".to_owned();
    let first = numbers.first(job(1), true, None);
    for most in [1000.0, 0.3, 16.5] {
        let most = Difficulty::new(most).unwrap();
        let task = numbers.again(&first, now);
        desk.give(&task, most, now).unwrap();
        assert!(!desk.is_above(most) && desk.difficulty().unwrap() <= most);
    }
}

#[test]
fn another_pools_first_job_is_news_however_old_its_number() {
    let (mut desk, numbers, now) = (seated(), TaskNumbers::default(), Instant::now());
    // The better pool had its job ready before the other one sent its last.
    let mut elsewhere = Arc::into_inner(job(1)).unwrap();
    elsewhere.space.epoch = SpaceId(2);
    let first_there = numbers.first(Arc::new(elsewhere), true, None);
    let last_here = numbers.first(job(2), true, None);
    assert!(desk.give(&last_here, Difficulty::ONE, now).is_some());
    desk.seat = desk.seat.take().map(|seat| ExtranonceLease { epoch: SpaceId(2), ..seat });
    assert!(!desk.has(&first_there));
    let lines = desk.give(&first_there, Difficulty::ONE, now).unwrap();
    assert!(lines.contains("mining.set_difficulty") && lines.trim_end().ends_with("true]}"), "{lines}");
    assert!(desk.has(&first_there) && desk.give(&last_here, Difficulty::ONE, now).is_none());
}

#[test]
fn very_long_jobs_are_kept_for_as_long_as_there_is_room() {
    let (mut desk, numbers, now) = (seated(), TaskNumbers::default(), Instant::now());
    let tasks: Vec<_> = (0..400)
        .map(|number| numbers.first(Arc::new(job_of(1, vec![2; 30_000], number)), number == 0, None))
        .collect();
    for task in &tasks {
        desk.give(task, Difficulty::ONE, now).unwrap();
    }
    let kept = tasks.iter().filter(|task| desk.find(&task.id).is_some()).count();
    assert!(desk.given_bytes <= MOST_BYTES && (100..400).contains(&kept), "{kept}");
    assert!(desk.find(&tasks[399].id).is_some() && desk.find(&tasks[0].id).is_none());
    let next = numbers.first(job(2), true, None);
    desk.give(&next, Difficulty::ONE, now).unwrap();
    assert_eq!(desk.given_bytes, desk.given.iter().map(|given| given.task.bytes()).sum::<usize>());
}

#[test]
fn what_is_late_is_excused_for_a_while() {
    let (mut desk, numbers, now) = (seated(), TaskNumbers::default(), Instant::now());
    desk.give(&numbers.first(job(1), true, None), Difficulty::ONE, now).unwrap();
    assert!(!desk.is_excused(RejectKind::Stale, now), "nothing has died yet");
    desk.give(&numbers.first(job(2), true, None), Difficulty::ONE, now).unwrap();
    assert!(desk.is_excused(RejectKind::Stale, now) && !desk.is_excused(RejectKind::Low, now));
    assert!(!desk.is_excused(RejectKind::Stale, now + GRACE) && !desk.is_excused(RejectKind::Other, now));
}

#[test]
fn who_had_no_pool_goes_on_where_it_was() {
    let (mut desk, numbers, start) = (seated(), TaskNumbers::default(), Instant::now());
    desk.user_agent = "NerdMinerV2/V1.8.3".to_owned();
    desk.give(&numbers.first(job(1), true, None), Difficulty::ONE, start).unwrap();
    let before = desk.difficulty().unwrap();
    let mut now = start;
    for _ in 0..40 {
        now += Duration::from_secs(1);
        desk.tick(now);
        desk.count(before, now);
    }
    // The pool is gone, for much longer than any miner is silent.
    now += Duration::from_secs(1000);
    desk.seat = desk.seat.take().map(|seat| ExtranonceLease { epoch: SpaceId(2), ..seat });
    // The next one has no job yet.
    for _ in 0..500 {
        now += Duration::from_secs(1);
        assert!(!desk.tick(now));
    }
    let mut elsewhere = Arc::into_inner(job(1)).unwrap();
    elsewhere.space.epoch = SpaceId(2);
    let first_there = numbers.first(Arc::new(elsewhere), true, None);
    let lines = desk.give(&first_there, Difficulty::ONE, now).unwrap();
    assert_eq!(desk.difficulty(), Some(before), "{lines}");
    // From then on its silence is its own.
    for _ in 0..200 {
        now += Duration::from_secs(1);
        desk.tick(now);
    }
    desk.give(&numbers.again(&first_there, now), Difficulty::ONE, now).unwrap();
    assert!(desk.difficulty().unwrap() < before);
}

#[test]
fn who_subscribes_again_is_told_everything_again_and_no_hash_counts_twice() {
    let (mut desk, numbers, now) = (seated(), TaskNumbers::default(), Instant::now());
    let first = numbers.first(job(1), true, None);
    desk.give(&first, Difficulty::ONE, now).unwrap();
    let hash = BlockHash::from_bytes([7; 32]);
    assert!(desk.is_new(hash));
    assert!(!desk.starts_over());
    desk.was_told_seat();
    assert!(desk.starts_over());
    let lines = desk.give(&numbers.again(&first, now), Difficulty::ONE, now).unwrap();
    assert!(lines.contains("mining.set_difficulty") && lines.trim_end().ends_with("true]}"), "{lines}");
    assert!(!desk.starts_over() && !desk.is_new(hash) && desk.find(&first.id).is_some());
}
