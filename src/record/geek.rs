//! A line of `geek.log`.

use crate::clock::NtpTime;
use crate::util::escape::line_text;

/// Characters of one line: a job with its coinbase in hex.
const MAX_LINE: usize = 16 * 1024;

/// What a line of `geek.log` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeekTopic {
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
pub(super) fn geek_line(at: NtpTime, topic: GeekTopic, text: &str) -> String {
    let topic = match topic {
        GeekTopic::Job => "JOB",
        GeekTopic::Share => "SHARE",
        GeekTopic::Extranonce => "EXTRANONCE",
        GeekTopic::Timing => "TIMING",
    };
    format!("[{at}] {topic}: {}\n", line_text(text, MAX_LINE))
}
