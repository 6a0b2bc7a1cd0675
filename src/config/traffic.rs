//! `[forward]` and `[analysis]`: how bytes are forwarded, and what is done with their copies.

use std::time::Duration;

use super::duration::{HOUR, SECOND};
use super::reader::Section;

/// `[forward]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardConfig {
    /// Default: copy.
    pub path: ForwardPath,
    /// Size of each thread's buffer in bytes; 1024 to 1 MiB, default 16384.
    pub buffer: usize,
}

/// `forward.path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardPath {
    /// `read`, `write`, then the copy for the analyzer.
    Copy,
    /// `splice` through a pipe, with `tee` for the analyzer's copy.
    Splice,
}

impl Default for ForwardConfig {
    fn default() -> ForwardConfig {
        ForwardConfig { path: ForwardPath::Copy, buffer: 16_384 }
    }
}

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

pub(super) fn read_forward(mut section: Section) -> ForwardConfig {
    let mut forward = ForwardConfig::default();
    let words = [("copy", ForwardPath::Copy), ("splice", ForwardPath::Splice)];
    forward.path = section.choice("path", &words).unwrap_or(forward.path);
    section.size("buffer", &mut forward.buffer, 1024..=1 << 20);
    forward
}

pub(super) fn read_analysis(mut section: Section) -> AnalysisConfig {
    let mut analysis = AnalysisConfig::default();
    section.bool("enabled", &mut analysis.enabled);
    section.size("queue", &mut analysis.queue, 16..=1 << 20);
    section.duration("share_timeout", &mut analysis.share_timeout, SECOND..=HOUR);
    section.number("near_miss", &mut analysis.near_miss, 0.0..=1.0);
    analysis
}
