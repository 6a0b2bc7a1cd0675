use super::*;
use crate::proxy::aggregate::jobs::JobNumbers;
use crate::proxy::aggregate::jobs::tests::job_of;
use crate::proxy::aggregate::{ExtranonceSplit, PrefixTable};
use crate::work::BlockHash;

fn leased() -> MinerWork {
    let mut work = MinerWork::new(Arc::new(config::VardiffConfig::default()));
    let split = ExtranonceSplit::of(Extranonce2Size::new(8).unwrap()).unwrap();
    let prefix = PrefixTable::new(split).take().unwrap();
    let extranonce1 = split.extranonce1(&Extranonce1::default(), &prefix).unwrap();
    work.lease = Some(ExtranonceLease {
        space_id: SpaceId(1),
        prefix: Arc::new(prefix),
        extranonce1: Arc::new(extranonce1),
        extranonce2_size: split.miner_size(),
    });
    (work.is_subscribed, work.is_authorized) = (true, true);
    work
}

fn job(block: u8) -> Arc<PoolJob> {
    Arc::new(job_of(u64::from(block), block, vec![2; 90], u32::from(block)))
}

#[test]
fn a_new_block_is_clean_also_when_its_job_given_again_is_faster() {
    let (mut work, numbers, now) = (leased(), JobNumbers::default(), Instant::now());
    let (one, two) = (numbers.issue(job(1), true, None), numbers.issue(job(2), true, None));
    assert!(work.assign(&one, Difficulty::ONE, now).is_some());
    let again = numbers.reissue(&two, now);
    assert!(!again.clean);
    let lines = work.assign(&again, Difficulty::ONE, now).unwrap();
    assert!(lines.trim_end().ends_with("true]}"), "{lines}");
    // A job that a newer one has overtaken is not sent.
    assert_eq!(work.assign(&two, Difficulty::ONE, now), None);
    let once_more = numbers.reissue(&again, now);
    assert!(work.assign(&once_more, Difficulty::ONE, now).unwrap().trim_end().ends_with("false]}"));
}

#[test]
fn no_miner_is_given_more_than_the_pool_asks_for() {
    let (mut work, numbers, now) = (leased(), JobNumbers::default(), Instant::now());
    work.set_user_agent("bitaxe".to_owned());
    let first = numbers.issue(job(1), true, None);
    for most in [1000.0, 0.3, 16.5] {
        let most = Difficulty::new(most).unwrap();
        let miner_job = numbers.reissue(&first, now);
        work.assign(&miner_job, most, now).unwrap();
        assert!(!work.is_above(most) && work.difficulty().unwrap() <= most);
    }
}

#[test]
fn another_pools_first_job_is_sent_however_low_its_number() {
    let (mut work, numbers, now) = (leased(), JobNumbers::default(), Instant::now());
    // The better pool had its job ready before the other one sent its last.
    let mut elsewhere = Arc::into_inner(job(1)).unwrap();
    elsewhere.space.space_id = SpaceId(2);
    let first_there = numbers.issue(Arc::new(elsewhere), true, None);
    let last_here = numbers.issue(job(2), true, None);
    assert!(work.assign(&last_here, Difficulty::ONE, now).is_some());
    work.lease = work.lease.take().map(|lease| ExtranonceLease { space_id: SpaceId(2), ..lease });
    assert!(!work.has(&first_there));
    let lines = work.assign(&first_there, Difficulty::ONE, now).unwrap();
    assert!(lines.contains("mining.set_difficulty") && lines.trim_end().ends_with("true]}"), "{lines}");
    assert!(work.has(&first_there) && work.assign(&last_here, Difficulty::ONE, now).is_none());
}

