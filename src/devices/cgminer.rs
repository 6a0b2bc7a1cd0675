//! The cgminer family (Antminer, Whatsminer, Avalon, LuxOS, Braiins OS): the command `summary` on TCP port 4028. One
//! command a connection, without a login; the answer ends with a NUL, a newline or the connection.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fields::DeviceFields;
use super::http::{MAX_ANSWER, REQUEST_LIMIT};
use super::interface::DeviceInterface;
use super::reading::{DeviceApi, DeviceReading, ReadError};
use crate::net::options::is_timeout;
use crate::util::os_error::describe;

const SUMMARY: &[u8] = b"{\"command\":\"summary\"}";
const MEGAHASHES: f64 = 1e6;
const GIGAHASHES: f64 = 1e9;

/// The names of the present hash rate and that of a minute with their units, the best first. Antminers count in GH/s.
/// Some Avalons report 0 for a minute.
const NOW: [(&str, f64); 5] = [
    ("GHS 5s", GIGAHASHES),
    ("MHS 5s", MEGAHASHES),
    ("HS RT", MEGAHASHES),
    ("MHS av", MEGAHASHES),
    ("GHS av", GIGAHASHES),
];
const MINUTE: [(&str, f64); 2] = [("MHS 1m", MEGAHASHES), ("GHS 1m", GIGAHASHES)];

/// The interface of the cgminer family.
#[derive(Debug)]
pub(super) struct CgminerApi {
    pub(super) port: u16,
}

impl DeviceApi for CgminerApi {
    fn read(&self, address: IpAddr) -> Result<DeviceReading, ReadError> {
        let answer = ask(SocketAddr::new(address, self.port)).map_err(|why| {
            ReadError(match is_timeout(&why) {
                true => String::from("no answer in time"),
                false => format!("connection: {}", describe(&why)),
            })
        })?;
        parse_summary(&answer)
    }
}

/// Sends the command and reads the answer up to its end.
fn ask(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let deadline = Instant::now() + REQUEST_LIMIT;
    let mut stream = TcpStream::connect_timeout(&address, REQUEST_LIMIT)?;
    stream.set_write_timeout(Some(REQUEST_LIMIT))?;
    stream.write_all(SUMMARY)?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let length = stream.read(&mut chunk)?;
        let end = chunk[..length].iter().position(|byte| matches!(byte, 0 | b'\n'));
        answer.extend_from_slice(&chunk[..end.unwrap_or(length)]);
        if end.is_some() || length == 0 {
            return Ok(answer);
        }
        if answer.len() as u64 > MAX_ANSWER {
            return Err(std::io::Error::other("the answer is too long"));
        }
    }
}

/// Reads the answer of any member of the family.
pub(super) fn parse_summary(answer: &[u8]) -> Result<DeviceReading, ReadError> {
    let failed = |reason: &str| Err(ReadError(reason.to_owned()));
    let document = serde_json::from_slice::<Value>(answer);
    let Ok(document) = document.or_else(|_| serde_json::from_str(&repaired(answer))) else {
        return failed("the answer is not JSON");
    };
    let status = document.get("STATUS");
    let status = status.and_then(|status| status.get(0)).and_then(|first| first.get("STATUS")).or(status);
    if status.and_then(Value::as_str).is_some_and(|status| !matches!(status, "S" | "I")) {
        return failed("it refuses the command \"summary\"");
    }
    let Some(summary) = document.get("SUMMARY").and_then(|all| all.get(0)) else {
        return failed("the answer is not that of cgminer");
    };
    let summary = DeviceFields(summary);
    let rate = |names: &[(&str, f64)]| names.iter().find_map(|(name, unit)| summary.hash_rate(name, *unit));
    let hash_rate = rate(&NOW);
    if hash_rate.is_none() {
        return failed("the answer is not that of cgminer");
    }
    Ok(DeviceReading {
        hash_rate,
        minute_hash_rate: rate(&MINUTE).filter(|rate| *rate > 0.0),
        expected_hash_rate: summary.hash_rate("Factory GHS", GIGAHASHES).filter(|rate| *rate > 0.0),
        error_percent: summary.number("Device Hardware%", 0.0..=100.0),
        power: summary.number("Power", f64::MIN_POSITIVE..=100_000.0),
        temperature: summary.temperature("Temperature"),
        fan_rpm: summary.number("Fan Speed In", 0.0..=100_000.0),
        uptime: summary.number("Elapsed", 0.0..=1e10).map(Duration::from_secs_f64),
        accepted: summary.count("Accepted"),
        rejected: summary.count("Rejected"),
        best_difficulty: summary.difficulty("Best Share"),
        ..DeviceReading::empty(DeviceInterface::Cgminer)
    })
}

