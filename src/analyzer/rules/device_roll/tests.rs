//! Devices in virtual time: honest days, and what each rule is for.

use std::time::Duration;

use super::super::{test_clock, test_time};
use super::*;
use crate::analyzer::alerts::AlertBook;
use crate::record::AlertKind;

const ADDRESS: &str = "10.0.0.7";
const DIFFICULTY: f64 = 1024.0;
/// A share each 15 s.
const HASH_RATE: f64 = DIFFICULTY * crate::work::HASHES_PER_DIFFICULTY / 15.0;
const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;

/// A device, its connection, and what has been reported.
struct Run {
    roll: DeviceRoll,
    alerts: AlertBook,
    second: i64,
    random: u64,
    /// The part of its hash rate that arrives as shares.
    part: f64,
    next_share: f64,
    is_connected: bool,
    is_read: bool,
    reading: DeviceReading,
    started: i64,
    difficulty: f64,
    worker: &'static str,
    /// The worker of the connection.
    miner: &'static str,
    share_silent: Option<f64>,
    restart: Option<Result<(), String>>,
    /// The seconds between two readings.
    interval: i64,
}

impl Run {
    fn new() -> Run {
        let reading = DeviceReading {
            mac: Some(String::from("AA:BB")),
            firmware: Some(String::from("v2.15.0")),
            hash_rate: Some(HASH_RATE),
            temperature: Some(60.0),
            regulator_temperature: Some(64.0),
            uses_fallback: Some(false),
            ..DeviceReading::empty(DeviceInterface::AxeOs)
        };
        Run {
            roll: DeviceRoll { least_stall: 600.0, ..DeviceRoll::default() },
            alerts: AlertBook::new(&[]),
            second: 0,
            random: 42,
            part: 1.0,
            next_share: 0.0,
            is_connected: true,
            is_read: true,
            reading,
            started: -i64::from(DAY),
            difficulty: DIFFICULTY,
            worker: "rig",
            miner: "rig",
            share_silent: None,
            restart: None,
            interval: 30,
        }
    }

    fn random(&mut self) -> f64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }

    /// Lets so many seconds pass. Returns when which alerts began, ended and happened.
    fn pass(&mut self, seconds: u32) -> Vec<(i64, AlertKind, &'static str)> {
        let mut found = Vec::new();
        for _ in 0..seconds {
            let at = test_time(self.second);
            let mut rows = Vec::new();
            if self.is_read && self.second % self.interval == 0 {
                let noise = 0.97 + 0.06 * self.random();
                let mut reading = self.reading.clone();
                reading.minute_hash_rate = reading.hash_rate.map(|rate| rate * noise);
                reading.uptime = Some(Duration::from_secs((self.second - self.started) as u64));
                let report = DeviceReport {
                    worker: self.worker.into(),
                    address: ADDRESS.parse().unwrap(),
                    at,
                    is_connected: self.is_connected,
                    outcome: Ok(reading.into()),
                    restart: self.restart.take(),
                };
                rows.extend(AlertContext::for_tests(&mut self.alerts, &test_clock(), at, |context| {
                    self.roll.report(&report, context);
                }));
            }
            self.next_share -= 1.0;
            while self.part > 0.0 && self.next_share <= 0.0 {
                if self.is_connected {
                    self.roll.proven(ADDRESS.parse().unwrap(), Some(self.difficulty), self.difficulty);
                }
                let mean = self.difficulty * crate::work::HASHES_PER_DIFFICULTY / HASH_RATE / self.part;
                self.next_share += -self.random().ln() * mean;
            }
            let sample = SessionSample {
                worker: self.miner,
                miner: ADDRESS.parse().unwrap(),
                difficulty: self.difficulty,
                job_silent: Some(10.0),
                share_silent: self.share_silent,
                ..SessionSample::for_tests()
            };
            let samples = if self.is_connected { vec![sample] } else { Vec::new() };
            rows.extend(AlertContext::for_tests(&mut self.alerts, &test_clock(), at, |context| {
                self.roll.tick(&samples, false, context);
            }));
            rows.extend(self.alerts.expire(at));
            found.extend(rows.iter().map(|row| (self.second, row.kind, row.id)));
            self.second += 1;
        }
        found
    }

    fn kinds(&mut self, seconds: u32) -> Vec<(AlertKind, &'static str)> {
        self.pass(seconds).into_iter().map(|(_, kind, id)| (kind, id)).collect()
    }
}

