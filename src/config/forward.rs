//! `[forward]`: how bytes are forwarded.

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

pub(super) fn read(mut section: Section) -> ForwardConfig {
    let mut forward = ForwardConfig::default();
    let words = [("copy", ForwardPath::Copy), ("splice", ForwardPath::Splice)];
    forward.path = section.choice("path", &words).unwrap_or(forward.path);
    section.size("buffer", &mut forward.buffer, 1024..=1 << 20);
    forward
}
