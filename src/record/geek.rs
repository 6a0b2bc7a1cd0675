//! A line of `geek.log`.

use crate::clock::NtpTime;
use crate::util::escape::line_text;

/// Characters of one line: a job with its coinbase in hex.
const MAX_LINE: usize = 16 * 1024;

/// What a line of `geek.log` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A job, decoded.
    Job,
    /// A share, rebuilt.
    Share,
    /// Search space.
    Extranonce,
    /// A message's times.
    Timing,
}

/// `[2026-11-21T02:13:40.123Z] SHARE: text`
pub(super) fn geek_line(at: NtpTime, topic: Topic, text: &str) -> String {
    let topic = match topic {
        Topic::Job => "JOB",
        Topic::Share => "SHARE",
        Topic::Extranonce => "EXTRANONCE",
        Topic::Timing => "TIMING",
    };
    format!("[{at}] {topic}: {}\n", line_text(text, MAX_LINE))
}
