//! The devices that are read: their newest readings, their work, and the rules that compare the two.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::device_loss::{LossRule, is_excused};
use super::device_state::{DeviceTick, StateRules, has_restarted};
use super::device_work::{DeviceWork, WorkLegs};
use super::{AlertContext, SessionSample, seconds_between};
use crate::analyzer::share::{JudgedShare, PendingShare};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::devices::{DeviceInterface, DeviceReading, DeviceReport, MAX_DEVICES};
use crate::record::{EventRow, SavedState, ShareOutcome};
use crate::stratum::Difficulty;
use crate::tap::SessionId;

/// The least age up to which a reading says what the device does now, and the same in intervals between readings: one
/// may fail.
const FRESH_SECONDS: f64 = 120.0;
const FRESH_INTERVALS: f64 = 2.5;
/// A device that was not asked for so long is not asked any more.
const FORGET_AFTER_SECONDS: f64 = 3.0 * 3600.0;
/// A miner without a new job for so long may have nothing to work on.
const MAX_JOB_AGE_SECONDS: f64 = 300.0;
/// The longest time between two ticks that counts: a machine that slept has not watched anything.
const MAX_TICK_SECONDS: f64 = 5.0;
/// The time between two rebuilds of the view.
const VIEW_SECONDS: f64 = 5.0;
/// The least time between two recorded readings of a device, to spare the disk.
const RECORD_SECONDS: f64 = 55.0;
/// The hash rate from which a device has chips of the kind that is made for mining, and the difficulty below which those
/// do not report what they find.
const CHIP_HASH_RATE: f64 = 1e10;
const CHIP_DIFFICULTY: f64 = 256.0;
/// Shares a second from which a difficulty is too low for the device: it cannot send all that it finds.
const MAX_SHARES_PER_SECOND: f64 = 0.5;

/// A device as it is shown.
#[derive(Debug, Clone)]
pub struct DeviceView {
    /// The worker in the form of [`SavedState::worker_key`].
    pub worker: Arc<str>,
    pub address: IpAddr,
    /// Whether its worker has a connection from this address.
    pub is_connected: bool,
    /// The newest reading, and when it was made.
    pub reading: Option<(NtpTime, Arc<DeviceReading>)>,
    /// Why the newest request failed; `None` after a reading.
    pub failure: Option<Arc<str>>,
    pub work: Option<WorkLegs>,
    /// The device proves nothing, for longer than chance explains.
    pub is_stalled: bool,
}

/// The devices by their addresses.
#[derive(Debug, Default)]
pub(in super::super) struct DeviceRoll {
    /// The least time without a share, in seconds, before a device has stalled.
    pub(in super::super) least_stall: f64,
    /// The seconds between two readings of a device.
    pub(in super::super) interval: f64,
    devices: BTreeMap<IpAddr, DeviceEntry>,
    last_tick: Option<NtpTime>,
    /// The gaps in the analysis so far. After a new one, shares may be missing that were sent.
    gaps: u64,
    view: Arc<[DeviceView]>,
    viewed_at: Option<NtpTime>,
    is_view_old: bool,
}

/// One device.
#[derive(Debug)]
struct DeviceEntry {
    worker: String,
    address: IpAddr,
    reading: Option<(NtpTime, Arc<DeviceReading>)>,
    failure: Option<Arc<str>>,
    reported_at: NtpTime,
    /// When a reading was last recorded.
    recorded_at: Option<NtpTime>,
    is_connected: bool,
    /// Shares are counted now: it is connected with work, and its reading is fresh.
    is_counting: bool,
    /// Its only connection.
    session: Option<SessionId>,
    /// The device had a reason to prove nothing here, by its last reading.
    was_excused: bool,
    work: DeviceWork,
    loss: LossRule,
    state: StateRules,
}

