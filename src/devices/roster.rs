//! The devices that are asked, and when each is due. Pure: the caller brings the connected miners and the time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::interface::DeviceInterface;
use super::reading::{DeviceReading, ReadError};
use super::restart::{RestartBudget, RestartCheck};
use crate::config::DevicesConfig;
use crate::limits::AllowList;
use crate::util::backoff::{Backoff, jittered};

/// Caps the devices that are asked.
pub const MAX_DEVICES: usize = 1024;
/// Longest pause after failures; pauses double up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Caps the devices that stall at once, up to 20 that are read: beyond, the tenth part of them. With more, none is
/// restarted.
const MAX_STALLED: usize = 2;
/// The time from a miner's connection to the first request. A device that starts has other things to do.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The time for which a device is asked that was read and has left.
const ASKED_AFTER_LEAVING: Duration = Duration::from_secs(86_400);
/// A request without a result after this time is lost: its thread has panicked.
const LOST_AFTER: Duration = Duration::from_secs(15);

/// A connection of a miner.
#[derive(Debug, Clone)]
pub struct DeviceConnection {
    pub address: IpAddr,
    /// The worker that the pool has accepted; empty for none yet.
    pub worker: Arc<str>,
    pub user_agent: Arc<str>,
    /// Its device proves nothing, for longer than chance explains.
    pub is_stalled: bool,
}

/// A device to be asked now.
#[derive(Debug, Clone)]
pub(super) struct ReadJob {
    pub(super) address: IpAddr,
    pub(super) interface: DeviceInterface,
    /// To be restarted, if it still is as this says.
    pub(super) restart: Option<RestartCheck>,
    /// Tells this device from an earlier one at the same address.
    number: u64,
}

/// The result of a [`ReadJob`], as it concerns the worker.
#[derive(Debug)]
pub(super) struct ReadResult {
    pub(super) worker: Arc<str>,
    pub(super) is_connected: bool,
    pub(super) outcome: Result<DeviceReading, ReadError>,
}

/// The devices by their addresses.
#[derive(Debug)]
pub(super) struct DeviceRoster {
    interval: Duration,
    asks_cgminer: bool,
    /// The ports that miners connect to; `None` if no device is to be restarted.
    restarts_at: Option<Vec<u16>>,
    restarts: RestartBudget,
    devices: BTreeMap<IpAddr, RosterEntry>,
    next_number: u64,
}

#[derive(Debug)]
struct RosterEntry {
    number: u64,
    worker: Arc<str>,
    user_agent: Arc<str>,
    interface: DeviceInterface,
    /// The hardware address by its last reading.
    mac: Option<String>,
    /// When it was last connected; `None` while it is.
    left_at: Option<Instant>,
    is_stalled: bool,
    due: Instant,
    asked_at: Option<Instant>,
    backoff: Backoff,
}

impl DeviceRoster {
    /// A roster without devices. Miners connect to these ports.
    pub(super) fn new(config: &DevicesConfig, ports: Vec<u16>) -> DeviceRoster {
        DeviceRoster {
            interval: config.interval,
            asks_cgminer: config.cgminer,
            restarts_at: config.restart_stalled.then_some(ports),
            restarts: RestartBudget::default(),
            devices: BTreeMap::new(),
            next_number: 0,
        }
    }

    /// Takes in which miners are connected now.
    pub(super) fn update(&mut self, connected: &[DeviceConnection], now: Instant) {
        let mut miners: BTreeMap<IpAddr, Option<&DeviceConnection>> = BTreeMap::new();
        for miner in connected {
            // Several connections from one address are several devices behind it, or one that reconnects.
            miners.entry(miner.address.to_canonical()).and_modify(|only| *only = None).or_insert(Some(miner));
        }
        for (address, miner) in &miners {
            let suits = miner.filter(|miner| !miner.worker.is_empty() && may_be_asked(*address));
            let interface = suits.and_then(|miner| self.interface(&miner.user_agent));
            match suits.zip(interface) {
                Some((miner, interface)) => self.connect(*address, miner, interface, now),
                None => drop(self.devices.remove(address)),
            }
        }
        // By hardware addresses, since devices may share a name.
        let connected = self.devices.iter().filter(|(address, _)| miners.contains_key(*address));
        let moved: BTreeSet<String> = connected.filter_map(|(_, one)| one.mac.clone()).collect();
        self.devices.retain(|address, one| {
            if miners.contains_key(address) {
                return true;
            }
            let left_at = *one.left_at.get_or_insert(now);
            let is_asked = one.mac.as_ref().is_some_and(|mac| !moved.contains(mac));
            is_asked && now.duration_since(left_at) < ASKED_AFTER_LEAVING
        });
    }

