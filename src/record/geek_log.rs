//! A line of `geek.log`.

use crate::clock::NtpTime;
use crate::util::escape::line_text;

/// Caps the characters of one line: enough for a job with its coinbase in hex.
const MAX_LINE: usize = 16 * 1024;

/// The topic of a line of `geek.log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeekTopic {
    /// A decoded job.
    Job,
    /// A rebuilt share.
    Share,
    /// The search space.
    Extranonce,
    /// The times of a message.
    Timing,
}

/// Formats a line: `[2026-11-21T02:13:40.123Z] SHARE: text`.
pub(super) fn geek_line(at: NtpTime, topic: GeekTopic, text: &str) -> String {
    let topic = match topic {
        GeekTopic::Job => "JOB",
        GeekTopic::Share => "SHARE",
        GeekTopic::Extranonce => "EXTRANONCE",
        GeekTopic::Timing => "TIMING",
    };
    format!("[{at}] {topic}: {}\n", line_text(text, MAX_LINE))
}
