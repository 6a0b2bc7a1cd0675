//! `[payout]`, `[chain]` and `[rules]`: the thresholds of the analyzer.

use std::fmt;
use std::time::Duration;

use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;

use super::did_you_mean;
use super::duration::{DAY, MINUTE, SECOND};
use super::network::{self, Network};
use super::reader::Section;
use super::redaction::Redaction;

/// `[payout]`: the recipient of a block's reward.
#[derive(Debug, Clone, PartialEq)]
pub struct PayoutPolicy {
    /// The address that must be paid, with a valid checksum. Default: the worker's name, if that is an
    /// address.
    pub address: Option<Address<NetworkUnchecked>>,
    /// Default: solo.
    pub kind: PayoutKind,
    /// Percentage of the block's reward below which an alert is raised; 0 to 100, default 95.
    pub min_percent: f64,
    /// Default: alert.
    pub on_mismatch: OnViolation,
}

/// `payout.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayoutKind {
    /// The block pays the miner itself.
    #[default]
    Solo,
    /// The block pays the pool, which distributes the reward: nothing to verify.
    Pooled,
}

/// The action after a violation that costs money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnViolation {
    #[default]
    Alert,
    /// Close the sessions on that upstream and take it out of rotation.
    Block,
}

/// `[chain]`: the chain that the work must belong to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChainPolicy {
    /// Default: alert.
    pub on_wrong: OnViolation,
}

/// `[rules]`: thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct RulesConfig {
    /// Largest difference of a job's time from NTP time; 1 s to 30 d, default 7200 s, the consensus
    /// rule.
    pub max_drift: Duration,
    /// Age at which a job is stale; 1 s to 1 d, default 300 s.
    pub stale_job: Duration,
    /// Shortest time between two shares; 1 ms to 1 min. `None`, the default, selects the windowed Poisson
    /// test.
    pub rapid_share: Option<Duration>,
    /// Fewest bytes of extranonce2; 1 to 16. `None`, the default, selects the time until the search space
    /// is exhausted.
    pub min_extranonce2_size: Option<usize>,
    /// Time without a connection after which a known worker is missed; 1 s to 6 d, default 5 min. `None`, as
    /// `"0s"` sets it: never.
    pub miner_gone_after: Option<Duration>,
    pub off: Vec<RuleId>,
}

/// The stable id of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(&'static str);

impl RuleId {
    /// Every rule there is.
    pub const ALL: [RuleId; 48] = [
        RuleId("payout.mismatch"),
        RuleId("payout.short"),
        RuleId("payout.changed"),
        RuleId("payout.unverifiable"),
        RuleId("payout.address_typo"),
        RuleId("job.unreadable"),
        RuleId("chain.wrong"),
        RuleId("chain.bad_prevhash"),
        RuleId("chain.height"),
        RuleId("chain.stuck"),
        RuleId("chain.behind"),
        RuleId("chain.empty_job"),
        RuleId("timing.extreme"),
        RuleId("timing.future_job"),
        RuleId("timing.old_job"),
        RuleId("timing.share_ntime"),
        RuleId("timing.local_clock"),
        RuleId("timing.notify_gap"),
        RuleId("extranonce.changed"),
        RuleId("extranonce.duplicate"),
        RuleId("extranonce.small"),
        RuleId("difficulty.mismatch"),
        RuleId("difficulty.erratic"),
        RuleId("share.valid_rejected"),
        RuleId("share.unanswered"),
        RuleId("share.duplicate"),
        RuleId("share.stale"),
        RuleId("share.rapid"),
        RuleId("share.silent"),
        RuleId("share.reject_rate"),
        RuleId("pool.redirect"),
        RuleId("pool.silent"),
        RuleId("pool.no_work"),
        RuleId("pool.unreachable"),
        RuleId("pool.failed_over"),
        RuleId("pool.stats_mismatch"),
        RuleId("pool.refused"),
        RuleId("miner.gone"),
        RuleId("device.loses_work"),
        RuleId("device.stalled"),
        RuleId("device.hot"),
        RuleId("device.restarted"),
        RuleId("device.elsewhere"),
        RuleId("internal.restarted"),
        RuleId("record.failing"),
        RuleId("block.found"),
        RuleId("share.near_miss"),
        RuleId("share.best"),
    ];

