//! Derives the difficulty that a miner can have from its user agent (wire reference, section 1.5).

use std::time::Duration;

use crate::stratum::Difficulty;

/// The lowest difficulty that any miner gets.
const MIN_DIFFICULTY: f64 = 1e-6;
/// The factor by which a suggestion may be above or below the usual start.
const MAX_SUGGESTION_FACTOR: f64 = 1000.0;
/// The highest suggestion that is followed for an unknown miner, which may be a whole farm: 300 TH/s find
/// such a share in 15 s, and the farm's own shares lead on from there.
const MAX_SUGGESTION: f64 = 1e6;
/// An unknown miner that finds nothing for this long at difficulty 1 has less than 10 MH/s, or pauses.
const LONG_SILENCE: Duration = Duration::from_secs(600);
/// The work after which a silent miner is taken to pause: a miner of 10 MH/s takes a day for it.
const MIN_PROVEN_WORK: f64 = 200.0;

/// Checked in this order: a NerdQAxe is no NerdMiner, whatever its name begins with.
const ASICS: [&str; 14] = [
    "axe",
    "bm13",
    "antminer",
    "whatsminer",
    "avalon",
    "bosminer",
    "bmminer",
    "braiins",
    "cgminer",
    "powerplay",
    "xminer",
    "luxminer",
    "vnish",
    "nicehash",
];
const NERDS: [&str; 3] = ["nerdminer", "nmminer", "han_solominer"];
const PROCESSORS: [&str; 2] = ["cpuminer", "minerd"];

/// The class of a miner's hardware, as far as that matters for its difficulty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceClass {
    /// A microcontroller of 50 to 1000 kH/s; takes fractions.
    Nerd,
    /// From one chip to a machine or a farm behind one agent. Some read 0.5 as 0 (wire reference,
    /// section 2.7), so none is given less than 1.
    Asic,
    /// A computer's processor; takes fractions.
    Processor,
    /// Any other.
    #[default]
    Unknown,
}

impl DeviceClass {
    /// Reads the user agent of `mining.subscribe`; empty if the miner sent none.
    pub fn of(user_agent: &str) -> DeviceClass {
        let agent = user_agent.to_ascii_lowercase();
        let has = |names: &[&str]| names.iter().any(|name| agent.contains(name));
        if has(&ASICS) {
            DeviceClass::Asic
        } else if has(&NERDS) {
            DeviceClass::Nerd
        } else if has(&PROCESSORS) {
            DeviceClass::Processor
        } else {
            DeviceClass::Unknown
        }
    }

    /// The difficulty of the first job. `suggested`: the number of `mining.suggest_difficulty`, which is
    /// ignored when it is no finite number above zero.
    pub fn start(self, suggested: Option<f64>) -> Difficulty {
        let usual = match self {
            // 140 kH/s find one in 15 s.
            DeviceClass::Nerd => 0.0005,
            // What a Bitaxe suggests (wire reference, section 7.6).
            DeviceClass::Asic => 1000.0,
            // 14 MH/s find one in 15 s.
            DeviceClass::Processor => 0.05,
            DeviceClass::Unknown => 1.0,
        };
        let highest =
            if self == DeviceClass::Unknown { MAX_SUGGESTION } else { usual * MAX_SUGGESTION_FACTOR };
        let bounded = usable(suggested)
            .map(|value| value.clamp(usual / MAX_SUGGESTION_FACTOR, highest).max(self.least()));
        Difficulty::new(bounded.unwrap_or(usual)).unwrap_or(Difficulty::ONE)
    }

    /// The lowest difficulty that the miner may get at first. A miner that suggests a fraction knows
    /// fractions, unless its class is known not to.
    pub fn floor(self, suggested: Option<f64>) -> f64 {
        match (self, usable(suggested)) {
            (DeviceClass::Asic, _) => 1.0,
            (DeviceClass::Unknown, Some(value)) if value < 1.0 => MIN_DIFFICULTY,
            (DeviceClass::Unknown, _) => 1.0,
            (DeviceClass::Nerd | DeviceClass::Processor, _) => MIN_DIFFICULTY,
        }
    }

    /// The floor from now on, when it falls: an unknown miner that finds nothing at difficulty 1 may be a
    /// small one. `silence`: since its last share; `work`: the sum of the difficulties of all shares.
    pub fn lower_floor(self, silence: Duration, work: f64) -> Option<f64> {
        (self == DeviceClass::Unknown && silence >= LONG_SILENCE && work < MIN_PROVEN_WORK)
            .then_some(MIN_DIFFICULTY)
    }