impl DeviceRoll {
    /// Takes in the result of a request. Returns whether it is a reading that is to be recorded.
    pub(in super::super) fn report(&mut self, report: &DeviceReport, context: &mut AlertContext<'_>) -> bool {
        let address = report.address.to_canonical();
        if self.devices.len() >= MAX_DEVICES && !self.devices.contains_key(&address) {
            return false;
        }
        self.is_view_old = true;
        let worker = SavedState::worker_key(&report.worker).into_owned();
        let is_other = |entry: &DeviceEntry| entry.worker != worker;
        if self.devices.get(&address).is_some_and(is_other) {
            self.devices.remove(&address);
        }
        let has_namesake =
            self.devices.values().any(|entry| entry.worker == worker && entry.address != address);
        let subject = subject(&worker, address, has_namesake);
        let entry =
            self.devices.entry(address).or_insert_with(|| DeviceEntry::new(worker, address, report.at));
        entry.reported_at = report.at;
        if let Some(restart) = &report.restart {
            tell_restart(entry, restart, context);
            if restart.is_ok() {
                entry.state.told_to_restart = Some(report.at);
                entry.loss.end_silence();
            }
        }
        match &report.outcome {
            Err(why) => {
                entry.failure = Some(why.as_str().into());
                false
            }
            Ok(reading) => {
                entry.failure = None;
                let before = entry.reading.replace((report.at, reading.clone()));
                let before = before.filter(|(_, before)| is_same_device(before, reading));
                if before.is_none() {
                    entry.work.start_over();
                    (entry.loss, entry.state) = Default::default();
                    tell_first(entry, reading, context);
                }
                let before = before.as_ref().map(|(at, before)| (*at, &**before));
                if before.is_some_and(|(_, before)| has_restarted(before, reading)) {
                    entry.loss.end_silence();
                }
                entry.state.read(
                    (entry.worker.as_str(), subject.as_str()),
                    before,
                    (&**reading, report.is_connected),
                    context,
                );
                let is_due = |last| seconds_between(last, report.at).abs() >= RECORD_SECONDS;
                let is_due = entry.recorded_at.is_none_or(is_due);
                if is_due {
                    entry.recorded_at = Some(report.at);
                }
                is_due
            }
        }
    }

    pub(super) fn share(&mut self, judged: &JudgedShare) {
        let is_accepted = judged.outcome == ShareOutcome::Accepted;
        self.proven(judged.miner.ip(), proven_by(&judged.share, is_accepted), judged.credited());
    }

    /// Takes in a share of this proven difficulty, or of an unknown one.
    fn proven(&mut self, address: IpAddr, proven: Option<f64>, accepted: f64) {
        let Some(entry) = self.devices.get_mut(&address.to_canonical()) else { return };
        // The thread that restarts devices needs the verdict at once.
        self.is_view_old |= entry.loss.is_stalled;
        entry.loss.end_silence();
        match proven {
            Some(proven) if entry.is_counting => entry.work.add_share(proven, accepted),
            Some(_) => {}
            None => entry.work.start_over(),
        }
    }

    /// Takes in how many gaps the analysis has had so far.
    pub(in super::super) fn note_gaps(&mut self, gaps: u64) {
        if self.gaps != gaps {
            self.gaps = gaps;
            for entry in self.devices.values_mut() {
                entry.work.start_over();
                entry.loss.end_silence();
            }
        }
    }