#[test]
fn honest_days_raise_nothing() {
    let mut run = Run::new();
    for day in 0..3 {
        run.random += day;
        assert_eq!(run.pass(10 * HOUR), []);
        // It reconnects, and its difficulty changes.
        run.is_connected = false;
        assert_eq!(run.pass(60), []);
        (run.is_connected, run.difficulty) = (true, DIFFICULTY * 8.0);
        assert_eq!(run.pass(10 * HOUR), []);
        run.difficulty = DIFFICULTY / 2.0;
        // It can't be read for an hour.
        run.is_read = false;
        assert_eq!(run.pass(HOUR), []);
        run.is_read = true;
        assert_eq!(run.pass(3 * HOUR - 60), []);
        run.difficulty = DIFFICULTY;
    }
}

#[test]
fn a_loss_begins_and_ends() {
    let mut run = Run::new();
    assert_eq!(run.pass(30 * HOUR), []);
    run.part = 0.5;
    let found = run.pass(6 * HOUR);
    assert_eq!(found.len(), 1, "{found:?}");
    let (when, kind, id) = found[0];
    assert_eq!((kind, id), (AlertKind::Begins, "device.loses_work"));
    assert!(when < i64::from(34 * HOUR), "{when}");
    run.part = 1.0;
    assert_eq!(run.kinds(6 * HOUR), [(AlertKind::Ends, "device.loses_work")]);
    assert_eq!(run.pass(DAY), []);
}

#[test]
fn lost_copies_and_shares_of_unknown_jobs_prove_nothing() {
    let mut run = Run::new();
    run.part = 0.5;
    for gaps in 0..48 {
        run.roll.note_gaps(gaps);
        assert_eq!(run.pass(HOUR / 2), [], "{gaps}");
    }
    for _ in 0..48 {
        run.roll.proven(ADDRESS.parse().unwrap(), None, 0.0);
        assert_eq!(run.pass(HOUR / 2), []);
    }
}

#[test]
fn difficulties_that_the_chips_do_not_report_are_not_judged() {
    let mut run = Run::new();
    (run.difficulty, run.part) = (100.0, 0.1);
    assert_eq!(run.pass(6 * HOUR), []);
}

#[test]
fn a_device_that_stalls_is_told_once_and_works_again() {
    let mut run = Run::new();
    assert_eq!(run.pass(HOUR), []);
    run.part = 0.0;
    let found = run.pass(4 * HOUR);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].1, found[0].2), (AlertKind::Begins, "device.stalled"));
    assert!((4100..4500).contains(&found[0].0), "{found:?}");
    assert!(run.roll.view()[0].is_stalled);
    (run.part, run.next_share) = (1.0, 5.0);
    assert_eq!(run.kinds(6 * HOUR), [(AlertKind::Ends, "device.stalled")]);
    // It says itself that it makes nothing.
    (run.part, run.reading.hash_rate) = (0.0, Some(0.0));
    assert_eq!(run.kinds(HOUR), [(AlertKind::Begins, "device.stalled")]);
}

#[test]
fn a_verdict_does_not_outlive_a_share_nor_the_readings() {
    let mut run = Run::new();
    run.pass(HOUR);
    run.part = 0.0;
    run.pass(HOUR);
    assert!(run.roll.view()[0].is_stalled);
    // Its web server hangs too: nobody can say what it does.
    run.is_read = false;
    run.pass(HOUR);
    assert!(!run.roll.view()[0].is_stalled);
    run.is_read = true;
    run.pass(60);
    assert!(run.roll.view()[0].is_stalled);
    // It mines again while it can't be read.
    run.is_read = false;
    run.roll.proven(ADDRESS.parse().unwrap(), Some(DIFFICULTY), DIFFICULTY);
    run.pass(1);
    assert!(!run.roll.view()[0].is_stalled);
}

