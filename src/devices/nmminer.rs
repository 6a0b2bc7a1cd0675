//! NMMiner and NMAxe: `GET /api/system/info` with nested objects, and `GET /probe` with a few figures on one level.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::fields::DeviceFields;
use super::http::{DeviceHttp, HttpFailure};
use super::interface::DeviceInterface;
use super::reading::{DeviceApi, DeviceReading, ReadError};

const INFO: &str = "/api/system/info";
const PROBE: &str = "/probe";
const NOT_FOUND: u16 = 404;
const GIGAHASHES: f64 = 1e9;

/// The interface of NMMiner and NMAxe.
#[derive(Debug)]
pub(super) struct NmMinerApi(pub(super) DeviceHttp);

impl DeviceApi for NmMinerApi {
    fn read(&self, address: IpAddr) -> Result<DeviceReading, ReadError> {
        match self.0.get(address, INFO) {
            Ok(document) => parse_nested(&document),
            Err(HttpFailure::Status(NOT_FOUND)) => parse_probe(&self.0.get(address, PROBE)?),
            Err(failure) => Err(failure.into()),
        }
    }
}

/// Whether this is the nested document.
pub(super) fn is_nested(document: &Value) -> bool {
    let info = DeviceFields(document);
    info.object("identity").has("hwModel") && info.object("miner").has("hashRate")
}

/// Reads the nested document.
pub(super) fn parse_nested(document: &Value) -> Result<DeviceReading, ReadError> {
    if !is_nested(document) {
        return Err(ReadError(String::from("the answer is not that of an NMMiner")));
    }
    let info = DeviceFields(document);
    let (identity, miner, temps) = (info.object("identity"), info.object("miner"), info.object("temps"));
    let stratum = info.object("stratum");
    let models = [identity.text("hwModel"), info.object("asic").text("model")].into_iter().flatten();
    let fans = document.get("fans").and_then(|fans| fans.get(0)).unwrap_or(&Value::Null);
    Ok(DeviceReading {
        model: Some(models.collect::<Vec<_>>().join(", ")).filter(|model| !model.is_empty()),
        firmware: identity.text("fwVersion"),
        hash_rate: miner.hash_rate("hashRate", GIGAHASHES),
        power: info.object("power").number("power", f64::MIN_POSITIVE..=100_000.0),
        temperature: temps.temperature("asic"),
        regulator_temperature: temps.temperature("vcore"),
        fan_rpm: DeviceFields(fans).number("rpm", 0.0..=100_000.0),
        uptime: miner.number("uptimeSeconds", 0.0..=1e10).map(Duration::from_secs_f64),
        wifi_rssi: identity.number("rssi", -127.0..=-1.0),
        accepted: miner.count("sAccepted"),
        rejected: miner.count("sRejected"),
        best_difficulty: miner.difficulty("bestDiffEver"),
        pool_difficulty: miner.difficulty("poolDiff"),
        pool: stratum.name("url").map(|url| host_of(&url).to_owned()),
        users: stratum.name("user").into_iter().collect(),
        ..DeviceReading::empty(DeviceInterface::NmMiner)
    })
}

/// Reads the short document, whose hash rate is in hashes per second.
pub(super) fn parse_probe(document: &Value) -> Result<DeviceReading, ReadError> {
    let probe = DeviceFields(document);
    if !(probe.has("model") && probe.has("hr")) {
        return Err(ReadError(String::from("the answer is not that of an NMMiner")));
    }
    Ok(DeviceReading {
        model: probe.text("model"),
        firmware: probe.text("ver"),
        hash_rate: probe.hash_rate("hr", 1.0),
        uptime: probe.number("ut", 0.0..=1e10).map(Duration::from_secs_f64),
        best_difficulty: probe.difficulty("ebd"),
        ..DeviceReading::empty(DeviceInterface::NmMiner)
    })
}

/// Host and port of a URL.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    // No user or password is shown.
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_nmaxe_is_read() {
        let reading = parse_nested(&json!({
            "power": { "power": 12.5, "vbus": 5000, "ibus": 2500 }, "temps": { "vcore": 45.2, "asic": 62.7 },
            "asic": { "count": 1, "model": "BM1370" },
            "miner": {
                "hashRate": 720.5, "bestDiffEver": "1.23M", "bestDiffSession": "456.7K", "poolDiff": "65536",
                "sAccepted": 1024, "sRejected": 3, "uptimeSeconds": 86400, "blkhits": 0,
            },
            "identity": { "fwVersion": "v2.9.31", "hwModel": "NMAxe", "hostName": "n", "ssid": "home", "rssi": -55 },
            "fans": [{ "id": 0, "speed": 60, "rpm": 2800 }],
            "stratum": { "url": "stratum+tcp://me:s3cret@10.0.0.1:3333", "user": "bc1q.one", "pwd": "s3cret" },
        }))
        .unwrap();
        assert_eq!(reading.model.as_deref(), Some("NMAxe, BM1370"));
        assert_eq!(
            (reading.hash_rate, reading.power, reading.temperature),
            (Some(720.5e9), Some(12.5), Some(62.7))
        );
        assert_eq!((reading.best_difficulty, reading.pool_difficulty), (Some(1.23e6), Some(65536.0)));
        assert_eq!((reading.pool.as_deref(), reading.fan_rpm), (Some("10.0.0.1:3333"), Some(2800.0)));
        assert!(reading.may_be_of("bc1q.one") && !reading.may_be_of("bc1q.two"));
        assert!(!format!("{reading:?}").contains("s3cret"));
    }

    #[test]
    fn an_nmminer_has_no_sensor_and_texts_for_numbers() {
        let reading = parse_nested(&json!({
            "identity": { "fwVersion": "2.0.1", "hwModel": "NMMiner", "rssi": 0 },
            "miner": { "hashRate": 0.001, "sAccepted": "12", "bestDiffEver": "45.20K", "poolDiff": "0.0015" },
            "temps": { "vcore": null, "asic": null },
        }))
        .unwrap();
        assert_eq!((reading.hash_rate, reading.accepted), (Some(1e6), Some(12)));
        assert_eq!((reading.temperature, reading.power, reading.wifi_rssi), (None, None, None));
        assert_eq!((reading.best_difficulty, reading.pool_difficulty), (Some(45_200.0), Some(0.0015)));
    }

    #[test]
    fn a_probe_is_read_and_others_are_not() {
        let probe = json!({ "model": "NMMiner", "hostname": "n", "ver": "2.0.1", "hr": 1020.5, "sbd": 1.5, "ebd": 9e3, "ut": 60 });
        let reading = parse_probe(&probe).unwrap();
        assert_eq!((reading.hash_rate, reading.uptime), (Some(1020.5), Some(Duration::from_secs(60))));
        assert!(parse_nested(&probe).is_err() && parse_probe(&json!({ "hr": 1 })).is_err());
    }
}
