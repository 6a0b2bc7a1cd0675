//! The devices that are read: their readings go to the rules and to `devices.csv`.

use super::Accounting;
use crate::devices::DeviceReport;
use crate::record::DeviceRow;
use crate::work::name_of_worker;

impl Accounting {
    /// Takes in the result of a request to a device.
    pub(super) fn device_report(&mut self, report: &DeviceReport) {
        if let Err(why) = &report.outcome {
            log::debug!("{} at {} can't be read: {why}", name_of_worker(&report.worker), report.address);
        }
        let mut is_due = false;
        self.with_rules(report.at, |rules, context| is_due = rules.devices.report(report, context));
        let (Some(recorder), Ok(reading), true) = (&self.recorder, &report.outcome, is_due) else { return };
        let legs = self.rules.devices.legs(report.address);
        recorder.record_device(&DeviceRow {
            at: report.at,
            worker: report.worker.to_string(),
            address: report.address,
            is_connected: report.is_connected,
            interface: reading.interface.as_str(),
            model: reading.model.clone(),
            firmware: reading.firmware.clone(),
            hash_rate: reading.hash_rate,
            expected_hash_rate: reading.expected_hash_rate,
            work: legs.map(|legs| [legs.reported, legs.proven, legs.accepted]),
            power: reading.power,
            joules_per_terahash: reading.joules_per_terahash(),
            temperature: reading.temperature,
            regulator_temperature: reading.regulator_temperature,
            fan_rpm: reading.fan_rpm,
            error_percent: reading.error_percent,
            uptime: reading.uptime,
            wifi_rssi: reading.wifi_rssi,
            accepted: reading.accepted,
            rejected: reading.rejected,
            best_difficulty: reading.best_difficulty,
            pool_difficulty: reading.pool_difficulty,
            pool: reading.pool.clone(),
            uses_fallback: reading.uses_fallback,
        });
    }
}
