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
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Caps the devices that failed last and are asked at once: each may take its whole time, and others wait.
const MAX_FAILING_ASKED: usize = 2;
/// The failures in a row that end the asking of a device that has left, and the least pause after each of them.
const MAX_FAILURES_AWAY: u32 = 3;
const PAUSE_AWAY: Duration = Duration::from_secs(300);
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
    /// The failures in a row; since it left, if it has.
    failures: u32,
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
            if one.left_at.is_none() {
                one.failures = 0;
            }
            let left_at = *one.left_at.get_or_insert(now);
            let is_asked = one.mac.as_ref().is_some_and(|mac| !moved.contains(mac));
            is_asked && now.duration_since(left_at) < ASKED_AFTER_LEAVING
        });
    }

    /// The next device that is due: first those that answered last, and of them the one that has waited for longest.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<ReadJob> {
        let is_common = self.have_many_stalled();
        let is_free =
            |one: &RosterEntry| one.asked_at.is_none_or(|asked| now.duration_since(asked) > LOST_AFTER);
        let failing = self.devices.values().filter(|one| one.failures > 0 && !is_free(one)).count();
        let may_fail = failing < MAX_FAILING_ASKED;
        let is_due = |one: &RosterEntry| one.due <= now && is_free(one) && (one.failures == 0 || may_fail);
        let due = self.devices.iter_mut().filter(|(_, one)| is_due(one));
        let (address, one) = due.min_by_key(|(_, one)| (one.failures > 0, one.due))?;
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
            // A device that has left may be at a pool with another user name.
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
                one.failures = 0;
                one.due = now + jittered(interval, 0.9, 1.1);
            }
            Ok(_) => {
                self.devices.remove(&job.address);
                return None;
            }
            Err(_) => {
                one.failures = one.failures.saturating_add(1);
                if !is_connected && one.failures >= MAX_FAILURES_AWAY {
                    self.devices.remove(&job.address);
                    return None;
                }
                let least = if is_connected { Duration::ZERO } else { PAUSE_AWAY };
                one.due = now + jittered(one.backoff.next_pause().max(least), 0.9, 1.1);
            }
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
            failures: 0,
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
mod tests;
