//! `[aggregate]` and `[vardiff]`: one pool connection for many miners.

use std::time::Duration;

use super::duration::{HOUR, MINUTE, SECOND};
use super::reader::Section;
use super::redaction::Redaction;

/// `[aggregate]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateConfig {
    /// Template of the user name at the pool, with `{user}` and `{worker}`; default `{user}`.
    pub user: String,
    /// Time the pool connection stays open after the last miner has left; up to 1 h, default 30 s.
    pub grace: Duration,
    /// False: the pool must accept the miner's own user and password first. Default true.
    pub local_authorize: bool,
    /// True: unknown `mining.*` notifications of the pool are not forwarded. Default false.
    pub strict_broadcast: bool,
}

/// `[vardiff]`: the difficulty of each miner.
#[derive(Debug, Clone, PartialEq)]
pub struct VardiffConfig {
    /// Default: true.
    pub enabled: bool,
    /// Target time between two shares of a miner; 1 s to 10 min, default 15 s.
    pub target: Duration,
    /// 1e-6 to 1e15, default 1e-6.
    pub min: f64,
    /// `min` to 1e15, default 1e12.
    pub max: f64,
}

impl Default for AggregateConfig {
    fn default() -> AggregateConfig {
        AggregateConfig {
            user: String::from("{user}"),
            grace: Duration::from_secs(30),
            local_authorize: true,
            strict_broadcast: false,
        }
    }
}

impl Default for VardiffConfig {
    fn default() -> VardiffConfig {
        VardiffConfig { enabled: true, target: Duration::from_secs(15), min: 0.000_001, max: 1e12 }
    }
}

pub(super) fn read(mut section: Section) -> AggregateConfig {
    let mut aggregate = AggregateConfig::default();
    aggregate.user = section.parsed("user", Redaction::Value, user_template).unwrap_or(aggregate.user);
    section.duration("grace", &mut aggregate.grace, Duration::ZERO..=HOUR);
    section.bool("local_authorize", &mut aggregate.local_authorize);
    section.bool("strict_broadcast", &mut aggregate.strict_broadcast);
    aggregate
}

pub(super) fn read_vardiff(mut section: Section) -> VardiffConfig {
    let mut vardiff = VardiffConfig::default();
    section.bool("enabled", &mut vardiff.enabled);
    section.duration("target", &mut vardiff.target, SECOND..=10 * MINUTE);
    section.number("min", &mut vardiff.min, 0.000_001..=1e15);
    section.number("max", &mut vardiff.max, 0.000_001..=1e15);
    if vardiff.min > vardiff.max {
        let key = if section.is_set("min") { "min" } else { "max" };
        section.conflict(key, "is out of range: min must not be greater than max");
    }
    vardiff
}

/// A text whose only placeholders are `{user}` and `{worker}`.
pub(super) fn user_template(text: &str) -> Result<String, String> {
    let rest = text.replace("{user}", "").replace("{worker}", "");
    if text.is_empty() || rest.contains(['{', '}']) {
        return Err(String::from("a text with no other placeholders than {user} and {worker}"));
    }
    Ok(text.to_owned())
}
