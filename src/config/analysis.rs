//! `[analysis]`: the analyzer of forwarded traffic.

use std::time::Duration;

use super::duration::{HOUR, SECOND};
use super::reader::Section;

/// `[analysis]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisConfig {
    /// Default: true.
    pub enabled: bool,
    /// Caps the copies of messages queued for the analyzer; 16 to 1048576, default 16384.
    pub queue: usize,
    /// Time after which a share without an answer counts as unanswered; 1 s to 1 h, default 60 s.
    pub share_timeout: Duration,
    /// Fraction of the network's difficulty from which a share is a near miss; 0 to 1, default 0.01.
    pub near_miss: f64,
}

impl Default for AnalysisConfig {
    fn default() -> AnalysisConfig {
        AnalysisConfig {
            enabled: true,
            queue: 16_384,
            share_timeout: Duration::from_secs(60),
            near_miss: 0.01,
        }
    }
}

pub(super) fn read(mut section: Section) -> AnalysisConfig {
    let mut analysis = AnalysisConfig::default();
    section.bool("enabled", &mut analysis.enabled);
    section.size("queue", &mut analysis.queue, 16..=1 << 20);
    section.duration("share_timeout", &mut analysis.share_timeout, SECOND..=HOUR);
    section.number("near_miss", &mut analysis.near_miss, 0.0..=1.0);
    analysis
}