    /// The next device that is due, the one first that has waited for longest.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<ReadJob> {
        let is_common = self.have_many_stalled();
        let is_free =
            |one: &RosterEntry| one.asked_at.is_none_or(|asked| now.duration_since(asked) > LOST_AFTER);
        let due = self.devices.iter_mut().filter(|(_, one)| one.due <= now && is_free(one));
        let (address, one) = due.min_by_key(|(_, one)| one.due)?;
        one.asked_at = Some(now);
        let mac = one.mac.as_ref().filter(|_| one.is_stalled && one.left_at.is_none());
        let mac = mac.filter(|mac| self.restarts.allows(mac, now)).cloned();
        let restart =
            mac.zip(self.restarts_at.clone()).map(|(mac, ports)| RestartCheck { mac, ports, is_common });
        Some(ReadJob { address: *address, interface: one.interface, restart, number: one.number })
    }

    /// Whether so many of the devices that are read have stalled that the cause is not in them.
    fn have_many_stalled(&self) -> bool {
        let read = || self.devices.values().filter(|one| one.mac.is_some() && one.left_at.is_none());
        let stalled = read().filter(|one| one.is_stalled).count();
        stalled > MAX_STALLED.max(read().count() / 10)
    }

    /// Takes back a device that nobody has time for.
    pub(super) fn give_back(&mut self, job: &ReadJob) {
        if let Some(one) = self.devices.get_mut(&job.address).filter(|one| one.number == job.number) {
            one.asked_at = None;
        }
    }

    /// Counts that a device was restarted, or that this failed.
    pub(super) fn count_restart(&mut self, job: &ReadJob, now: Instant) {
        if let Some(check) = &job.restart {
            self.restarts.count(&check.mac, now);
        }
    }

    /// Takes in the result of a request. `None` if the device has been replaced meanwhile, or another one answers at
    /// the address of one that has left.
    pub(super) fn finish(
        &mut self,
        job: &ReadJob,
        outcome: Result<DeviceReading, ReadError>,
        now: Instant,
    ) -> Option<ReadResult> {
        let interval = self.interval;
        let one = self.devices.get_mut(&job.address).filter(|one| one.number == job.number)?;
        one.asked_at = None;
        let is_connected = one.left_at.is_none();
        let outcome = outcome.and_then(|reading| {
            // Whoever has left may be at a pool with another user name.
            if is_connected && !reading.may_be_of(&one.worker) {
                return Err(ReadError(String::from(
                    "the answer is about another user than the connection's",
                )));
            }
            Ok(reading)
        });
        match &outcome {
            Ok(reading) if is_connected || (reading.mac.is_some() && reading.mac == one.mac) => {
                one.mac.clone_from(&reading.mac);
                one.backoff.reset();
                one.due = now + jittered(interval, 0.9, 1.1);
            }
            Ok(_) => {
                self.devices.remove(&job.address);
                return None;
            }
            Err(_) => one.due = now + jittered(one.backoff.next_pause(), 0.9, 1.1),
        }
        Some(ReadResult { worker: one.worker.clone(), is_connected, outcome })
    }

    fn connect(
        &mut self,
        address: IpAddr,
        miner: &DeviceConnection,
        interface: DeviceInterface,
        now: Instant,
    ) {
        let is_same = |one: &RosterEntry| one.worker == miner.worker && one.user_agent == miner.user_agent;
        if let Some(one) = self.devices.get_mut(&address).filter(|one| is_same(one)) {
            one.is_stalled = miner.is_stalled;
            if one.left_at.take().is_some() {
                one.due = one.due.min(now + FIRST_PAUSE.min(self.interval));
            }
            return;
        }
        if self.devices.len() >= MAX_DEVICES && !self.devices.contains_key(&address) {
            return;
        }
        self.next_number += 1;
        let entry = RosterEntry {
            number: self.next_number,
            worker: miner.worker.clone(),
            user_agent: miner.user_agent.clone(),
            interface,
            mac: None,
            left_at: None,
            is_stalled: miner.is_stalled,
            due: now + FIRST_PAUSE.min(self.interval),
            asked_at: None,
            backoff: Backoff::new(self.interval, LONGEST_PAUSE.max(self.interval)),
        };
        self.devices.insert(address, entry);
    }

    fn interface(&self, user_agent: &str) -> Option<DeviceInterface> {
        DeviceInterface::of_user_agent(user_agent).filter(|interface| interface.is_asked(self.asks_cgminer))
    }
}

/// Only addresses of a home network. A link-local IPv6 address cannot be connected to without its interface.
fn may_be_asked(address: IpAddr) -> bool {
    let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    !is_link_local && AllowList::PRIVATE.iter().any(|block| block.contains(address))
}

#[cfg(test)]
mod tests {
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
        jobs.iter()
            .filter(|job| job.address != namesake[0].address)
            .for_each(|job| run.roster.give_back(job));
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
    fn many_stalls_at_once_are_not_the_devices_fault() {
        for (stalled, is_common) in [(1, false), (2, false), (3, true)] {
            let mut run = Run::new();
            run.roster.restarts_at = Some(vec![3333]);
            let mut miners: Vec<DeviceConnection> = (0..20)
                .map(|number| miner(&format!("10.0.0.{number}"), &number.to_string(), BITAXE))
                .collect();
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
        // In an hour: after 30, 60, 120, 240 and 480 s, and then each 10 minutes.
        assert!((8..=12).contains(&asked), "{asked}");
        let mut run = Run::new();
        assert_eq!(run.after(MINUTE, &miners).len(), 1);
        assert_eq!(run.after(MINUTE, &miners).len(), 1);
    }
}
