//! A recorded proxy between simulated peers, and what there is to see of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice::analyzer::{DeviceView, MinerView, Snapshot, WorkLegs};
use sluice::clock::NtpTime;
use sluice::config::Config;
use sluice::devices::{DeviceInterface, DeviceReading};
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::status::snapshot::{ProgramInfo, RuntimeStatus, StatusSnapshot, StatusSnapshots};
use sluice::stratum::Difficulty;
use sluice::tap::SessionId;

use super::recorded::{Recorded, config, judged};
use super::{DEADLINE, upstream, wait_for};

pub const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// One share in 4,295 hashes.
pub const EASY: f64 = 0.000_001;

/// A pool, a proxy, some miners, and the newest moment.
pub struct Shown {
    pub pool: SimPool,
    _recorded: Recorded,
    pub miners: Vec<SimMiner>,
    pub snapshots: StatusSnapshots,
}

impl Shown {
    /// With miners of these names and a configuration text to go with the pool's.
    pub fn start(names: &[&str], more: &str) -> Shown {
        let pool = SimPool::start(PoolOptions::with_difficulty(EASY).unwrap()).unwrap();
        let text = format!("{}{more}", upstream(pool.addr()));
        let recorded = Recorded::start(&text);
        let snapshots = recorded.proxy.app().snapshots.clone();
        let miners = names.iter().zip(MinerModel::ALL.iter().cycle()).map(|(name, habit)| {
            let options = MinerOptions {
                hash_rate_limit: Some(SimHashRate(300_000.0)),
                ..MinerOptions::new(recorded.proxy.address(), *habit, *name)
            };
            SimMiner::start(options).unwrap()
        });
        let miners = miners.collect();
        Shown { pool, _recorded: recorded, miners, snapshots }
    }

    /// Waits until every miner has so many accepted shares.
    pub fn mine(&self, names: &[&str], least: u64) {
        let done =
            |stats: &sluice::sim::SimPoolStats| names.iter().all(|name| stats.worker(name).accepted >= least);
        assert!(self.pool.wait_until(Instant::now() + DEADLINE, done), "{:?}", self.pool.stats().workers);
    }

    /// Has the pool ask for `difficulty`, which nobody finds here, and waits until every share is
    /// judged and to be seen.
    pub fn quiet(&self, difficulty: f64) -> Arc<StatusSnapshot> {
        let difficulty = Difficulty::new(difficulty).unwrap();
        self.pool.set_difficulty(difficulty);
        self.see("the last verdicts", |snapshot| {
            let stats: Vec<_> = self.miners.iter().map(SimMiner::stats).collect();
            let submitted = stats.iter().map(|miner| miner.submitted).sum::<u64>();
            stats.iter().all(|miner| miner.difficulty == Some(difficulty))
                && submitted == self.pool.stats().accepted() + self.pool.stats().rejected()
                && submitted == judged(snapshot)
                && snapshot.miners.iter().all(|miner| miner.difficulty == difficulty.value())
        })
    }

    /// Waits until what is to be seen fulfils the condition.
    pub fn see(&self, what: &str, condition: impl Fn(&Snapshot) -> bool) -> Arc<StatusSnapshot> {
        wait_for(what, || condition(&self.snapshots.newest().snapshot));
        self.snapshots.newest()
    }
}

/// Before the first moment, or with analysis off.
pub fn empty(more: &str) -> StatusSnapshot {
    let text = format!("[[upstream]]\nurl = \"stratum+tcp://pool.example:3333\"\n{more}");
    let config: Config = config(&text);
    let at = NtpTime::from_timestamp("2026-11-21T12:00:00.123Z".parse().unwrap());
    StatusSnapshot {
        program: Arc::new(ProgramInfo { started: at, ..ProgramInfo::new(&config, Vec::new()) }),
        snapshot: Arc::default(),
        runtime: RuntimeStatus::default(),
        at,
        up_for: std::time::Duration::ZERO,
    }
}

/// A connected miner that has done nothing yet.
pub fn miner(session: u64, at: NtpTime) -> MinerView {
    MinerView {
        session: SessionId(session),
        miner: "[fe80::1]:3333".parse().unwrap(),
        worker: Default::default(),
        user_agent: Default::default(),
        upstream: Some(9),
        difficulty: 1.0,
        difficulty_since: None,
        best: 0.0,
        accepted: 0,
        rejected: 0,
        unanswered: 0,
        unknown: 0,
        hash_rates: Default::default(),
        connected_for: Default::default(),
        connected_since: at,
        last_share_ago: None,
        last_share: None,
        stale: 0,
        accepted_difficulty: 0.0,
        best_ever: None,
        extranonce1: None,
        extranonce2_size: None,
        payout: None,
    }
}

/// A Bitaxe of this worker that was read just now.
pub fn device(worker: &str, at: NtpTime) -> DeviceView {
    let reading = DeviceReading {
        model: Some(String::from("BM1370, board 601")),
        firmware: Some(String::from("v2.15.0")),
        mac: Some(String::from("AA:BB:CC:00:11:22")),
        hash_rate: Some(1.187e12),
        minute_hash_rate: Some(1.19e12),
        expected_hash_rate: Some(1.224e12),
        error_percent: Some(0.31),
        power: Some(17.9),
        temperature: Some(59.1),
        regulator_temperature: Some(63.0),
        fan_rpm: Some(4120.0),
        uptime: Some(Duration::from_secs(90_211)),
        reset_reason: Some(String::from("Power on")),
        wifi_rssi: Some(-57.0),
        best_difficulty: Some(73_120_455.2),
        uses_fallback: Some(false),
        pool: Some(String::from("192.168.7.2:3333")),
        ..DeviceReading::empty(DeviceInterface::AxeOs)
    };
    let work =
        WorkLegs { seconds: 3600.0, reported: 1.19e12, proven: 1.171e12, accepted: 1.17e12, chance: 0.065 };
    DeviceView {
        worker: worker.into(),
        address: "10.0.0.7".parse().unwrap(),
        is_connected: true,
        reading: Some((at, Arc::new(reading))),
        failure: None,
        work: Some(work),
        is_stalled: false,
    }
}
