//! `[report]`: the periodic report on the console.

use std::time::Duration;

use toml::de::DeValue;

use super::duration;
use super::reader::Section;
use super::redaction::Redaction;

/// `[report]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportConfig {
    /// Default: auto.
    pub console: ConsoleReport,
}

/// `report.console`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleReport {
    /// Every 30 s on a terminal, else every 5 minutes.
    Auto,
    /// 1 s to 1 d.
    Every(Duration),
    Off,
}

impl Default for ReportConfig {
    fn default() -> ReportConfig {
        ReportConfig { console: ConsoleReport::Auto }
    }
}

pub(super) fn read(mut section: Section) -> ReportConfig {
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    let console = match section.any("console") {
        None => ConsoleReport::Auto,
        // A bare number is seconds, as in the proxy that Sluice succeeds.
        Some(DeValue::Integer(_)) => {
            ConsoleReport::Every(second * section.size("console", 30, 1..=86_400) as u32)
        }
        Some(_) => {
            let parsed = section.parsed("console", Redaction::Value, |text| match text {
                "auto" => Ok(ConsoleReport::Auto),
                "off" => Ok(ConsoleReport::Off),
                time => duration::parse(time)
                    .filter(|time| (second..=day).contains(time))
                    .map(ConsoleReport::Every)
                    .ok_or_else(|| {
                        String::from("\"auto\", \"off\", or a time such as \"30s\" from \"1s\" to \"1d\"")
                    }),
            });
            parsed.unwrap_or(ConsoleReport::Auto)
        }
    };
    section.finish();
    ReportConfig { console }
}
