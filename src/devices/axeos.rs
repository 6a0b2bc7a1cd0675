//! AxeOS, the firmware of a Bitaxe, and the NerdQAxe family: `GET /api/system/info`. Names of fields are stable over
//! all versions; their types are not.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::fields::DeviceFields;
use super::http::DeviceHttp;
use super::interface::DeviceInterface;
use super::nmminer;
use super::reading::{DeviceApi, DeviceReading, ReadError};

const INFO: &str = "/api/system/info";
const RESTART: &str = "/api/system/restart";
/// The unit of its hash rates, in hashes per second.
const GIGAHASHES: f64 = 1e9;

/// The interface of AxeOS.
#[derive(Debug)]
pub(super) struct AxeOsApi(pub(super) DeviceHttp);

impl DeviceApi for AxeOsApi {
    fn read(&self, address: IpAddr) -> Result<DeviceReading, ReadError> {
        parse_info(&self.0.get(address, INFO)?)
    }

    fn restart(&self, address: IpAddr) -> Result<(), ReadError> {
        Ok(self.0.post(address, RESTART)?)
    }
}

/// Reads the document of any version.
pub(super) fn parse_info(document: &Value) -> Result<DeviceReading, ReadError> {
    // NMAxe began as a fork of ESP-Miner, and may still call itself a Bitaxe.
    if nmminer::is_nested(document) {
        return nmminer::parse_nested(document);
    }
    let info = DeviceFields(document);
    let is_axeos = info.has("hashRate") && (info.has("macAddr") || info.has("ASICModel"));
    if !is_axeos {
        return Err(ReadError(String::from("the answer is not that of AxeOS")));
    }
    // NerdQAxe moved it there with 1.0.35.
    let stratum = info.object("stratum");
    let uses_fallback = info.flag("isUsingFallbackStratum").or_else(|| stratum.flag("usingFallback"));
    let (host, port) = match uses_fallback {
        Some(true) => ("fallbackStratumURL", "fallbackStratumPort"),
        _ => ("stratumURL", "stratumPort"),
    };
    let model = [info.text("deviceModel"), info.text("ASICModel")].into_iter().flatten();
    let board = info.text("boardVersion").map(|board| format!("board {board}"));
    let model: Vec<String> = model.chain(board).collect();
    let reasons = [info.text("power_fault"), info.text("hardware_fault")].into_iter().flatten();
    let hottest = [info.temperature("temp"), info.temperature("temp2")].into_iter().flatten();
    Ok(DeviceReading {
        model: (!model.is_empty()).then(|| model.join(", ")),
        firmware: info.text("version"),
        mac: info.text("macAddr").map(|mac| mac.to_ascii_uppercase()),
        hash_rate: info.hash_rate("hashRate", GIGAHASHES),
        minute_hash_rate: info.hash_rate("hashRate_1m", GIGAHASHES),
        expected_hash_rate: info.hash_rate("expectedHashrate", GIGAHASHES).filter(|rate| *rate > 0.0),
        error_percent: info.number("errorPercentage", 0.0..=100.0),
        // Boards without a sensor report 0.
        power: info.number("power", f64::MIN_POSITIVE..=100_000.0),
        temperature: hottest.max_by(f64::total_cmp),
        temperature_limit: info.number("overheat_temp", 40.0..=150.0),
        regulator_temperature: info.temperature("vrTemp"),
        fan_rpm: info.number("fanrpm", 0.0..=100_000.0),
        uptime: info.number("uptimeSeconds", 0.0..=1e10).map(Duration::from_secs_f64),
        reset_reason: info.text("resetReason"),
        wifi_rssi: info.number("wifiRSSI", -127.0..=-1.0),
        accepted: info.count("sharesAccepted"),
        rejected: info.count("sharesRejected"),
        best_difficulty: info.difficulty("bestDiff"),
        pool_difficulty: info.difficulty("poolDifficulty").or_else(|| info.difficulty("stratumDiff")),
        is_overheated: info.flag("overheat_mode"),
        is_paused: info.flag("miningPaused").or_else(|| info.flag("shutdown")),
        fault: Some(reasons.collect::<Vec<_>>().join(", ")).filter(|fault| !fault.is_empty()),
        uses_fallback,
        pool: pool(info, host, port),
        users: ["stratumUser", "fallbackStratumUser"]
            .into_iter()
            .filter_map(|user| info.name(user))
            .collect(),
        ..DeviceReading::empty(DeviceInterface::AxeOs)
    })
}

