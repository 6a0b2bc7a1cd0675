//! The error for everything that keeps a mode from starting.

use std::fmt;
use std::io;

use crate::net::tls::TlsError;
use crate::upstream::SetupError;
use crate::util::os_error::describe;

/// The reason that a mode could not start.
#[derive(Debug)]
pub enum StartError {
    Listen(io::Error),
    Tls(Box<TlsError>),
    Upstream(SetupError),
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen(why) => f.write_str(&describe(why)),
            StartError::Tls(why) => write!(f, "listen.tls: {why}"),
            StartError::Upstream(why) => write!(f, "{why}"),
            StartError::Thread(why) => write!(f, "can't start a thread: {}", describe(why)),
        }
    }
}

impl std::error::Error for StartError {}
