//! Verdict on a job's payout: would a block pay the miner (wire reference, sections 4.5 and 4.6)?

use std::fmt;
use std::sync::Arc;

use super::WorkDoubt;
use super::subsidy;
use crate::config::{Network, PayoutKind, PayoutPolicy};
use crate::stratum::Ntime;
use crate::work::{AddressChain, Coinbase, PayoutScript, Sats, account_of_worker, payout_script};

/// An address that a block should pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutAddress {
    pub address: String,
    pub(super) script: PayoutScript,
    /// The chains that the address belongs to.
    pub(super) chains: Vec<AddressChain>,
}

/// The verdict on a job's payout, by its coinbase.
#[derive(Debug, Clone, PartialEq)]
pub struct PayoutVerdict {
    pub state: PayoutState,
    /// The address that should be paid. Of several, the one that gets the most.
    pub expected: Option<Arc<PayoutAddress>>,
    /// The share of that address, in percent of [`PayoutVerdict::reward`].
    pub percent: f64,
    /// The sum of all outputs.
    pub total: Sats,
    /// The total, or the subsidy of this height if that is more.
    pub reward: Sats,
}

/// The state of a payout verdict, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PayoutState {
    /// The address gets at least `payout.min_percent`.
    Verified,
    Unverifiable(Unverifiable),
    /// The address gets something, but less than `payout.min_percent`.
    Short,
    /// The address gets nothing.
    Mismatch,
}

/// The reason why a payout cannot be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unverifiable {
    /// `payout.kind = "pooled"`: the pool pays later, by its own accounting.
    Pooled,
    /// The miner had not given its name when the job came.
    NoWorker,
    /// The worker's name contains no address, and `payout.address` is not set.
    NoAddress,
    /// The coinbase can't be decoded.
    Unreadable,
    /// The verdict may not hold for the miners' current work.
    Doubt(WorkDoubt),
}

/// The part of the reward that a job throws away. A block that claims less than it may create is valid, and nobody
/// gets the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waste {
    pub lost: Sats,
    pub reward: Sats,
}

impl PayoutAddress {
    /// Parses an address.
    pub fn of_address(address: &str) -> Option<PayoutAddress> {
        let (script, chains) = payout_script(address).ok()?;
        Some(PayoutAddress { address: address.trim().to_owned(), script, chains })
    }

    /// Parses the address in a worker's name.
    pub fn of_worker(worker: &str) -> Option<PayoutAddress> {
        PayoutAddress::of_address(account_of_worker(worker))
    }

    /// Returns whether an output's script pays this address.
    pub fn is_paid_by(&self, script: &[u8]) -> bool {
        self.script.as_bytes() == script
    }
}

impl PayoutVerdict {
    /// The part of the reward that the job throws away. `None` if it is less than a thousandth.
    pub fn waste(&self) -> Option<Waste> {
        let lost = self.reward.0.saturating_sub(self.total.0);
        (lost > self.reward.0 / 1000).then_some(Waste { lost: Sats(lost), reward: self.reward })
    }

    /// Excuses a bad verdict, because the pool could not know yet whom to pay. Returns the bad verdict that this
    /// hides.
    pub(in super::super) fn excuse(&mut self) -> Option<PayoutVerdict> {
        if !matches!(self.state, PayoutState::Short | PayoutState::Mismatch) {
            return None;
        }
        let excused = unverifiable(Unverifiable::NoWorker, (self.total, self.reward));
        Some(std::mem::replace(self, excused))
    }

    /// Puts the verdict in doubt. A bad verdict stays bad: doubt never makes it better.
    pub(in super::super) fn doubt(&mut self, why: WorkDoubt) {
        if self.state != self.state.doubted(why) {
            *self = PayoutVerdict::doubtful(why);
        }
    }

    /// The verdict on a job that could not be read.
    pub(in super::super) fn doubtful(why: WorkDoubt) -> PayoutVerdict {
        unverifiable(Unverifiable::Doubt(why), (Sats(0), Sats(0)))
    }
}

impl PayoutState {
    /// The state when it is in doubt whether it still holds.
    pub(in super::super) fn doubted(self, why: WorkDoubt) -> PayoutState {
        match self {
            PayoutState::Verified | PayoutState::Unverifiable(_) => {
                PayoutState::Unverifiable(Unverifiable::Doubt(why))
            }
            PayoutState::Short | PayoutState::Mismatch => self,
        }
    }

