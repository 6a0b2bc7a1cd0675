//! `[devices]`: what Sluice asks the miners themselves.

use std::time::Duration;

use super::duration::SECOND;
use super::reader::Section;

/// `[devices]`: readings of the miners' own interfaces.
#[derive(Debug, Clone, PartialEq)]
pub struct DevicesConfig {
    /// Default: off.
    pub read: DevicesRead,
    /// The time between two readings of a device; 5 s to 5 min, default 30 s.
    pub interval: Duration,
    /// Also ask miners of the cgminer family on TCP port 4028; default false.
    pub cgminer: bool,
    /// Restart a device that has stalled, if its interface can; default false.
    pub restart_stalled: bool,
}

/// `devices.read`: the devices that are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DevicesRead {
    #[default]
    Off,
    /// Devices with a connection to Sluice.
    Connected,
}

impl DevicesRead {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            DevicesRead::Off => "off",
            DevicesRead::Connected => "connected",
        }
    }
}

impl Default for DevicesConfig {
    fn default() -> DevicesConfig {
        DevicesConfig {
            read: DevicesRead::Off,
            interval: 30 * SECOND,
            cgminer: false,
            restart_stalled: false,
        }
    }
}

pub(super) fn read(mut section: Section) -> DevicesConfig {
    let mut devices = DevicesConfig::default();
    let words = [DevicesRead::Off, DevicesRead::Connected].map(|read| (read.as_str(), read));
    devices.read = section.choice("read", &words).unwrap_or_default();
    section.duration("interval", &mut devices.interval, 5 * SECOND..=300 * SECOND);
    section.bool("cgminer", &mut devices.cgminer);
    section.bool("restart_stalled", &mut devices.restart_stalled);
    devices
}
