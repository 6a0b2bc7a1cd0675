//! `[report]`: the periodic report on the console.

use std::time::Duration;

use toml::de::DeValue;

use super::duration::{self, DAY, SECOND};
use super::reader::Section;
use super::redaction::Redaction;
use super::specification::KeyKind;

/// `[report]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportConfig {
    /// Default: auto.
    pub console: ConsoleReport,
}

/// `report.console`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConsoleReport {
    /// Every 30 s on a terminal, else every 5 minutes.
    #[default]
    Auto,
    /// 1 s to 1 d.
    Every(Duration),
    Off,
}

pub(super) fn read(mut section: Section) -> ReportConfig {
    // A bare number is seconds, as in the proxy that Sluice succeeds.
    let kinds = [KeyKind::Text, KeyKind::Integer(1..=DAY.as_secs())];
    if let Some(DeValue::Integer(_)) = section.any("console", &kinds) {
        let mut seconds = 30;
        section.integer("console", &mut seconds, 1..=DAY.as_secs());
        return ReportConfig { console: ConsoleReport::Every(Duration::from_secs(seconds)) };
    }
    let console = section.parsed("console", Redaction::Value, |text| match text {
        "auto" => Ok(ConsoleReport::Auto),
        "off" => Ok(ConsoleReport::Off),
        time => {
            let time = duration::parse(time).filter(|time| (SECOND..=DAY).contains(time));
            let wanted = "\"auto\", \"off\", or a time such as \"30s\" from \"1s\" to \"1d\"";
            time.map(ConsoleReport::Every).ok_or(wanted.to_owned())
        }
    });
    ReportConfig { console: console.unwrap_or_default() }
}