    /// The rule with this id, if there is one.
    pub fn parse(text: &str) -> Option<RuleId> {
        RuleId::ALL.into_iter().find(|id| id.0 == text)
    }

    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Default for PayoutPolicy {
    fn default() -> PayoutPolicy {
        let (kind, on_mismatch) = (PayoutKind::Solo, OnViolation::Alert);
        PayoutPolicy { address: None, kind, min_percent: 95.0, on_mismatch }
    }
}

impl Default for RulesConfig {
    fn default() -> RulesConfig {
        RulesConfig {
            max_drift: Duration::from_secs(7200),
            stale_job: Duration::from_secs(300),
            rapid_share: None,
            min_extranonce2_size: None,
            miner_gone_after: Some(5 * MINUTE),
            off: Vec::new(),
        }
    }
}

const ON_VIOLATION: [(&str, OnViolation); 2] = [("alert", OnViolation::Alert), ("block", OnViolation::Block)];

/// Reads the section. `from_flag` is the address of `--address`; `mainnet_pool` is a configured pool
/// that is known to mine mainnet.
pub(super) fn read_payout(
    mut section: Section,
    network: Network,
    from_flag: Option<Address<NetworkUnchecked>>,
    mainnet_pool: Option<&str>,
) -> PayoutPolicy {
    let mut payout = PayoutPolicy::default();
    let kinds = [("solo", PayoutKind::Solo), ("pooled", PayoutKind::Pooled)];
    let address = section.parsed("address", Redaction::Value, |text| network.address(text));
    let in_use = address.as_ref().filter(|_| from_flag.is_none());
    if let Some(reason) = in_use.and_then(|address| network::wrong_network(address, mainnet_pool)) {
        section.conflict("address", reason);
    }
    payout.address = from_flag.or(address);
    payout.kind = section.choice("kind", &kinds).unwrap_or_default();
    section.number("min_percent", &mut payout.min_percent, 0.0..=100.0);
    payout.on_mismatch = section.choice("on_mismatch", &ON_VIOLATION).unwrap_or_default();
    payout
}

pub(super) fn read_chain(mut section: Section) -> ChainPolicy {
    ChainPolicy { on_wrong: section.choice("on_wrong", &ON_VIOLATION).unwrap_or_default() }
}

pub(super) fn read_rules(mut section: Section) -> RulesConfig {
    let mut rules = RulesConfig::default();
    section.duration("max_drift", &mut rules.max_drift, SECOND..=30 * DAY);
    section.duration("stale_job", &mut rules.stale_job, SECOND..=DAY);
    let (mut rapid_share, mut min_extranonce2_size) = (Duration::from_millis(5), 4);
    section.duration("rapid_share", &mut rapid_share, Duration::from_millis(1)..=MINUTE);
    section.size("min_extranonce2_size", &mut min_extranonce2_size, 1..=16);
    rules.rapid_share = section.is_set("rapid_share").then_some(rapid_share);
    rules.min_extranonce2_size = section.is_set("min_extranonce2_size").then_some(min_extranonce2_size);
    section.duration_or_never("miner_gone_after", &mut rules.miner_gone_after, SECOND..=6 * DAY);
    rules.off = section.list("off", Redaction::Value, "[\"share.rapid\"]", rule_id).unwrap_or_default();
    rules
}

fn rule_id(text: &str) -> Result<RuleId, String> {
    RuleId::parse(text).ok_or_else(|| match did_you_mean::nearest(text, RuleId::ALL.map(RuleId::as_str)) {
        Some(nearest) => format!("the id of a rule; did you mean {nearest:?}?"),
        None => String::from("the id of a rule, such as \"share.rapid\" (all are in docs/configuration.md)"),
    })
}
