//! Wrong clocks: this machine's, or the NTP servers'. Rows are dated right, and no pool is blamed.

use sluice::analyzer::{Alert, Snapshot};
use sluice::clock::{Clock, ClockState};
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::util::stop::Stop;

use crate::common::ntp_server::{DAY, Machine, Manner, Server, really};
use crate::common::recorded::{Recorded, Records, judged};
use crate::common::site::{ADDRESS, NBITS};
use crate::common::{upstream, wait_for};

/// A share every 4,295 hashes.
const DIFFICULTY: f64 = 0.000_001;

fn synchronised(clock: &Clock) {
    wait_for("NTP time", || matches!(clock.state(), ClockState::Synchronised { .. }));
}

/// Mines by this clock; `then` happens when some shares are judged, and some more are judged after it.
fn mine(clock: Clock, then: impl FnOnce()) -> Records {
    let options = PoolOptions { nbits: NBITS, ..PoolOptions::with_difficulty(DIFFICULTY).unwrap() };
    let pool = SimPool::start(options).unwrap();
    let recorded = Recorded::start_by(clock, &upstream(pool.addr()));
    let options = MinerOptions {
        hash_rate_limit: Some(SimHashRate(200_000.0)),
        ..MinerOptions::new(recorded.proxy.address(), MinerModel::NerdMiner, ADDRESS)
    };
    let miner = SimMiner::start(options).unwrap();
    recorded.wait_judged(5);
    then();
    let before = judged(&recorded.snapshot());
    recorded.wait_judged(before + 40);
    recorded.wait("the rules have looked at the clock", |snapshot| snapshot.at.is_some());
    drop(miner);
    recorded.finish()
}

fn alerts<'a>(snapshot: &'a Snapshot, family: &str) -> Vec<&'a Alert> {
    snapshot
        .alerts
        .alerts
        .iter()
        .map(AsRef::as_ref)
        .filter(|alert: &&Alert| alert.id.starts_with(family))
        .collect()
}

fn assert_dated_right(records: &Records) {
    assert!(records.rows.len() >= 45);
    for row in &records.rows {
        let time: jiff::Timestamp = row["timestamp"].parse().unwrap();
        let off = time.as_second() - really();
        assert!((-60..=5).contains(&off), "a row is dated {off} s from now");
    }
}

/// A Raspberry Pi: NTP is there before its clock is set. What comes after that moment must not be
/// dated by the new clock and the old correction.
#[test]
fn rows_are_dated_right_before_and_after_the_systems_clock_is_set() {
    let machine = Machine::ahead(-231 * DAY);
    let (server, stop) = (Server::start(Manner::Skewed(0)), Stop::new());
    let clock = machine.clock(&[&server], &stop);
    synchronised(&clock);
    let records = mine(clock, || machine.set_ahead(0));
    stop.stop();
    assert_dated_right(&records);
    let raised = alerts(&records.snapshot, "timing.");
    assert!(raised.iter().all(|alert| alert.id == "timing.local_clock"), "{raised:#?}");
}

#[test]
fn ntp_servers_that_lie_are_blamed_and_the_pool_is_not() {
    let (server, stop) = (Server::start(Manner::Skewed(100 * DAY * 1000)), Stop::new());
    let clock = Machine::default().clock(&[&server], &stop);
    synchronised(&clock);
    let records = mine(clock, || {});
    stop.stop();
    assert_dated_right(&records);
    let raised = alerts(&records.snapshot, "timing.");
    let [alert] = raised[..] else { panic!("{raised:#?}") };
    assert_eq!(alert.id, "timing.local_clock");
    assert!(alert.description.contains("NTP servers are wrong"), "{}", alert.description);
    assert!(alert.description.contains("100 days ahead of this machine's clock"), "{}", alert.description);
}

/// With one pool nobody can say who is wrong when there is no NTP; a pool that is alone against this
/// machine's clock and NTP is.
#[test]
fn a_pool_whose_jobs_both_clocks_contradict_is_still_blamed() {
    let (server, stop) = (Server::start(Manner::Skewed(100 * DAY * 1000)), Stop::new());
    let clock = Machine::ahead(100 * DAY).clock(&[&server], &stop);
    synchronised(&clock);
    let records = mine(clock, || {});
    stop.stop();
    let raised = alerts(&records.snapshot, "timing.");
    assert!(raised.iter().any(|alert| alert.id == "timing.extreme"), "{raised:#?}");
    assert!(raised.iter().all(|alert| alert.id != "timing.local_clock"), "{raised:#?}");
}
