//! Devices that come, fail, move and leave, in virtual time.

use super::*;

const BITAXE: &str = "bitaxe/BM1370/v2.15.1";
const MINUTE: Duration = Duration::from_secs(60);

struct Run {
    roster: DeviceRoster,
    now: Instant,
}

fn miner(address: &str, worker: &str, user_agent: &str) -> DeviceConnection {
    DeviceConnection {
        address: address.parse().unwrap(),
        worker: worker.into(),
        user_agent: user_agent.into(),
        is_stalled: false,
    }
}

fn reading(mac: &str, user: &str) -> DeviceReading {
    let users = vec![user.to_owned()];
    DeviceReading { mac: Some(mac.to_owned()), users, ..DeviceReading::empty(DeviceInterface::AxeOs) }
}

impl Run {
    fn new() -> Run {
        Run { roster: DeviceRoster::new(&DevicesConfig::default(), Vec::new()), now: Instant::now() }
    }

    /// Lets so much time pass with these miners. Returns the addresses that are asked then.
    fn after(&mut self, time: Duration, miners: &[DeviceConnection]) -> Vec<ReadJob> {
        self.roster.update(miners, self.now);
        self.now += time;
        self.roster.update(miners, self.now);
        std::iter::from_fn(|| self.roster.next_due(self.now)).collect()
    }

    fn answer(&mut self, job: &ReadJob, reading: DeviceReading) -> Option<ReadResult> {
        self.roster.finish(job, Ok(reading), self.now)
    }
}

#[test]
fn a_connected_device_is_asked_in_its_interval() {
    let (mut run, miners) = (Run::new(), [miner("10.0.0.7", "rig", BITAXE)]);
    assert!(run.after(Duration::from_secs(1), &miners).is_empty());
    let jobs = run.after(Duration::from_secs(5), &miners);
    assert_eq!(jobs.len(), 1);
    // Not again while it is asked.
    assert!(run.after(Duration::from_secs(10), &miners).is_empty());
    let result = run.answer(&jobs[0], reading("AA", "rig")).unwrap();
    assert!(result.is_connected && result.outcome.is_ok());
    assert!(run.after(Duration::from_secs(26), &miners).is_empty());
    assert_eq!(run.after(Duration::from_secs(8), &miners).len(), 1);
}

#[test]
fn nobody_else_is_asked() {
    let mut run = Run::new();
    let miners = [
        miner("203.0.113.7", "public", BITAXE),
        miner("100.64.0.7", "shared", BITAXE),
        miner("fe80::7", "link", BITAXE),
        miner("10.0.0.1", "nerd", "NerdMinerV2/V1.8.3"),
        miner("10.0.0.2", "", BITAXE),
        // Two behind one address, of one name.
        miner("10.0.0.3", "twin", BITAXE),
        miner("::ffff:10.0.0.3", "twin", BITAXE),
    ];
    assert!(run.after(MINUTE, &miners).is_empty());
    assert!(run.after(MINUTE, &[]).is_empty());
}

#[test]
fn a_device_that_has_left_is_asked_as_long_as_it_is_the_same() {
    let (mut run, miners) = (Run::new(), [miner("10.0.0.7", "rig", BITAXE)]);
    let jobs = run.after(MINUTE, &miners);
    run.answer(&jobs[0], reading("AA", "rig"));
    let jobs = run.after(MINUTE, &[]);
    // It mines under another name now.
    let result = run.answer(&jobs[0], reading("AA", "spare")).unwrap();
    assert!(!result.is_connected && result.outcome.is_ok());
    let jobs = run.after(MINUTE, &[]);
    assert!(run.answer(&jobs[0], reading("BB", "rig")).is_none());
    assert!(run.after(MINUTE, &[]).is_empty());
    // One that was never read is not asked after it has left.
    run.after(Duration::ZERO, &miners);
    assert!(run.after(MINUTE, &[]).is_empty());
}

