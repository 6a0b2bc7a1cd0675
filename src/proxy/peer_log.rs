//! Log lines about peers. A NerdMiner that is refused reconnects several times a second, a scanner more
//! often. Of each topic a peer gets one line in ten seconds; further ones are counted.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Instant;

use log::Level;

use super::ListenerContext;

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
}

impl ListenerContext {
    /// Logs one line about a peer, unless it has had one of this topic in the last seconds.
    pub fn log_peer(&self, peer: SocketAddr, topic: LogTopic, text: &dyn Display) {
        match self.log_limiter.allow(peer.ip().into(), topic, Instant::now()) {
            None => {}
            Some(0) => log::log!(topic.level(), "{peer}: {text}"),
            Some(more) => log::log!(topic.level(), "{peer}: {text} ({more} more like this not logged)"),
        }
    }
}
