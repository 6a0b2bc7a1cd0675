//! A row of `devices.csv`.

use std::net::IpAddr;
use std::time::Duration;

use super::csv::Row;
use crate::clock::NtpTime;

/// One reading of a device, and what its shares proved at that time.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRow {
    pub at: NtpTime,
    pub worker: String,
    pub address: IpAddr,
    pub is_connected: bool,
    /// The kind of interface.
    pub interface: &'static str,
    pub model: Option<String>,
    pub firmware: Option<String>,
    /// Hashes per second, as all others below.
    pub hash_rate: Option<f64>,
    pub expected_hash_rate: Option<f64>,
    /// The hash rates over up to an hour that the device reported, its shares proved, and the pool accepted.
    pub work: Option<[f64; 3]>,
    /// Watts.
    pub power: Option<f64>,
    pub joules_per_terahash: Option<f64>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    pub regulator_temperature: Option<f64>,
    pub fan_rpm: Option<f64>,
    pub error_percent: Option<f64>,
    pub uptime: Option<Duration>,
    /// dBm.
    pub wifi_rssi: Option<f64>,
    pub accepted: Option<u64>,
    pub rejected: Option<u64>,
    pub best_difficulty: Option<f64>,
    pub pool_difficulty: Option<f64>,
    pub pool: Option<String>,
    pub uses_fallback: Option<bool>,
}

impl DeviceRow {
    /// The header of `devices.csv`.
    pub const COLUMNS: [&str; 26] = [
        "timestamp",
        "worker",
        "address",
        "connected",
        "interface",
        "model",
        "firmware",
        "hash_rate",
        "expected_hash_rate",
        "reported_hash_rate_1h",
        "proven_hash_rate_1h",
        "accepted_hash_rate_1h",
        "power_watts",
        "joules_per_terahash",
        "temperature_celsius",
        "regulator_celsius",
        "fan_rpm",
        "error_percent",
        "uptime_seconds",
        "wifi_dbm",
        "accepted",
        "rejected",
        "best_difficulty",
        "pool_difficulty",
        "pool",
        "uses_fallback",
    ];

    pub(super) fn to_csv(&self) -> Vec<u8> {
        let leg = |place: usize| self.work.map(|work| work[place].round());
        Row::new()
            .value(self.at)
            .text(&self.worker)
            .value(self.address)
            .value(self.is_connected)
            .value(self.interface)
            .text(self.model.as_deref().unwrap_or_default())
            .text(self.firmware.as_deref().unwrap_or_default())
            .number(self.hash_rate.map(f64::round))
            .number(self.expected_hash_rate.map(f64::round))
            .number(leg(0))
            .number(leg(1))
            .number(leg(2))
            .number(self.power)
            .seconds(self.joules_per_terahash.and_then(|joules| Duration::try_from_secs_f64(joules).ok()))
            .number(self.temperature)
            .number(self.regulator_temperature)
            .number(self.fan_rpm)
            .number(self.error_percent)
            .optional(self.uptime.map(|uptime| uptime.as_secs()))
            .number(self.wifi_rssi)
            .optional(self.accepted)
            .optional(self.rejected)
            .number(self.best_difficulty)
            .number(self.pool_difficulty)
            .text(self.pool.as_deref().unwrap_or_default())
            .optional(self.uses_fallback)
            .end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_each_column_and_safe_texts() {
        let row = DeviceRow {
            at: "2026-11-21T01:53:42.5Z".parse().unwrap(),
            worker: "=rig".into(),
            address: "10.0.0.7".parse().unwrap(),
            is_connected: true,
            interface: "axeos",
            model: Some("BM1370, board 601".into()),
            firmware: Some("v2.15.0".into()),
            hash_rate: Some(1.1874e12),
            expected_hash_rate: None,
            work: Some([1.19e12, 1.184_000_000_000_4e12, 1.18e12]),
            power: Some(17.9),
            joules_per_terahash: Some(15.041_7),
            temperature: Some(59.1),
            regulator_temperature: None,
            fan_rpm: Some(4120.0),
            error_percent: Some(0.31),
            uptime: Some(Duration::from_secs(90_211)),
            wifi_rssi: Some(-57.0),
            accepted: Some(512),
            rejected: Some(3),
            best_difficulty: Some(73_120_455.2),
            pool_difficulty: None,
            pool: Some("192.168.7.2:3333".into()),
            uses_fallback: Some(false),
        };
        let text = String::from_utf8(row.to_csv()).unwrap();
        assert_eq!(
            text,
            "2026-11-21T01:53:42.500Z,'=rig,10.0.0.7,true,axeos,\"BM1370, board 601\",v2.15.0,1187400000000,,\
             1190000000000,1184000000000,1180000000000,17.9,15.042,59.1,,4120,0.31,90211,-57,512,3,73120455.2,,\
             192.168.7.2:3333,false\n"
        );
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        assert_eq!(reader.records().next().unwrap().unwrap().len(), DeviceRow::COLUMNS.len());
    }
}