#[test]
fn a_device_that_is_paused_or_slow_has_not_stalled() {
    let mut run = Run::new();
    (run.part, run.reading.is_paused) = (0.0, Some(true));
    assert_eq!(run.pass(6 * HOUR), []);
    // A NerdMiner's like finds a share in an hour.
    let mut run = Run::new();
    (run.part, run.difficulty) = (0.0, DIFFICULTY * 240.0);
    assert_eq!(run.pass(12 * HOUR), []);
    // One that is not read any more is not judged.
    let mut run = Run::new();
    run.pass(HOUR);
    (run.part, run.is_read) = (0.0, false);
    assert_eq!(run.pass(12 * HOUR), []);
}

#[test]
fn heat_is_told_before_and_when_the_chips_stop() {
    let mut run = Run::new();
    run.pass(HOUR);
    // One slip of a sensor.
    run.reading.temperature = Some(120.0);
    assert_eq!(run.pass(40), []);
    run.reading.temperature = Some(70.0);
    assert_eq!(run.pass(HOUR), []);
    run.reading.temperature = Some(73.0);
    assert_eq!(run.kinds(HOUR), [(AlertKind::Begins, "device.hot")]);
    run.reading.is_overheated = Some(true);
    assert_eq!(run.kinds(HOUR), [(AlertKind::Begins, "device.hot")], "more severe");
    (run.reading.is_overheated, run.reading.temperature) = (Some(false), Some(60.0));
    assert_eq!(run.kinds(HOUR), [(AlertKind::Ends, "device.hot")]);
}

#[test]
fn a_restart_is_told_but_not_one_with_a_new_firmware() {
    let mut run = Run::new();
    run.pass(HOUR);
    run.started = run.second - 20;
    assert_eq!(run.kinds(HOUR), [(AlertKind::Happened, "device.restarted")]);
    run.started = run.second - 20;
    run.reading.firmware = Some(String::from("v2.15.1"));
    assert_eq!(run.pass(HOUR), []);
    // Sluice has told it to. That excuses only what follows soon.
    for (wait, is_told) in [(60, false), (1200, true)] {
        run.restart = Some(Ok(()));
        assert_eq!(run.pass(wait), []);
        run.started = run.second - 20;
        assert_eq!(!run.pass(HOUR).is_empty(), is_told);
    }
    // Another device at the same address.
    (run.started, run.reading.mac) = (run.second - 20, Some(String::from("CC:DD")));
    assert_eq!(run.pass(HOUR), []);
}

#[test]
fn a_device_on_its_fallback_pool_is_elsewhere_until_it_is_back() {
    let mut run = Run::new();
    run.pass(HOUR);
    // A short absence is a reconnect.
    run.is_connected = false;
    assert_eq!(run.pass(90), []);
    run.is_connected = true;
    assert_eq!(run.pass(HOUR), []);
    (run.is_connected, run.reading.uses_fallback) = (false, Some(true));
    let found = run.pass(6 * HOUR);
    assert_eq!((found.len(), found[0].2), (1, "device.elsewhere"), "{found:?}");
    (run.is_connected, run.reading.uses_fallback) = (true, Some(false));
    assert_eq!(run.kinds(HOUR), [(AlertKind::Ends, "device.elsewhere")]);
    // Switched off, it is nowhere.
    (run.is_connected, run.reading.hash_rate) = (false, Some(0.0));
    assert_eq!(run.pass(6 * HOUR), []);
}