/// Host and port of a pool.
fn pool(info: DeviceFields<'_>, host: &str, port: &str) -> Option<String> {
    let (host, port) = (info.name(host)?, info.number(port, 1.0..=65_535.0)?);
    Some(format!("{host}:{port:.0}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CURRENT: &str = r#"{
        "hashRate": 1187.4, "hashRate_1m": 1190.2, "expectedHashrate": 1224, "errorPercentage": 0.31, "power": 17.9,
        "voltage": 5087.5, "current": 3512, "temp": 59.1, "temp2": 61.5, "vrTemp": 63, "fanspeed": 44, "fanrpm": 4120,
        "bestDiff": 73120455.2, "bestSessionDiff": 91822, "sharesAccepted": 512, "sharesRejected": 3,
        "sharesRejectedReasons": [{ "message": "Stale", "count": 3 }], "poolDifficulty": 1024, "responseTime": 21.5,
        "uptimeSeconds": 90211, "isUsingFallbackStratum": 0, "stratumURL": "192.168.7.2", "stratumPort": 3333,
        "stratumUser": "bc1q.shed", "fallbackStratumURL": "pool.example", "fallbackStratumPort": 3334,
        "fallbackStratumUser": "bc1q.spare", "stratumProtocol": "SV1", "ASICModel": "BM1370", "boardVersion": "601",
        "hostname": "bitaxe", "macAddr": "aa:BB:CC:00:11:22", "version": "v2.15.0", "overheat_mode": 0,
        "miningPaused": false, "wifiRSSI": -57, "resetReason": "Power on", "ssid": "home", "wifiPass": "s3cret",
        "pools": [{ "url": "x", "password": "s3cret" }]
    }"#;

    fn current() -> Value {
        serde_json::from_str(CURRENT).unwrap()
    }

    fn changed(changes: Value) -> DeviceReading {
        let mut document = current();
        let (Some(fields), Value::Object(changes)) = (document.as_object_mut(), changes) else { panic!() };
        for (name, value) in changes {
            match value {
                Value::Null => drop(fields.remove(&name)),
                value => drop(fields.insert(name, value)),
            }
        }
        parse_info(&document).unwrap()
    }

    #[test]
    fn a_present_version_is_read_whole() {
        let reading = parse_info(&current()).unwrap();
        assert_eq!((reading.hash_rate, reading.minute_hash_rate), (Some(1187.4e9), Some(1190.2e9)));
        assert_eq!(reading.model.as_deref(), Some("BM1370, board 601"));
        assert_eq!(reading.mac.as_deref(), Some("AA:BB:CC:00:11:22"));
        assert_eq!((reading.temperature, reading.regulator_temperature), (Some(61.5), Some(63.0)));
        assert_eq!(
            (reading.accepted, reading.rejected, reading.wifi_rssi),
            (Some(512), Some(3), Some(-57.0))
        );
        assert_eq!(
            (reading.is_overheated, reading.is_paused, reading.uses_fallback),
            (Some(false), Some(false), Some(false))
        );
        assert_eq!(reading.pool.as_deref(), Some("192.168.7.2:3333"));
        assert!((reading.joules_per_terahash().unwrap() - 15.04).abs() < 0.01);
        assert!(
            reading.may_be_of("BC1Q.shed")
                && reading.may_be_of("bc1q.spare")
                && !reading.may_be_of("bc1q.other")
        );
        assert!(!format!("{reading:?}").contains("s3cret"));
    }

    #[test]
    fn versions_before_2_11_are_read() {
        let reading = changed(json!({
            "hashRate_1m": null, "expectedHashrate": null, "errorPercentage": null, "temp2": null, "bestDiff": "4.29G",
            "poolDifficulty": null, "stratumDiff": 512, "miningPaused": null, "temp": -1, "overheat_mode": 1,
        }));
        assert_eq!((reading.minute_hash_rate, reading.steady_hash_rate()), (None, Some(1187.4e9)));
        assert_eq!((reading.best_difficulty, reading.pool_difficulty), (Some(4.29e9), Some(512.0)));
        assert_eq!((reading.temperature, reading.is_overheated, reading.is_paused), (None, Some(true), None));
        // The first versions knew neither a fallback pool nor the hardware address.
        let reading = changed(json!({ "macAddr": null, "isUsingFallbackStratum": null, "vrTemp": null }));
        assert_eq!((reading.mac, reading.uses_fallback, reading.regulator_temperature), (None, None, None));
    }

    #[test]
    fn faults_and_the_fallback_pool_are_read() {
        let reading = changed(
            json!({ "isUsingFallbackStratum": true, "power_fault": "no input", "hardware_fault": "fan" }),
        );
        assert_eq!((reading.uses_fallback, reading.pool.as_deref()), (Some(true), Some("pool.example:3334")));
        assert_eq!(reading.fault.as_deref(), Some("no input, fan"));
    }

    #[test]
    fn nerdqaxe_is_read() {
        let reading = changed(json!({
            "deviceModel": "NerdQAxe++", "boardVersion": null, "isUsingFallbackStratum": null, "stratumProtocol": 0,
            "stratum": { "usingFallback": true, "pools": [{ "connected": true }] }, "shutdown": true, "hashRate": 0,
            "overheat_temp": 70, "expectedHashrate": null,
        }));
        assert_eq!(reading.model.as_deref(), Some("NerdQAxe++, BM1370"));
        assert_eq!(
            (reading.uses_fallback, reading.hash_rate, reading.temperature_limit),
            (Some(true), Some(0.0), Some(70.0))
        );
        // Its word for a pause, if AxeOS has none.
        assert_eq!(changed(json!({ "miningPaused": null, "shutdown": true })).is_paused, Some(true));
    }

    #[test]
    fn another_products_answer_is_none() {
        for document in
            [json!({}), json!([]), json!({ "hashRate": 1.0 }), json!({ "macAddr": "AA" }), json!("hashRate")]
        {
            assert!(parse_info(&document).is_err(), "{document}");
        }
        // A liar's figures are unknown rather than wrong.
        let reading = changed(
            json!({ "hashRate": 1e300, "hashRate_1m": -1, "power": "much", "temp": 1e9, "temp2": [] }),
        );
        assert_eq!(
            (reading.hash_rate, reading.minute_hash_rate, reading.power, reading.temperature),
            (None, None, None, None)
        );
    }
}
