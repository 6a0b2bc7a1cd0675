//! The simulated devices of the demo.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::sim::{MinerModel, MinerOptions, MinerStats, SimHashRate, SimMiner};

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
/// The place of the one that is unplugged.
pub(super) const UNPLUGGED: usize = 3;

/// A simulated device, which can be switched off.
pub(super) struct DemoDevice {
    pub name: &'static str,
    options: MinerOptions,
    pub miner: SimMiner,
    is_on: bool,
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
        sluice: SocketAddr,
    ) -> io::Result<DemoDevice> {
        let mut options = MinerOptions::new(sluice, model, format!("{ADDRESS}.{name}"));
        options.hash_rate_limit = Some(SimHashRate(rate));
        options.suggested_difficulty = suggests;
        options.retry_wait = Some(Duration::from_secs(2));
        if model == MinerModel::Cgminer {
            options.job_switch_delay = OLD_WORK;
        }
        let miner = SimMiner::start(options.clone())?;
        let printed = MinerStats::default();
        let before = DeviceTotals::default();
        Ok(DemoDevice { name, options, miner, is_on: true, printed, printed_connections: 0, before })
    }

    /// The figures since the start.
    pub fn totals(&self) -> DeviceTotals {
        if self.is_on { self.before.add(&self.miner.stats()) } else { self.before }
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