    pub(super) fn tick(
        &mut self,
        miners: &[SessionSample<'_>],
        is_outage: bool,
        context: &mut AlertContext<'_>,
    ) {
        let at = context.at;
        let seconds = self.last_tick.replace(at).map_or(0.0, |last| seconds_between(last, at));
        if self.devices.is_empty() {
            return;
        }
        let seconds = seconds.clamp(0.0, MAX_TICK_SECONDS);
        let before = self.devices.len();
        self.devices.retain(|_, entry| seconds_between(entry.reported_at, at).abs() < FORGET_AFTER_SECONDS);
        let mut samples: HashMap<IpAddr, (u32, Option<&SessionSample<'_>>)> = HashMap::new();
        for sample in miners {
            let address = sample.miner.to_canonical();
            if let Some(entry) = self.devices.get(&address) {
                let (connections, of_worker) = samples.entry(address).or_default();
                *connections += 1;
                // The address may have gone to another miner.
                if SavedState::worker_key(sample.worker) == entry.worker.as_str() {
                    *of_worker = Some(sample);
                }
            }
        }
        let subjects = self.subjects();
        for (entry, subject) in self.devices.values_mut().zip(&subjects) {
            let (connections, sample) = samples.get(&entry.address).copied().unwrap_or_default();
            entry.is_connected = sample.is_some();
            let sample = sample.filter(|_| connections == 1);
            let is_connected = entry.is_connected;
            let least_stall = self.least_stall;
            let fresh_seconds = FRESH_SECONDS.max(FRESH_INTERVALS * self.interval);
            let tick =
                DeviceTick { subject, seconds, is_connected, sample, is_outage, least_stall, fresh_seconds };
            let was_stalled = entry.loss.is_stalled;
            entry.tick(&tick, context);
            self.is_view_old |= was_stalled != entry.loss.is_stalled;
        }
        let is_due = self.viewed_at.is_none_or(|viewed| seconds_between(viewed, at).abs() >= VIEW_SECONDS);
        if self.is_view_old || is_due || before != self.devices.len() {
            (self.is_view_old, self.viewed_at) = (false, Some(at));
            let mut view: Vec<DeviceView> = self.devices.values().map(DeviceEntry::view).collect();
            view.sort_by(|a, b| a.worker.cmp(&b.worker));
            self.view = view.into();
        }
    }

    /// Forgets the times of all devices: the clock was set.
    pub(super) fn start_over(&self) -> DeviceRoll {
        let DeviceRoll { least_stall, interval, gaps, .. } = *self;
        DeviceRoll { least_stall, interval, gaps, ..DeviceRoll::default() }
    }

    /// The devices in the order of their workers.
    pub(in super::super) fn view(&self) -> Arc<[DeviceView]> {
        self.view.clone()
    }

    /// The work of the device at this address.
    pub(in super::super) fn legs(&self, address: IpAddr) -> Option<WorkLegs> {
        self.devices.get(&address.to_canonical())?.work.legs()
    }

    /// The subject of each device's alerts.
    fn subjects(&self) -> Vec<String> {
        let mut counts: HashMap<&str, u32> = HashMap::with_capacity(self.devices.len());
        for entry in self.devices.values() {
            *counts.entry(&entry.worker).or_default() += 1;
        }
        let has_namesake =
            |entry: &DeviceEntry| counts.get(entry.worker.as_str()).is_some_and(|count| *count > 1);
        self.devices
            .values()
            .map(|entry| subject(&entry.worker, entry.address, has_namesake(entry)))
            .collect()
    }
}

impl DeviceEntry {
    fn new(worker: String, address: IpAddr, at: NtpTime) -> DeviceEntry {
        DeviceEntry {
            worker,
            address,
            reading: None,
            failure: None,
            reported_at: at,
            recorded_at: None,
            is_connected: true,
            is_counting: false,
            session: None,
            was_excused: false,
            work: DeviceWork::default(),
            loss: LossRule::default(),
            state: StateRules::default(),
        }
    }

    /// The newest reading, if it says what the device does now.
    fn fresh(&self, now: NtpTime, seconds: f64) -> Option<&Arc<DeviceReading>> {
        let (at, reading) = self.reading.as_ref()?;
        (seconds_between(*at, now).abs() <= seconds).then_some(reading)
    }

    fn tick(&mut self, tick: &DeviceTick<'_>, context: &mut AlertContext<'_>) {
        let has_work = |sample: &&SessionSample<'_>| {
            sample.job_silent.is_some_and(|silent| silent < MAX_JOB_AGE_SECONDS)
        };
        let working = tick.sample.filter(has_work);
        let fresh = self.fresh(context.at, tick.fresh_seconds).cloned();
        let rate = fresh.as_ref().and_then(|reading| reading.steady_hash_rate());
        if let Some(reading) = &fresh {
            let is_excused = is_excused(reading);
            if std::mem::replace(&mut self.was_excused, is_excused) && !is_excused {
                self.loss.end_silence();
            }
        }
        let share_silent = tick.sample.and_then(|sample| sample.share_silent);
        if share_silent.is_some_and(|silent| silent < self.loss.silent_seconds()) {
            // A share waits for the pool's answer.
            self.loss.end_silence();
        }
        let session = tick.sample.map(|sample| sample.session);
        if std::mem::replace(&mut self.session, session) != session && self.loss.is_stalled {
            // The device has connected anew by itself, and gets the time to begin.
            self.loss.end_silence();
        }
        self.is_counting = false;
        if let (Some(sample), Some(rate)) = (working, rate) {
            if !self.was_excused && may_compare(rate, sample.difficulty) {
                self.is_counting = true;
                self.work.pass(tick.seconds, rate, sample.difficulty);
            }
            let difficulty = if rate >= CHIP_HASH_RATE {
                sample.difficulty.max(CHIP_DIFFICULTY)
            } else {
                sample.difficulty
            };
            self.loss.pass(tick.seconds, rate, difficulty);
        }
        if !self.is_counting {
            self.work.pass_uncounted(tick.seconds);
        }
        let silent_seconds = self.loss.silent_seconds();
        self.loss.tick(&mut self.work, fresh.as_deref(), (self.worker.as_str(), tick), context);
        if let Some(reading) = fresh.as_deref().filter(|_| self.is_counting) {
            self.loss.tick_loss(&mut self.work, reading, (self.worker.as_str(), tick), context);
        }
        self.state.tick(fresh.as_deref(), silent_seconds, (self.worker.as_str(), tick), context);
    }

    fn view(&self) -> DeviceView {
        DeviceView {
            worker: self.worker.as_str().into(),
            address: self.address,
            is_connected: self.is_connected,
            reading: self.reading.clone(),
            failure: self.failure.clone(),
            work: self.work.legs(),
            is_stalled: self.loss.is_stalled,
        }
    }
}

/// The difficulty that a share proves. `None` if nobody can say it: it could not be rebuilt, or the pool has accepted it
/// although the rebuilt hash is not good enough.
fn proven_by(share: &PendingShare, is_accepted: bool) -> Option<f64> {
    let is_doubtful = share.rebuilt.is_none() || (is_accepted && !share.is_repeated);
    share.proven().map(Difficulty::value).or((!is_doubtful).then_some(0.0))
}

/// Devices that share a name are told apart by their addresses.
fn subject(worker: &str, address: IpAddr, has_namesake: bool) -> String {
    if has_namesake { format!("{worker} at {address}") } else { worker.to_owned() }
}

/// Whether shares of this difficulty show all that the device finds.
fn may_compare(hash_rate: f64, difficulty: f64) -> bool {
    let shares_per_second = hash_rate / crate::work::HASHES_PER_DIFFICULTY / difficulty;
    let shows_all = hash_rate < CHIP_HASH_RATE || difficulty >= CHIP_DIFFICULTY;
    difficulty > 0.0 && shows_all && shares_per_second <= MAX_SHARES_PER_SECOND
}

/// Whether two readings of one address are of the same device. Devices without a hardware address are told apart by
/// their model.
fn is_same_device(a: &DeviceReading, b: &DeviceReading) -> bool {
    a.interface == b.interface
        && match (&a.mac, &b.mac) {
            (Some(a), Some(b)) => a == b,
            _ => a.model == b.model,
        }
}

fn tell_first(entry: &DeviceEntry, reading: &DeviceReading, context: &mut AlertContext<'_>) {
    let name = context.state.shown_names.name_of(&entry.worker);
    let model = reading.model.as_deref().unwrap_or(match reading.interface {
        DeviceInterface::AxeOs => "AxeOS",
        DeviceInterface::NmMiner => "NMMiner",
        DeviceInterface::Cgminer => "cgminer",
    });
    let firmware = reading.firmware.as_ref().map_or(String::new(), |version| format!(", firmware {version}"));
    let text = format!("{name} is read from now on: {model}{firmware}, at {}", entry.address);
    let event = EventRow::new(context.at, ("device.read", Severity::Info), &entry.worker, text);
    let data = serde_json::json!({
        "address": entry.address.to_string(),
        "interface": reading.interface.as_str(),
        "model": reading.model,
        "firmware": reading.firmware,
        "mac": reading.mac,
    });
    context.events.push(event.with_worker(&entry.worker).with_data(data));
}

/// Tells that a stalled device was restarted, or why not.
fn tell_restart(entry: &DeviceEntry, restart: &Result<(), String>, context: &mut AlertContext<'_>) {
    let name = context.state.shown_names.name_of(&entry.worker);
    let text = match restart {
        Ok(()) => format!("{name} had stalled, and was told to restart"),
        Err(why) => format!("{name} has stalled, and was not restarted: {why}"),
    };
    let event = EventRow::new(context.at, ("device.restart", Severity::Low), &entry.worker, text);
    let data = serde_json::json!({
        "address": entry.address.to_string(),
        "done": restart.is_ok(),
        "failure": restart.as_ref().err(),
    });
    context.events.push(event.with_worker(&entry.worker).with_data(data));
}

#[cfg(test)]
mod tests;