#[test]
fn a_dead_connection_of_a_device_on_its_fallback_pool_is_no_stall() {
    let mut run = Run::new();
    run.pass(HOUR);
    (run.part, run.reading.uses_fallback) = (0.0, Some(true));
    assert_eq!(run.kinds(2 * HOUR), [(AlertKind::Begins, "device.elsewhere")]);
}

#[test]
fn silence_during_an_excuse_is_none_afterwards() {
    let mut run = Run::new();
    run.pass(HOUR);
    (run.part, run.reading.is_paused) = (0.0, Some(true));
    run.pass(2 * HOUR);
    (run.reading.is_paused, run.next_share, run.part) = (Some(false), 300.0, 1.0);
    assert_eq!(run.pass(2 * HOUR), []);
}

#[test]
fn after_a_restart_or_a_new_connection_a_stall_needs_new_silence() {
    for begins_anew in [(|run: &mut Run| run.started = run.second - 20) as fn(&mut Run), |run| {
        run.is_connected = false;
        run.pass(5);
        run.is_connected = true;
    }] {
        let mut run = Run::new();
        run.pass(HOUR);
        run.part = 0.0;
        run.pass(HOUR);
        assert!(run.roll.view()[0].is_stalled);
        begins_anew(&mut run);
        run.pass(300);
        assert!(!run.roll.view()[0].is_stalled);
        run.pass(HOUR);
        assert!(run.roll.view()[0].is_stalled);
    }
}

#[test]
fn shares_without_a_verdict_end_the_silence() {
    let mut run = Run::new();
    run.pass(HOUR);
    (run.part, run.share_silent) = (0.0, Some(20.0));
    run.pass(HOUR);
    assert!(!run.roll.view()[0].is_stalled);
}

#[test]
fn the_longest_interval_judges_all_time() {
    let mut run = Run::new();
    (run.interval, run.roll.interval) = (300, 300.0);
    assert_eq!(run.pass(12 * HOUR), []);
    assert!(run.roll.view()[0].work.is_some_and(|work| work.seconds >= 3000.0));
    run.part = 0.0;
    let found = run.pass(4 * HOUR);
    assert_eq!((found.len(), found[0].2), (1, "device.stalled"), "{found:?}");
    assert!(found[0].0 < i64::from(12 * HOUR + 1000), "{found:?}");
}

#[test]
fn a_loss_that_can_not_be_compared_any_more_ends() {
    let mut run = Run::new();
    run.part = 0.3;
    assert_eq!(run.kinds(3 * HOUR), [(AlertKind::Begins, "device.loses_work")]);
    run.reading.is_paused = Some(true);
    assert_eq!(run.kinds(HOUR), [(AlertKind::Ends, "device.loses_work")]);
    assert_eq!(run.roll.view()[0].work, None);
}

#[test]
fn an_address_that_another_miner_has_inherited_is_not_the_devices() {
    let mut run = Run::new();
    run.pass(HOUR);
    (run.miner, run.part) = ("other", 0.0);
    assert_eq!(run.pass(2 * HOUR), []);
    assert!(!run.roll.view()[0].is_connected);
}

#[test]
fn devices_of_one_name_are_told_apart() {
    let mut run = Run::new();
    run.pass(60);
    let reading = DeviceReading { mac: Some(String::from("EE:FF")), ..run.reading.clone() };
    let report = DeviceReport {
        worker: "rig".into(),
        address: "10.0.0.8".parse().unwrap(),
        at: test_time(run.second),
        is_connected: true,
        outcome: Ok(reading.into()),
        restart: None,
    };
    AlertContext::for_tests(&mut run.alerts, &test_clock(), report.at, |context| {
        run.roll.report(&report, context);
    });
    assert_eq!(run.roll.subjects(), ["rig at 10.0.0.7", "rig at 10.0.0.8"]);
    run.pass(10);
    assert_eq!(run.roll.view().len(), 2);
    // The second one is forgotten when nobody asks it any more.
    run.pass(4 * HOUR);
    assert_eq!((run.roll.view().len(), run.roll.subjects()), (1, vec![String::from("rig")]));
}
