//! The reading of a device, in one form for all interfaces.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::interface::DeviceInterface;
use crate::clock::NtpTime;

/// The figures of a device at one moment. A figure that the device does not publish, or that cannot be true, is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceReading {
    pub interface: DeviceInterface,
    /// Such as `BM1370, board 601` or `NerdQAxe++`.
    pub model: Option<String>,
    pub firmware: Option<String>,
    /// The hardware address of its network interface, in upper case: it tells devices apart.
    pub mac: Option<String>,
    /// Hashes per second now.
    pub hash_rate: Option<f64>,
    /// Hashes per second over the last minute, if the device averages.
    pub minute_hash_rate: Option<f64>,
    /// Hashes per second that its frequency should give.
    pub expected_hash_rate: Option<f64>,
    /// The percentage of hashes that were wrong, by the chips' own counters.
    pub error_percent: Option<f64>,
    /// Watts.
    pub power: Option<f64>,
    /// Degrees Celsius of the hottest chip.
    pub temperature: Option<f64>,
    /// Degrees Celsius at which the firmware stops the chips, if it says so.
    pub temperature_limit: Option<f64>,
    /// Degrees Celsius of the voltage regulator.
    pub regulator_temperature: Option<f64>,
    /// Turns per minute of the first fan.
    pub fan_rpm: Option<f64>,
    pub uptime: Option<Duration>,
    /// Why it started last, in its own words.
    pub reset_reason: Option<String>,
    /// The strength of the Wi-Fi signal, in dBm.
    pub wifi_rssi: Option<f64>,
    /// Shares since its start, as the device counts them.
    pub accepted: Option<u64>,
    pub rejected: Option<u64>,
    /// The difficulty of its best share ever.
    pub best_difficulty: Option<f64>,
    /// The difficulty that its pool asks for.
    pub pool_difficulty: Option<f64>,
    /// The device has stopped its chips because they were too hot.
    pub is_overheated: Option<bool>,
    /// Its owner has paused it.
    pub is_paused: Option<bool>,
    /// A fault of the power supply or the hardware, in its own words.
    pub fault: Option<String>,
    /// The device mines on the second pool of its settings.
    pub uses_fallback: Option<bool>,
    /// Host and port of the pool that it mines on.
    pub pool: Option<String>,
    /// The user names of its settings. Kept to know the device by, not shown.
    pub users: Vec<String>,
}

/// The result of one request to a device.
#[derive(Debug, Clone)]
pub struct DeviceReport {
    /// The worker whose device it is.
    pub worker: Arc<str>,
    pub address: IpAddr,
    pub at: NtpTime,
    /// Whether the worker has a connection to Sluice. If not, it had one before.
    pub is_connected: bool,
    /// The reading, or why there is none.
    pub outcome: Result<Arc<DeviceReading>, String>,
    /// The device was to be restarted: it was told so, or why not.
    pub restart: Option<Result<(), String>>,
}

/// An interface: how to ask it, and how to understand its answers.
pub(super) trait DeviceApi: fmt::Debug + Send + Sync {
    /// Asks the device at this address.
    fn read(&self, address: IpAddr) -> Result<DeviceReading, ReadError>;

    /// Has the device restart.
    fn restart(&self, address: IpAddr) -> Result<(), ReadError> {
        Err(ReadError(format!("the device at {address} has no way to be restarted")))
    }
}

/// The reason why there is no reading; it continues a sentence after the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadError(pub(super) String);

impl DeviceReading {
    /// A reading without any figure.
    pub fn empty(interface: DeviceInterface) -> DeviceReading {
        DeviceReading {
            interface,
            model: None,
            firmware: None,
            mac: None,
            hash_rate: None,
            minute_hash_rate: None,
            expected_hash_rate: None,
            error_percent: None,
            power: None,
            temperature: None,
            temperature_limit: None,
            regulator_temperature: None,
            fan_rpm: None,
            uptime: None,
            reset_reason: None,
            wifi_rssi: None,
            accepted: None,
            rejected: None,
            best_difficulty: None,
            pool_difficulty: None,
            is_overheated: None,
            is_paused: None,
            fault: None,
            uses_fallback: None,
            pool: None,
            users: Vec::new(),
        }
    }

    /// The hash rate to compare with shares: the steadiest that the device gives.
    pub fn steady_hash_rate(&self) -> Option<f64> {
        self.minute_hash_rate.or(self.hash_rate)
    }

    /// Joules for 10^12 hashes.
    pub fn joules_per_terahash(&self) -> Option<f64> {
        let (power, rate) = (self.power?, self.steady_hash_rate().filter(|rate| *rate > 0.0)?);
        Some(power / rate * 1e12)
    }

    /// Whether this can be the device of the worker: it names the worker, or no user at all.
    pub fn may_be_of(&self, worker: &str) -> bool {
        self.users.is_empty() || self.users.iter().any(|user| user.eq_ignore_ascii_case(worker))
    }
}
