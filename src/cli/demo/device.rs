//! The simulated devices of the demo.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::sim::{MinerModel, MinerOptions, MinerStats, SimDevice, SimFigures, SimHashRate, SimMiner};

/// The example address of BIP173, whose key is public: nobody can mistake the demo for earnings.
const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// The devices, with their hash rates and the difficulties that they suggest: a share every few seconds. Every share is
/// really hashed, so the rates are what one processor bears. A Bitaxe makes 10,000 times as much as a NerdMiner; real
/// ones make 1 TH/s and 60 kH/s.
pub(super) const DEVICES: [(&str, MinerModel, f64, Option<f64>); 5] = [
    ("bitaxe-office", MinerModel::Bitaxe, 600e3, Some(0.000_5)),
    ("bitaxe-shelf", MinerModel::Bitaxe, 300e3, Some(0.000_5)),
    // An old miner that ends its queue of work before it takes a new job. It suggests nothing.
    ("usb-stick", MinerModel::Cgminer, 150e3, None),
    ("nerd-kitchen", MinerModel::NerdMiner, 60.0, Some(0.000_000_1)),
    ("nerd-desk", MinerModel::NerdMiner, 50.0, Some(0.000_000_1)),
];
/// How long `usb-stick` goes on with old work: long enough for a late share or two.
const OLD_WORK: Duration = Duration::from_secs(8);
/// The place of the one that is unplugged, and of the one whose chips hang.
pub(super) const UNPLUGGED: usize = 3;
pub(super) const STALLED: usize = 1;
/// The time over which a device measures the hash rate that it reports.
const RATE_TIME: Duration = Duration::from_secs(3);
/// The attempts to find a port that is free at the address of each device.
const PORT_ATTEMPTS: u32 = 10;

/// The interfaces of the Bitaxes, by their places in [`DEVICES`]: each has an address of its own, and all one port.
/// Empty if this machine has no such addresses or ports.
pub(super) fn open_interfaces() -> Vec<(usize, SimDevice)> {
    (0..PORT_ATTEMPTS).find_map(|_| try_interfaces().ok()).unwrap_or_default()
}

fn try_interfaces() -> io::Result<Vec<(usize, SimDevice)>> {
    let (mut opened, mut port) = (Vec::new(), 0);
    for (place, (name, model, rate, _)) in DEVICES.into_iter().enumerate() {
        if model != MinerModel::Bitaxe {
            continue;
        }
        let number = u8::try_from(place).unwrap_or(0);
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2 + number), port));
        let mut figures = SimFigures::new(format!("{ADDRESS}.{name}"), address, rate);
        figures.mac = format!("AA:BB:CC:00:11:{number:02X}");
        figures.power = 17.5 + f64::from(number);
        let device = SimDevice::start(address, figures)?;
        port = device.address().port();
        opened.push((place, device));
    }
    Ok(opened)
}

/// A simulated device, which can be switched off.
pub(super) struct DemoDevice {
    pub name: &'static str,
    options: MinerOptions,
    pub miner: SimMiner,
    is_on: bool,
    /// The device's own interface, if it has one.
    interface: Option<SimDevice>,
    /// The hashes at the last measurement of the hash rate, and its time.
    measured: (u64, Instant),
    /// The figures that were printed last.
    pub printed: MinerStats,
    pub printed_connections: u64,
    /// The figures before it was switched off.
    before: DeviceTotals,
}

/// The figures of a device since the demo's start. A power cut does not reset them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct DeviceTotals {
    pub accepted: u64,
    pub rejected: u64,
    pub best_difficulty: f64,
    /// Connections that were made.
    pub connections: u64,
}

impl DeviceTotals {
    /// Connections after the first one.
    pub fn reconnects(&self) -> u64 {
        self.connections.saturating_sub(1)
    }

    fn add(self, stats: &MinerStats) -> DeviceTotals {
        DeviceTotals {
            accepted: self.accepted + stats.accepted,
            rejected: self.rejected + stats.rejected,
            best_difficulty: self.best_difficulty.max(stats.best_difficulty),
            connections: self.connections + stats.connections,
        }
    }
}

impl DemoDevice {
    /// Starts a device of [`DEVICES`] that connects to `sluice`.
    pub fn start(
        (name, model, rate, suggests): (&'static str, MinerModel, f64, Option<f64>),
        interface: Option<SimDevice>,
        sluice: SocketAddr,
    ) -> io::Result<DemoDevice> {
        let mut options = MinerOptions::new(sluice, model, format!("{ADDRESS}.{name}"));
        options.hash_rate_limit = Some(SimHashRate(rate));
        options.suggested_difficulty = suggests;
        options.retry_wait = Some(Duration::from_secs(2));
        if model == MinerModel::Cgminer {
            options.job_switch_delay = OLD_WORK;
        }
        if let Some(interface) = &interface {
            options.connects_from = Some(interface.address().ip());
            interface.change(|figures| figures.pool = sluice);
        }
        let miner = SimMiner::start(options.clone())?;
        let printed = MinerStats::default();
        let before = DeviceTotals::default();
        let measured = (0, Instant::now());
        let (is_on, printed_connections) = (true, 0);
        Ok(DemoDevice {
            name,
            options,
            miner,
            is_on,
            interface,
            measured,
            printed,
            printed_connections,
            before,
        })
    }

    /// The figures since the start.
    pub fn totals(&self) -> DeviceTotals {
        if self.is_on { self.before.add(&self.miner.stats()) } else { self.before }
    }

    /// Measures the hash rate that it reports, now and then.
    pub fn measure(&mut self) {
        let (before, since) = self.measured;
        let passed = since.elapsed();
        let Some(interface) = self.interface.as_ref().filter(|_| passed >= RATE_TIME) else { return };
        let stats = self.miner.stats();
        let rate = stats.hashes.saturating_sub(before) as f64 / passed.as_secs_f64();
        // A hot chip and a busy one are the same.
        let temperature = (350.0 + 400.0 * (rate / (rate + 400e3))).round() / 10.0;
        let more = json!({
            "bestDiff": stats.best_difficulty,
            "sharesAccepted": stats.accepted,
            "sharesRejected": stats.rejected,
        });
        interface.change(|figures| {
            (figures.hash_rate, figures.temperature, figures.more) = (rate, temperature, more);
        });
        self.measured = (stats.hashes, Instant::now());
    }

    pub fn switch_off(&mut self) {
        if self.is_on {
            self.miner.stop();
            (self.before, self.is_on) = (self.totals(), false);
        }
    }

    pub fn switch_on(&mut self) -> io::Result<()> {
        if !self.is_on {
            self.miner = SimMiner::start(self.options.clone())?;
            (self.printed, self.printed_connections, self.is_on) = (MinerStats::default(), 0, true);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_add_up_over_power_cuts() {
        let stats = |accepted, best_difficulty, connections| MinerStats {
            accepted,
            rejected: 1,
            best_difficulty,
            connections,
            reconnects: connections - 1,
            ..MinerStats::default()
        };
        let totals = DeviceTotals::default().add(&stats(7, 0.5, 2)).add(&stats(3, 0.25, 1));
        let expected = DeviceTotals { accepted: 10, rejected: 2, best_difficulty: 0.5, connections: 3 };
        assert_eq!((totals, totals.reconnects()), (expected, 2));
        assert_eq!(DeviceTotals::default().reconnects(), 0);
    }
}
