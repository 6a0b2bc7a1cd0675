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
    /// The accepted and rejected shares before it was switched off.
    pub before: [u64; 2],
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
        Ok(DemoDevice { name, options, miner, is_on: true, printed, printed_connections: 0, before: [0, 0] })
    }

    /// The accepted and rejected shares since the start.
    pub fn totals(&self) -> [u64; 2] {
        let stats = if self.is_on { self.miner.stats() } else { MinerStats::default() };
        [self.before[0] + stats.accepted, self.before[1] + stats.rejected]
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
