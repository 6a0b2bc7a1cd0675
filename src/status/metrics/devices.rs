//! Metrics of the devices that are read.

use std::collections::BTreeMap;

use super::text::{MetricsText, label};
use crate::analyzer::DeviceView;
use crate::devices::DeviceReading;
use crate::status::snapshot::StatusSnapshot;

/// Caps the devices with samples: those that are read at most.
const MAX_SAMPLED: usize = 1024;

/// A reading's figure.
type Figure = fn(&DeviceReading) -> Option<f64>;

/// The gauges with one sample a device.
const GAUGES: [(&str, &str, Figure); 8] = [
    (
        "sluice_device_hash_rate_hashes_per_second",
        "Hash rate that a device reports.",
        DeviceReading::steady_hash_rate,
    ),
    ("sluice_device_power_watts", "Power that a device reports.", |reading| reading.power),
    ("sluice_device_error_ratio", "Part of a device's hashes that are wrong, by its chips.", |reading| {
        Some(reading.error_percent? / 100.0)
    }),
    ("sluice_device_fan_rpm", "Turns per minute of a device's first fan.", |reading| reading.fan_rpm),
    ("sluice_device_uptime_seconds", "Time since a device's start.", |reading| {
        Some(reading.uptime?.as_secs_f64())
    }),
    ("sluice_device_wifi_dbm", "Strength of a device's Wi-Fi signal.", |reading| reading.wifi_rssi),
    (
        "sluice_device_overheated",
        "1 while a device has stopped its chips because they were too hot.",
        |reading| Some(f64::from(u8::from(reading.is_overheated?))),
    ),
    (
        "sluice_device_on_fallback_pool",
        "1 while a device mines on the second pool of its settings.",
        |reading| Some(f64::from(u8::from(reading.uses_fallback?))),
    ),
];

pub(super) fn write(to: &mut MetricsText, status: &StatusSnapshot) {
    // If names become the same label, or several devices have one name, the address tells them apart.
    let devices: BTreeMap<(String, String), &DeviceView> = status
        .snapshot
        .devices
        .iter()
        .take(MAX_SAMPLED)
        .map(|device| ((label(&device.worker), device.address.to_string()), device))
        .collect();
    for (name, help, figure) in GAUGES {
        let mut family = to.gauges(name, help);
        for ((worker, address), device) in &devices {
            let reading = device.reading.as_ref().map(|(_, reading)| reading);
            family.sample(
                &[("worker", worker.as_str()), ("address", address.as_str())],
                reading.and_then(|reading| figure(reading)),
            );
        }
    }
    let mut family =
        to.gauges("sluice_device_temperature_celsius", "Temperatures that a device reports, by sensor.");
    for ((worker, address), device) in &devices {
        if let Some((_, reading)) = &device.reading {
            let sensors = [("chip", reading.temperature), ("regulator", reading.regulator_temperature)];
            family.samples(&[("worker", worker.as_str()), ("address", address.as_str())], "sensor", sensors);
        }
    }
    let help =
        "Work of a device over up to an hour: as it reports, as its shares prove, as the pool has accepted.";
    let mut family = to.gauges("sluice_device_work_hashes_per_second", help);
    for ((worker, address), device) in &devices {
        if let Some(work) = &device.work {
            let legs = [("reported", work.reported), ("proven", work.proven), ("accepted", work.accepted)];
            family.samples(&[("worker", worker.as_str()), ("address", address.as_str())], "leg", legs);
        }
    }
    let mut family = to.gauges("sluice_device_reading_age_seconds", "Time since a device was last read.");
    for ((worker, address), device) in &devices {
        let age = device.reading.as_ref().map(|(at, _)| status.age_of(*at).as_secs_f64());
        family.sample(&[("worker", worker.as_str()), ("address", address.as_str())], age);
    }
    let mut family = to
        .gauges("sluice_device_stalled", "1 while a connected device proves nothing for longer than chance.");
    for ((worker, address), device) in &devices {
        family.sample(&[("worker", worker.as_str()), ("address", address.as_str())], device.is_stalled);
    }
}
