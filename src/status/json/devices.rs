//! `/api/devices`: what the devices say about themselves, and the way of their work. The same of one miner's devices is in
//! `/api/miner`.

use serde::{Serialize, Serializer};

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::TimeJson;
use crate::analyzer::{DeviceView, WorkLegs};
use crate::devices::DeviceReading;
use crate::status::snapshot::StatusSnapshot;
use crate::util::escape::printable;

/// Caps `limit`. So many devices are read at most.
const MAX_LIMIT: usize = 1024;

/// Lists the devices in the order of their workers.
pub(super) fn devices(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 100, 1..=MAX_LIMIT)?;
    let offset = query.number("offset", 0, 0..=usize::MAX)?;
    let worker = query.text("worker");
    let is_wanted = |device: &&DeviceView| {
        worker
            .as_ref()
            .is_none_or(|worker| *device.worker == **worker || printable(&device.worker) == *worker)
    };
    let wanted = || status.snapshot.devices.iter().filter(is_wanted);
    Ok(text(&object!(
        at = TimeJson(status.at),
        read = status.program.config.devices.read.as_str(),
        total = wanted().count(),
        offset = offset,
        devices = DevicesJson { status, devices: wanted().skip(offset).take(limit).collect() },
    )))
}

/// A list of devices.
pub(super) struct DevicesJson<'a> {
    pub(super) status: &'a StatusSnapshot,
    pub(super) devices: Vec<&'a DeviceView>,
}

impl Serialize for DevicesJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.devices.iter().map(|one| device(self.status, one)))
    }
}

fn device<'a>(status: &'a StatusSnapshot, device: &'a DeviceView) -> impl Serialize {
    let reading = device.reading.as_ref();
    object!(
        worker = &*device.worker,
        name = status.snapshot.shown_names.name_of(&device.worker),
        ip = device.address.to_string(),
        connected = device.is_connected,
        read_at = reading.map(|(at, _)| TimeJson(*at)),
        age_seconds = reading.map(|(at, _)| status.age_of(*at).as_secs_f64()),
        failure = device.failure.as_deref(),
        stalled = device.is_stalled,
        work = device.work.as_ref().map(work),
        reading = reading.map(|(_, reading)| said(reading)),
    )
}

fn work(work: &WorkLegs) -> impl Serialize + use<> {
    let WorkLegs { seconds, reported, proven, accepted, chance } = *work;
    object!(seconds = seconds, reported = reported, proven = proven, accepted = accepted, chance = chance)
}

fn said(reading: &DeviceReading) -> impl Serialize {
    object!(
        interface = reading.interface.as_str(),
        model = reading.model.as_deref(),
        firmware = reading.firmware.as_deref(),
        mac = reading.mac.as_deref(),
        hashrate = reading.hash_rate,
        hashrate_1m = reading.minute_hash_rate,
        hashrate_expected = reading.expected_hash_rate,
        error_percent = reading.error_percent,
        power_watts = reading.power,
        joules_per_terahash = reading.joules_per_terahash(),
        temperature_celsius = reading.temperature,
        regulator_celsius = reading.regulator_temperature,
        fan_rpm = reading.fan_rpm,
        uptime_seconds = reading.uptime.map(|uptime| uptime.as_secs()),
        reset_reason = reading.reset_reason.as_deref(),
        wifi_dbm = reading.wifi_rssi,
        accepted = reading.accepted,
        rejected = reading.rejected,
        best = reading.best_difficulty,
        pool_difficulty = reading.pool_difficulty,
        overheated = reading.is_overheated,
        paused = reading.is_paused,
        fault = reading.fault.as_deref(),
        uses_fallback = reading.uses_fallback,
        pool = reading.pool.as_deref(),
    )
}
