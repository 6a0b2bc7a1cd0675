//! The kinds of interfaces that devices have, and which of them a user agent belongs to.

use self::DeviceInterface::{AxeOs, Cgminer, NmMiner};

/// The kinds of interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceInterface {
    /// ESP-Miner and its relatives, such as NerdQAxe+.
    AxeOs,
    /// NMMiner and NMAxe.
    NmMiner,
    /// cgminer, and the firmware of large machines that descends from it or imitates it.
    Cgminer,
}

/// The ports of the interfaces. Others than the usual ones are for simulations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicePorts {
    pub http: u16,
    pub cgminer: u16,
}

/// The beginnings of user agents in lower case, and their interface. NerdMiners have none.
const KNOWN: [(&str, DeviceInterface); 21] = [
    ("bitaxe", AxeOs),
    ("esp-miner", AxeOs),
    ("lucky", AxeOs),
    ("nerdaxe", AxeOs),
    ("nerdeko", AxeOs),
    ("nerdhaxe", AxeOs),
    ("nerdoctaxe", AxeOs),
    ("nerdqaxe", AxeOs),
    ("nmaxe", NmMiner),
    ("nmminer", NmMiner),
    ("nmqaxe", NmMiner),
    ("antminer", Cgminer),
    ("avalon", Cgminer),
    ("bmminer", Cgminer),
    ("bosminer", Cgminer),
    ("btminer", Cgminer),
    ("cgminer", Cgminer),
    ("luxminer", Cgminer),
    ("sgminer", Cgminer),
    ("vnish", Cgminer),
    ("whatsminer", Cgminer),
];

impl DeviceInterface {
    /// The word in JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            AxeOs => "axeos",
            NmMiner => "nmminer",
            Cgminer => "cgminer",
        }
    }

    /// The interface of a device that calls itself so; `None` if it has none that is known.
    pub fn of_user_agent(user_agent: &str) -> Option<DeviceInterface> {
        let agent = user_agent.trim_start().to_ascii_lowercase();
        KNOWN.iter().find(|(begin, _)| agent.starts_with(begin)).map(|(_, interface)| *interface)
    }

    /// Whether it is asked with this value of `devices.cgminer`.
    pub(super) fn is_asked(self, asks_cgminer: bool) -> bool {
        self != Cgminer || asks_cgminer
    }
}

impl Default for DevicePorts {
    fn default() -> DevicePorts {
        DevicePorts { http: 80, cgminer: 4028 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_agents_with_an_interface_are_asked() {
        for (agent, interface) in [
            ("bitaxe/BM1370/v2.15.1", Some(AxeOs)),
            ("bitaxe v2.2", Some(AxeOs)),
            ("NerdQAxe++/BM1370/v1.0.36", Some(AxeOs)),
            ("NMMiner/2.0.1", Some(NmMiner)),
            ("Antminer S21/1.0", Some(Cgminer)),
            ("NerdMinerV2/V1.8.3", None),
            ("HAN_SOLOminer/V1.0", None),
            ("cpuminer/2.5.1", None),
            ("mybitaxe", None),
            ("", None),
        ] {
            assert_eq!(DeviceInterface::of_user_agent(agent), interface, "{agent}");
        }
        assert!(AxeOs.is_asked(false) && !Cgminer.is_asked(false) && Cgminer.is_asked(true));
    }
}
