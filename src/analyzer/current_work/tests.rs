//! Tests of which job counts, and for how long.

use super::super::verdicts::Unverifiable;
use super::*;
use crate::config::{Network, PayoutPolicy};
use crate::stratum::{Nbits, Ntime, Readings};

const STALE: Duration = Duration::from_secs(300);
const GOOD: PayoutState = PayoutState::Verified;
const BAD: PayoutState = PayoutState::Mismatch;

fn at(seconds: u64) -> Stamp {
    Stamp::from_nanos(seconds * 1_000_000_000)
}

fn job(state: PayoutState) -> JudgedJob {
    let facts = (Nbits(0x1702_3a04), Ntime(1_790_000_000));
    let mut job =
        JudgedJob::new(facts, true, None, &Expectations::new(&PayoutPolicy::default(), Network::Auto));
    job.payout.state = state;
    job
}

/// The oddness of one of several odd lines.
fn oddness(number: usize) -> Oddness {
    let lines = ["{} x", "{\"ID\":1}", "{'x':1,}", "\u{feff}{}", "{\"x\":\"\u{1}\",}", "{\"id\":1,\"id\":1}"];
    Oddness { shape: Readings::of(lines[number].as_bytes()).shape(), has_exact_name: true }
}

fn ordinary() -> Oddness {
    Oddness { shape: None, has_exact_name: true }
}

fn state(work: &CurrentWork, seconds: u64) -> Option<PayoutState> {
    let badness = work.badness(at(seconds), STALE);
    let verdicts = work.verdicts(at(seconds), STALE);
    let same = verdicts.map(|verdicts| (verdicts.payout.state, verdicts.chain.state));
    assert_eq!(badness, same);
    badness.map(|(payout, _)| payout)
}

fn doubt(why: WorkDoubt) -> Option<PayoutState> {
    Some(PayoutState::Unverifiable(Unverifiable::Doubt(why)))
}

#[test]
fn the_worst_job_since_the_last_one_that_all_miners_read_counts() {
    let mut work = CurrentWork::default();
    assert_eq!(state(&work, 0), None);
    work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(1));
    work.job(job(BAD), ReadingAgreement::OrIgnored, oddness(0), at(2));
    assert_eq!(state(&work, 3), Some(BAD));
    // The miners that read that job may ignore this kind.
    work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(1), at(3));
    assert_eq!(state(&work, 4), Some(BAD));
    // A miner that reads this kind proves it by a share.
    work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(0), at(4));
    assert_eq!(state(&work, 5), Some(BAD));
    work.worked_on(at(4));
    assert_eq!(state(&work, 5), Some(GOOD));
    work.job(job(BAD), ReadingAgreement::OrIgnored, oddness(1), at(5));
    // A later share may still be for the bad job.
    work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(6));
    work.worked_on(at(5));
    assert_eq!(state(&work, 7), Some(BAD));
    work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(8));
    assert_eq!(state(&work, 9), Some(BAD));
    work.worked_on(at(6));
    assert_eq!(state(&work, 10), Some(GOOD));
}

#[test]
fn more_kinds_than_are_kept_leave_the_verdict_in_doubt() {
    let mut work = CurrentWork::default();
    work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(1));
    for number in 0..=MAX_ODD_JOBS {
        work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(number), at(2));
    }
    assert_eq!(work.odd.len(), MAX_ODD_JOBS);
    assert_eq!(state(&work, 3), doubt(WorkDoubt::Ambiguous));
}

#[test]
fn an_unread_line_counts_until_a_share_proves_that_the_miner_has_moved_on() {
    let mut work = CurrentWork::default();
    work.mark_unread(WorkDoubt::Missed, at(1));
    assert_eq!(state(&work, 1), doubt(WorkDoubt::Missed));
    work.mark_unread(WorkDoubt::Unread, at(2));
    work.mark_unread(WorkDoubt::Missed, at(3));
    assert_eq!((state(&work, 3), work.unread), (doubt(WorkDoubt::Unread), Some((WorkDoubt::Unread, at(1)))));
    // Neither a job that some miners ignore nor one that all should read ends the doubt.
    work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(0), at(4));
    assert_eq!(state(&work, 4), doubt(WorkDoubt::Unread));
    work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(5));
    assert_eq!((state(&work, 5), work.unread), (doubt(WorkDoubt::Unread), None));
    assert_eq!(work.in_doubt_since(at(5)), Some((WorkDoubt::Unread, at(1))));
    assert!(!work.worked_on(at(4)));
    assert_eq!(state(&work, 6), doubt(WorkDoubt::Unread));
    assert!(work.worked_on(at(5)), "the doubt ends");
    assert_eq!(state(&work, 6), Some(GOOD));
    work.mark_unread(WorkDoubt::Unread, at(7));
    work.job(job(BAD), ReadingAgreement::All, ordinary(), at(8));
    work.mark_unread(WorkDoubt::Unread, at(9));
    assert_eq!(state(&work, 9), Some(BAD));
    work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(10));
    // A newer doubt ends only with a share for a job after it, which may be one that some miners ignore.
    work.mark_unread(WorkDoubt::Ambiguous, at(11));
    assert!(!work.worked_on(at(10)));
    assert_eq!(state(&work, 11), doubt(WorkDoubt::Ambiguous));
    work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(0), at(12));
    assert!(work.worked_on(at(12)));
    assert_eq!(state(&work, 12), Some(GOOD));
}

