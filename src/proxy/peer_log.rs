//! Log lines about peers. A NerdMiner that is refused reconnects several times a second, a scanner more
//! often. Of each topic a peer gets one line in ten seconds; further ones are counted.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Instant;

use log::Level;

use super::ListenerContext;
use crate::limits::SuppressedLines;
use crate::util::format::{count_of, seconds};

/// The topic of a line. Lines are limited for each topic on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogTopic {
    /// A session began.
    Began,
    /// A session ended.
    Ended,
    /// The connection was refused: the allow list, a ban, a cap.
    Refused,
    /// A ban begins.
    Banned,
    /// TLS, HTTP, a PROXY header or Stratum V2 where they don't belong.
    TlsOnPlainPort,
    Http,
    ProxyHeader,
    StratumV2,
    /// The PROXY header or TLS handshake failed.
    Handshake,
    /// There is no pool, or it fell silent.
    Pool,
    /// The miner sent nothing for too long.
    Idle,
    NoThread,
}

impl LogTopic {
    fn level(self) -> Level {
        match self {
            LogTopic::Began | LogTopic::Ended => Level::Info,
            _ => Level::Warn,
        }
    }

    /// Caps the lines in ten seconds about all peers together. During an outage of the pools each miner is closed again
    /// and again, and no line says more than the first.
    fn max_lines(self) -> u32 {
        if self == LogTopic::Pool { 2 } else { 10 }
    }

    /// The number of further lines of this topic, in words.
    fn describe(self, more: u64) -> String {
        let (one, many) = match self {
            LogTopic::Began => ("more session began", "more sessions began"),
            LogTopic::Ended => ("more session ended", "more sessions ended"),
            LogTopic::Refused => ("more connection was refused", "more connections were refused"),
            LogTopic::Banned => ("more address was banned", "more addresses were banned"),
            LogTopic::Pool => (
                "more connection was closed for want of a pool",
                "more connections were closed for want of a pool",
            ),
            LogTopic::Idle => (
                "more miner was closed because it was silent",
                "more miners were closed because they were silent",
            ),
            LogTopic::NoThread => ("more miner could not be served", "more miners could not be served"),
            LogTopic::TlsOnPlainPort
            | LogTopic::Http
            | LogTopic::ProxyHeader
            | LogTopic::StratumV2
            | LogTopic::Handshake => {
                ("more connection did not speak Stratum", "more connections did not speak Stratum")
            }
        };
        count_of(more, one, many)
    }
}

impl ListenerContext {
    /// Logs how many lines were left out because there were too many about all peers together. Called every second or
    /// so.
    pub fn log_left_out(&self) {
        for SuppressedLines { topic, count, within } in self.log_limiter.take_suppressed(Instant::now()) {
            log::log!(topic.level(), "{} within {}", topic.describe(count), seconds(within));
        }
    }

    /// Logs one line about a peer, unless it has had one of this topic in the last seconds.
    pub fn log_peer(&self, peer: SocketAddr, topic: LogTopic, text: &dyn Display) {
        match self.log_limiter.allow(peer.ip().into(), topic, topic.max_lines(), Instant::now()) {
            None => {}
            Some(0) => log::log!(topic.level(), "{peer}: {text}"),
            Some(more) => log::log!(topic.level(), "{peer}: {text} ({more} more like this not logged)"),
        }
    }
}