/// Repairs what some firmware writes instead of JSON: numbers that are none, and a comma left out between objects.
fn repaired(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).replace("}{", "},{");
    [":-nan", ":nan", ":-inf", ":inf"].iter().fold(text, |text, none| text.replace(none, ":null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_counts_megahashes() {
        let reading = parse_summary(
            br#"{"STATUS":[{"STATUS":"S","When":1,"Code":11,"Msg":"Summary"}],"SUMMARY":[{"Elapsed":90211,"MHS av":98.5,
            "MHS 5s":100.25,"MHS 1m":99.5,"Accepted":512,"Rejected":3,"Hardware Errors":7,"Device Hardware%":0.31,
            "Best Share":73120455,"Found Blocks":0}],"id":1}"#,
        )
        .unwrap();
        assert_eq!((reading.hash_rate, reading.minute_hash_rate), (Some(100.25e6), Some(99.5e6)));
        assert_eq!((reading.accepted, reading.best_difficulty), (Some(512), Some(73_120_455.0)));
        assert_eq!((reading.error_percent, reading.uptime), (Some(0.31), Some(Duration::from_secs(90_211))));
    }

    #[test]
    fn an_antminer_counts_gigahashes_also_as_text() {
        let answer = br#"{"STATUS":[{"STATUS":"S"}],"SUMMARY":[{"Elapsed":60,"GHS 5s":"200123.5","GHS av":199000.1}],"id":1}"#;
        assert_eq!(parse_summary(answer).unwrap().hash_rate, Some(200_123.5e9));
    }

    #[test]
    fn a_whatsminer_has_a_bare_status_and_its_power() {
        let answer = br#"{"STATUS":"S","SUMMARY":[{"HS RT":112000000,"MHS av":111000000,"Power":3400,"Factory GHS":112000,
            "Env Temp":25.1,"Temperature":78.5,"Fan Speed In":4320}],"id":1}"#;
        let reading = parse_summary(answer).unwrap();
        assert_eq!((reading.hash_rate, reading.power), (Some(112e12), Some(3400.0)));
        assert_eq!((reading.expected_hash_rate, reading.temperature), (Some(112e12), Some(78.5)));
    }

    #[test]
    fn an_avalon_that_writes_no_json_is_read() {
        let answer = br#"{"STATUS":[{"STATUS":"S"}{"STATUS":"I"}],"SUMMARY":[{"MHS av":5000000.1,"MHS 5s":nan,"MHS 1m":0,
            "Device Hardware%":-nan,"Work Utility":inf}],"id":1}"#;
        let reading = parse_summary(answer).unwrap();
        assert_eq!((reading.hash_rate, reading.minute_hash_rate), (Some(5_000_000.1e6), None));
    }

    #[test]
    fn refusals_and_others_are_no_reading() {
        for answer in [
            &b"{\"STATUS\":[{\"STATUS\":\"E\",\"Msg\":\"Access denied\"}],\"id\":1}"[..],
            b"{\"STATUS\":\"E\"}",
            b"{\"SUMMARY\":[{}]}",
            b"HTTP/1.1 400 Bad Request",
            b"",
            b"\xff\xfe",
        ] {
            assert!(parse_summary(answer).is_err(), "{answer:?}");
        }
    }
}