#[test]
fn an_unverifiable_job_counts_until_a_share_proves_a_later_one() {
    let unread = PayoutState::Unverifiable(Unverifiable::Unreadable);
    for (bad, why) in [
        (unread, WorkDoubt::Unread),
        (PayoutState::Unverifiable(Unverifiable::Doubt(WorkDoubt::Ambiguous)), WorkDoubt::Ambiguous),
    ] {
        let mut work = CurrentWork::default();
        work.job(job(bad), ReadingAgreement::All, ordinary(), at(1));
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(2));
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(3));
        assert_eq!(state(&work, 4), doubt(why));
        assert!(work.worked_on(at(2)));
        assert_eq!(state(&work, 4), Some(GOOD));
    }
}

#[test]
fn the_last_of_several_bad_jobs_counts() {
    let mut work = CurrentWork::default();
    for (number, state) in [BAD, GOOD, PayoutState::Short, GOOD].into_iter().enumerate() {
        work.job(job(state), ReadingAgreement::All, ordinary(), at(number as u64 + 1));
    }
    // The miner may have read the third job and not the fourth.
    work.worked_on(at(2));
    assert_eq!(state(&work, 5), Some(BAD));
    work.worked_on(at(4));
    assert_eq!(state(&work, 5), Some(GOOD));
}

#[test]
fn lost_copies_do_not_count_for_ever() {
    let mut work = CurrentWork::default();
    work.mark_unread(WorkDoubt::Missed, at(1));
    for number in 0..=60 {
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(2 + 60 * number));
    }
    assert_eq!((state(&work, 3601), state(&work, 3602)), (doubt(WorkDoubt::Missed), Some(GOOD)));
}

#[test]
fn verdicts_hold_for_as_long_as_the_job_interval_allows() {
    let mut work = CurrentWork::default();
    work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(0));
    // The job interval is unknown.
    assert_eq!((state(&work, 3600), state(&work, 3601)), (Some(GOOD), doubt(WorkDoubt::Old)));
    assert!(work.gap(at(3601), STALE).is_some_and(|gap| !gap.is_late && gap.seconds == 3601.0));
    for number in 1..=70 {
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(200 * number));
    }
    // Verdicts hold for three times the longest gap.
    assert_eq!((state(&work, 14_600), state(&work, 14_601)), (Some(GOOD), doubt(WorkDoubt::Old)));
    assert!(work.gap(at(14_601), STALE).is_some_and(|gap| gap.is_late));
    assert_eq!(work.good_until(Duration::from_secs(900)), Some(at(14_900)));
    // A job that some miners ignore does not make the others' work newer.
    work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(0), at(14_602));
    assert_eq!(state(&work, 14_602), doubt(WorkDoubt::Old));
    assert!(work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(14_603)), "it was late");
    assert_eq!(state(&work, 14_603), Some(GOOD));
}

fn state_and_chain(work: &CurrentWork, seconds: u64) -> Option<(PayoutState, ChainState)> {
    let verdicts = work.verdicts(at(seconds), STALE);
    assert_eq!(work.badness(at(seconds), STALE), verdicts.map(|one| (one.payout.state, one.chain.state)));
    work.badness(at(seconds), STALE)
}

/// A job of another chain with this payout.
fn on_another_chain(state: PayoutState) -> JudgedJob {
    let mut job = job(state);
    job.chain.state = ChainState::Wrong;
    job
}

#[test]
fn the_worst_payout_and_the_worst_chain_count_each_by_itself() {
    let mut work = CurrentWork::default();
    work.job(on_another_chain(GOOD), ReadingAgreement::All, ordinary(), at(1));
    work.job(job(BAD), ReadingAgreement::OrIgnored, oddness(0), at(2));
    assert_eq!(state_and_chain(&work, 3), Some((BAD, ChainState::Wrong)));
    // The same when both are superseded, in either order, and a job that is less bad changes nothing.
    for first_is_bad in [true, false] {
        let mut work = CurrentWork::default();
        let mut jobs = [job(BAD), on_another_chain(GOOD)];
        if !first_is_bad {
            jobs.reverse();
        }
        let jobs = jobs.into_iter().chain([job(PayoutState::Short), job(GOOD)]);
        for (number, job) in jobs.enumerate() {
            work.job(job, ReadingAgreement::All, ordinary(), at(number as u64 + 1));
        }
        assert_eq!(state_and_chain(&work, 5), Some((BAD, ChainState::Wrong)));
        assert_eq!(work.superseded.bad.len(), 2);
        work.worked_on(at(4));
        assert_eq!(state(&work, 5), Some(GOOD));
    }
}

#[test]
fn a_job_of_another_chain_whose_payout_nobody_can_judge_stays_wrong() {
    let mut work = CurrentWork::default();
    let unread = PayoutState::Unverifiable(Unverifiable::Unreadable);
    work.job(on_another_chain(unread), ReadingAgreement::All, ordinary(), at(1));
    work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(2));
    let found = state_and_chain(&work, 3).map(|(payout, chain)| (Some(payout), chain));
    assert_eq!(found, Some((doubt(WorkDoubt::Unread), ChainState::Wrong)));
}