    /// A stable word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            PayoutState::Verified => "verified",
            PayoutState::Unverifiable(_) => "unverifiable",
            PayoutState::Short => "short",
            PayoutState::Mismatch => "mismatch",
        }
    }
}

impl fmt::Display for Waste {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Waste { lost, reward } = self;
        write!(f, "the job throws away {lost} of the {reward} that a block of its height creates")
    }
}

impl fmt::Display for Unverifiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unverifiable::Doubt(doubt) => return doubt.fmt(f),
            Unverifiable::Pooled => "the pool pays by its own accounting (payout.kind = \"pooled\")",
            Unverifiable::NoWorker => "the job came before the miner gave its name",
            Unverifiable::NoAddress => {
                "the worker's name contains no Bitcoin address; set payout.address to yours"
            }
            Unverifiable::Unreadable => "the job's coinbase cannot be decoded",
        })
    }
}

/// Caps what a coinbase can create: all coins there will ever be (21 million BTC), as nodes check it.
const MAX_MONEY: Sats = Sats(2_100_000_000_000_000);

/// Judges a job with this coinbase and ntime; `network` is the configured one.
pub(super) fn judge(
    payout: &PayoutPolicy,
    network: Network,
    (coinbase, ntime): (Option<&Coinbase>, Ntime),
    expected: Option<&[Arc<PayoutAddress>]>,
) -> PayoutVerdict {
    // A coinbase that creates more than all coins makes no valid block.
    let Some(coinbase) = coinbase.filter(|coinbase| coinbase.total() <= MAX_MONEY) else {
        return unverifiable(Unverifiable::Unreadable, (Sats(0), Sats(0)));
    };
    let total = coinbase.total();
    let best =
        expected.unwrap_or_default().iter().map(|address| (coinbase.percent_to(&address.script), address));
    let best = best.max_by(|a, b| a.0.total_cmp(&b.0));
    let chains = best.map_or(&[][..], |(_, address)| &address.chains);
    let subsidy = subsidy::minimum(network, chains, coinbase.height().ok(), ntime);
    let reward = subsidy.map_or(total, |subsidy| total.max(subsidy));
    let best = best.map(|(percent, address)| (percent * (total.0 as f64 / reward.0.max(1) as f64), address));
    let amounts = (total, reward);
    let (percent, address) = match (payout.kind, expected, best) {
        (PayoutKind::Pooled, _, Some((percent, address))) if percent >= payout.min_percent => {
            (percent, address)
        }
        (PayoutKind::Pooled, _, _) => return unverifiable(Unverifiable::Pooled, amounts),
        (PayoutKind::Solo, None, _) => return unverifiable(Unverifiable::NoWorker, amounts),
        (PayoutKind::Solo, Some(_), None) => return unverifiable(Unverifiable::NoAddress, amounts),
        (PayoutKind::Solo, Some(_), Some((percent, address))) => (percent, address),
    };
    let state = if percent >= payout.min_percent && percent > 0.0 {
        PayoutState::Verified
    } else if percent > 0.0 {
        PayoutState::Short
    } else {
        PayoutState::Mismatch
    };
    PayoutVerdict { state, expected: Some(address.clone()), percent, total, reward }
}