#[test]
fn a_day_after_leaving_or_at_another_address_it_is_forgotten() {
    let (mut run, miners) = (Run::new(), [miner("10.0.0.7", "rig", BITAXE)]);
    let jobs = run.after(MINUTE, &miners);
    run.answer(&jobs[0], reading("AA", "rig"));
    assert_eq!(run.after(MINUTE, &[]).len(), 1);
    // Another one of the same name is not it.
    let namesake = [miner("10.0.0.9", "rig", BITAXE)];
    let jobs = run.after(MINUTE, &namesake);
    jobs.iter().filter(|job| job.address != namesake[0].address).for_each(|job| run.roster.give_back(job));
    run.answer(jobs.iter().find(|job| job.address == namesake[0].address).unwrap(), reading("BB", "rig"));
    assert!(run.after(MINUTE, &namesake).iter().any(|job| job.address.to_string() == "10.0.0.7"));
    let moved = [miner("10.0.0.8", "rig", BITAXE)];
    let jobs = run.after(MINUTE, &moved);
    run.answer(jobs.iter().find(|job| job.address == moved[0].address).unwrap(), reading("AA", "rig"));
    run.roster.update(&moved, run.now);
    assert!(!run.roster.devices.contains_key(&"10.0.0.7".parse::<IpAddr>().unwrap()));
    run.after(MINUTE, &[]);
    assert!(run.after(ASKED_AFTER_LEAVING, &[]).is_empty());
}

#[test]
fn devices_that_answer_go_first_and_one_that_left_must_answer() {
    let mut run = Run::new();
    let miners: Vec<_> = (0..20).map(|last| miner(&format!("10.0.0.{last}"), "rig", BITAXE)).collect();
    let jobs = run.after(MINUTE, &miners);
    assert_eq!(jobs.len(), 20);
    for (number, job) in jobs.iter().enumerate() {
        let mac = format!("{number}");
        let outcome = if number < 10 { Err(ReadError(String::new())) } else { Ok(reading(&mac, "rig")) };
        run.roster.finish(job, outcome, run.now);
    }
    let jobs = run.after(MINUTE, &miners);
    let good = |job: &ReadJob| job.address >= "10.0.0.10".parse::<IpAddr>().unwrap();
    assert_eq!((jobs.len(), jobs.iter().take_while(|job| good(job)).count()), (12, 10));
    let mut asked = 0;
    for _ in 0..300 {
        for job in run.after(MINUTE, &[]) {
            asked += 1;
            run.roster.finish(&job, Err(ReadError(String::new())), run.now);
        }
    }
    assert!(run.roster.devices.is_empty() && asked <= 10 * MAX_FAILURES_AWAY, "{asked}");
}

#[test]
fn many_stalls_at_once_are_not_the_devices_fault() {
    for (stalled, is_common) in [(1, false), (2, false), (3, true)] {
        let mut run = Run::new();
        run.roster.restarts_at = Some(vec![3333]);
        let mut miners: Vec<DeviceConnection> =
            (0..20).map(|number| miner(&format!("10.0.0.{number}"), &number.to_string(), BITAXE)).collect();
        for job in run.after(MINUTE, &miners) {
            let anybody = DeviceReading { users: Vec::new(), ..reading(&job.address.to_string(), "") };
            run.roster.finish(&job, Ok(anybody), run.now);
        }
        miners.iter_mut().take(stalled).for_each(|miner| miner.is_stalled = true);
        let jobs = run.after(MINUTE, &miners);
        let checks: Vec<_> = jobs.iter().filter_map(|job| job.restart.as_ref()).collect();
        assert_eq!(checks.len(), stalled);
        assert!(checks.iter().all(|check| check.is_common == is_common));
    }
}

#[test]
fn a_result_for_a_device_that_was_replaced_is_dropped() {
    let mut run = Run::new();
    let jobs = run.after(MINUTE, &[miner("10.0.0.7", "rig", BITAXE)]);
    run.roster.update(&[miner("10.0.0.7", "other", BITAXE)], run.now);
    assert!(run.answer(&jobs[0], reading("AA", "rig")).is_none());
    // An answer about another worker is no reading.
    let jobs = run.after(MINUTE, &[miner("10.0.0.7", "other", BITAXE)]);
    assert!(run.answer(&jobs[0], reading("AA", "rig")).unwrap().outcome.is_err());
}

#[test]
fn failures_make_pauses_longer_and_a_lost_request_is_repeated() {
    let (mut run, miners) = (Run::new(), [miner("10.0.0.7", "rig", BITAXE)]);
    let mut asked = 0;
    for _ in 0..600 {
        for job in run.after(Duration::from_secs(6), &miners) {
            asked += 1;
            run.roster.finish(&job, Err(ReadError(String::new())), run.now);
        }
    }
    // In an hour: after 30, 60, 120 s and so on.
    assert!((6..=8).contains(&asked), "{asked}");
    let mut run = Run::new();
    assert_eq!(run.after(MINUTE, &miners).len(), 1);
    assert_eq!(run.after(MINUTE, &miners).len(), 1);
}