#[test]
fn very_long_jobs_are_kept_for_as_long_as_there_is_room() {
    let (mut work, numbers, now) = (leased(), JobNumbers::default(), Instant::now());
    let miner_jobs: Vec<_> = (0..400)
        .map(|number| numbers.issue(Arc::new(job_of(1, 7, vec![2; 30_000], number)), number == 0, None))
        .collect();
    for miner_job in &miner_jobs {
        work.assign(miner_job, Difficulty::ONE, now).unwrap();
    }
    let kept = miner_jobs.iter().filter(|miner_job| work.find(&miner_job.id).is_some()).count();
    assert!(work.assigned_bytes <= MAX_JOB_BYTES && (100..400).contains(&kept), "{kept}");
    assert!(work.find(&miner_jobs[399].id).is_some() && work.find(&miner_jobs[0].id).is_none());
    let next = numbers.issue(job(2), true, None);
    work.assign(&next, Difficulty::ONE, now).unwrap();
    assert_eq!(
        work.assigned_bytes,
        work.assigned.iter().map(|assigned| assigned.miner_job.bytes()).sum::<usize>()
    );
}

#[test]
fn late_shares_are_excused_for_a_while() {
    let (mut work, numbers, now) = (leased(), JobNumbers::default(), Instant::now());
    work.assign(&numbers.issue(job(1), true, None), Difficulty::ONE, now).unwrap();
    assert!(!work.is_excused(RejectKind::Stale, now), "nothing has died yet");
    work.assign(&numbers.issue(job(2), true, None), Difficulty::ONE, now).unwrap();
    assert!(work.is_excused(RejectKind::Stale, now) && !work.is_excused(RejectKind::LowDifficulty, now));
    assert!(
        !work.is_excused(RejectKind::Stale, now + STALE_GRACE) && !work.is_excused(RejectKind::Other, now)
    );
}

#[test]
fn a_miner_without_a_pool_keeps_its_difficulty() {
    let (mut work, numbers, start) = (leased(), JobNumbers::default(), Instant::now());
    work.set_user_agent("NerdMinerV2/V1.8.3".to_owned());
    work.assign(&numbers.issue(job(1), true, None), Difficulty::ONE, start).unwrap();
    let before = work.difficulty().unwrap();
    let mut now = start;
    for _ in 0..40 {
        now += Duration::from_secs(1);
        work.tick(now);
        work.count(before, now);
    }
    // The pool is gone, for much longer than any miner is silent.
    now += Duration::from_secs(1000);
    work.lease = work.lease.take().map(|lease| ExtranonceLease { space_id: SpaceId(2), ..lease });
    // The next one has no job yet.
    for _ in 0..500 {
        now += Duration::from_secs(1);
        assert!(!work.tick(now));
    }
    let mut elsewhere = Arc::into_inner(job(1)).unwrap();
    elsewhere.space.space_id = SpaceId(2);
    let first_there = numbers.issue(Arc::new(elsewhere), true, None);
    let lines = work.assign(&first_there, Difficulty::ONE, now).unwrap();
    assert_eq!(work.difficulty(), Some(before), "{lines}");
    // From then on its silence is its own.
    for _ in 0..200 {
        now += Duration::from_secs(1);
        work.tick(now);
    }
    work.assign(&numbers.reissue(&first_there, now), Difficulty::ONE, now).unwrap();
    assert!(work.difficulty().unwrap() < before);
}

#[test]
fn a_second_subscribe_repeats_difficulty_and_job_and_no_hash_counts_twice() {
    let (mut work, numbers, now) = (leased(), JobNumbers::default(), Instant::now());
    let first = numbers.issue(job(1), true, None);
    work.assign(&first, Difficulty::ONE, now).unwrap();
    let hash = BlockHash::from_bytes([7; 32]);
    assert!(work.hashes.is_new(hash));
    assert!(!work.starts_over);
    work.note_subscribed();
    assert!(work.starts_over);
    let lines = work.assign(&numbers.reissue(&first, now), Difficulty::ONE, now).unwrap();
    assert!(lines.contains("mining.set_difficulty") && lines.trim_end().ends_with("true]}"), "{lines}");
    assert!(!work.starts_over && !work.hashes.is_new(hash) && work.find(&first.id).is_some());
}