fn unverifiable(why: Unverifiable, (total, reward): (Sats, Sats)) -> PayoutVerdict {
    PayoutVerdict { state: PayoutState::Unverifiable(why), expected: None, percent: 0.0, total, reward }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::decode_hex;

    /// A percent of the subsidy at the height 967,017.
    const PERCENT: u64 = 3_125_000;
    const NTIME: Ntime = Ntime(1_790_000_000);

    const MINE: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    const OTHER: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

    /// A coinbase that pays each address this many percent.
    fn coinbase(outputs: &[(&str, u64)]) -> Coinbase {
        let mut bytes = decode_hex("start", &format!("0100000001{}ffffffff", "00".repeat(32))).unwrap();
        bytes.extend([4, 3, 0x69, 0xc1, 0x0e]);
        bytes.extend([0xff; 4]);
        bytes.push(outputs.len() as u8);
        for (address, value) in outputs {
            let (script, _) = payout_script(address).unwrap();
            bytes.extend((value * PERCENT).to_le_bytes());
            bytes.push(script.as_bytes().len() as u8);
            bytes.extend(script.as_bytes());
        }
        bytes.extend([0; 4]);
        Coinbase::decode(bytes).unwrap()
    }

    fn expected(worker: &str) -> Vec<Arc<PayoutAddress>> {
        PayoutAddress::of_worker(worker).map(Arc::new).into_iter().collect()
    }

    fn state(payout: &PayoutPolicy, outputs: &[(&str, u64)], worker: &str) -> (&'static str, f64) {
        let expected = expected(worker);
        let verdict = judge(payout, Network::Auto, (Some(&coinbase(outputs)), NTIME), Some(&expected));
        (verdict.state.as_str(), verdict.percent)
    }

    #[test]
    fn a_block_pays_the_miner_or_it_does_not() {
        let payout = PayoutPolicy::default();
        let worker = format!("{MINE}.garage");
        assert_eq!(state(&payout, &[(MINE, 98), (OTHER, 2)], &worker), ("verified", 98.0));
        assert_eq!(state(&payout, &[(OTHER, 98), (MINE, 2)], &worker), ("short", 2.0));
        assert_eq!(state(&payout, &[(OTHER, 100)], &worker), ("mismatch", 0.0));
        assert_eq!(state(&payout, &[(OTHER, 100)], "my_farm.rig"), ("unverifiable", 0.0));
        // More than all coins: no such block is valid.
        assert_eq!(state(&payout, &[(MINE, 1_000_000_000), (OTHER, 1)], &worker).0, "unverifiable");
        // Two outputs to one address add up.
        assert_eq!(state(&payout, &[(MINE, 48), (OTHER, 4), (MINE, 48)], &worker), ("verified", 96.0));
    }

    #[test]
    fn a_pooled_payout_is_not_verified_unless_the_block_pays() {
        let payout = PayoutPolicy { kind: PayoutKind::Pooled, ..PayoutPolicy::default() };
        assert_eq!(state(&payout, &[(OTHER, 100)], MINE).0, "unverifiable");
        assert_eq!(state(&payout, &[(MINE, 100)], MINE).0, "verified");
    }

    #[test]
    fn a_job_that_throws_the_reward_away_is_short() {
        let expected = expected(MINE);
        let judged = |outputs: &[(&str, u64)]| {
            let coinbase = coinbase(outputs);
            judge(&PayoutPolicy::default(), Network::Auto, (Some(&coinbase), NTIME), Some(&expected))
        };
        let verdict = judged(&[(MINE, 49), (OTHER, 1)]);
        assert_eq!((verdict.state, verdict.percent), (PayoutState::Short, 49.0));
        let waste = verdict.waste().unwrap().to_string();
        assert_eq!(
            waste,
            "the job throws away 1.56250000 BTC of the 3.12500000 BTC that a block of its height creates"
        );
        // Fees come on top.
        let verdict = judged(&[(MINE, 102)]);
        assert_eq!((verdict.state, verdict.percent, verdict.waste()), (PayoutState::Verified, 100.0, None));
    }

    #[test]
    fn a_pool_that_could_not_know_the_miner_is_excused() {
        let expected = expected(MINE);
        let of = |outputs: &[(&str, u64)]| {
            let mut verdict = judge(
                &PayoutPolicy::default(),
                Network::Auto,
                (Some(&coinbase(outputs)), NTIME),
                Some(&expected),
            );
            verdict.excuse();
            verdict.state
        };
        assert_eq!(of(&[(OTHER, 100)]), PayoutState::Unverifiable(Unverifiable::NoWorker));
        assert_eq!(of(&[(MINE, 100)]), PayoutState::Verified);
    }

    #[test]
    fn an_address_that_gets_nothing_is_a_mismatch_without_a_minimum_too() {
        // Even with a minimum of zero, an address that gets nothing is not paid.
        let payout = PayoutPolicy { min_percent: 0.0, ..PayoutPolicy::default() };
        assert_eq!(state(&payout, &[(OTHER, 100)], MINE).0, "mismatch");
        let verdict = judge(&payout, Network::Auto, (Some(&coinbase(&[(MINE, 1)])), NTIME), None);
        assert_eq!(verdict.state, PayoutState::Unverifiable(Unverifiable::NoWorker));
        let verdict = judge(&payout, Network::Auto, (None, NTIME), Some(&[]));
        assert_eq!(verdict.state, PayoutState::Unverifiable(Unverifiable::Unreadable));
    }

    #[test]
    fn the_worst_is_the_greatest() {
        let unverifiable = PayoutState::Unverifiable(Unverifiable::Unreadable);
        assert!(PayoutState::Verified < unverifiable && unverifiable < PayoutState::Short);
        assert!(PayoutState::Short < PayoutState::Mismatch);
    }
}