    fn least(self) -> f64 {
        if self == DeviceClass::Asic { 1.0 } else { MIN_DIFFICULTY }
    }
}

fn usable(suggested: Option<f64>) -> Option<f64> {
    suggested.filter(|value| value.is_finite() && *value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_seen_are_known() {
        for (agent, kind) in [
            ("NerdMinerV2/V1.8.3", DeviceClass::Nerd),
            ("HAN_SOLOminer/V1.2", DeviceClass::Nerd),
            ("NMMiner", DeviceClass::Nerd),
            ("nerdminer", DeviceClass::Nerd),
            ("bitaxe/BM1370/v2.15.1", DeviceClass::Asic),
            ("bitaxe/BM1368 (v2.1.9-8-g04c8b80-dirty)", DeviceClass::Asic),
            ("bitaxe v2.2", DeviceClass::Asic),
            ("BITAXE", DeviceClass::Asic),
            ("NerdQAxe+/BM1370/v1.0.20", DeviceClass::Asic),
            ("NerdAxe", DeviceClass::Asic),
            ("cgminer/4.13.6", DeviceClass::Asic),
            ("Antminer S21/Thu Jan 4", DeviceClass::Asic),
            ("whatsminer/v1.1", DeviceClass::Asic),
            ("bosminer-plus-tuner 0.2.0", DeviceClass::Asic),
            ("PowerPlay-BM/1.0", DeviceClass::Asic),
            ("xminer-1.2.6", DeviceClass::Asic),
            ("NiceHash/1.0.0", DeviceClass::Asic),
            ("cpuminer/2.5.1", DeviceClass::Processor),
            ("minerd", DeviceClass::Processor),
            ("tang++/0.2.0", DeviceClass::Unknown),
            ("", DeviceClass::Unknown),
            ("\u{130}\u{0}", DeviceClass::Unknown),
        ] {
            assert_eq!(DeviceClass::of(agent), kind, "{agent}");
        }
    }

    #[test]
    fn a_suggestion_replaces_the_start_within_bounds() {
        assert_eq!(DeviceClass::Nerd.start(None).value(), 0.0005);
        assert_eq!(DeviceClass::Nerd.start(Some(0.00015)).value(), 0.00015);
        // What another pool had given it.
        assert_eq!(DeviceClass::Nerd.start(Some(10_000.0)).value(), 0.5);
        assert_eq!(DeviceClass::Asic.start(Some(512.0)).value(), 512.0);
        assert_eq!(DeviceClass::Asic.start(Some(0.001)).value(), 1.0);
        assert_eq!(DeviceClass::Asic.start(Some(1e300)).value(), 1e6);
        assert_eq!(DeviceClass::Unknown.start(Some(0.01)).value(), 0.01);
        assert_eq!(DeviceClass::Unknown.start(Some(65_536.0)).value(), 65_536.0);
        assert_eq!(DeviceClass::Unknown.start(Some(1e300)).value(), 1e6);
        for nothing in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0] {
            for kind in [DeviceClass::Nerd, DeviceClass::Asic, DeviceClass::Processor, DeviceClass::Unknown] {
                assert_eq!(kind.start(Some(nothing)), kind.start(None), "{nothing}");
                assert_eq!(kind.floor(Some(nothing)), kind.floor(None), "{nothing}");
            }
        }
    }

    #[test]
    fn no_start_is_below_the_floor() {
        for kind in [DeviceClass::Nerd, DeviceClass::Asic, DeviceClass::Processor, DeviceClass::Unknown] {
            for suggested in [None, Some(1e-300), Some(1e-5), Some(0.3), Some(1.0), Some(512.0), Some(1e300)]
            {
                assert!(kind.start(suggested).value() >= kind.floor(suggested), "{kind:?} {suggested:?}");
            }
        }
    }

    #[test]
    fn only_an_unknown_weak_miner_falls_below_one_later() {
        let long = Duration::from_secs(700);
        assert_eq!(DeviceClass::Unknown.floor(None), 1.0);
        assert_eq!(DeviceClass::Unknown.floor(Some(0.0001)), 1e-6);
        assert_eq!(DeviceClass::Unknown.lower_floor(long, 2.0), Some(1e-6));
        assert_eq!(DeviceClass::Unknown.lower_floor(Duration::from_secs(500), 0.0), None);
        assert_eq!(DeviceClass::Unknown.lower_floor(long, 5000.0), None);
        assert_eq!(DeviceClass::Asic.lower_floor(long, 0.0), None);
    }
}
