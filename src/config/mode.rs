//! `mode`: what is done with the miners' connections.

use std::fmt;

/// How miners reach the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Each by a connection of its own; bytes are forwarded untouched.
    #[default]
    Passthrough,
    /// Many by one connection; shares are judged here first.
    Aggregate,
}

impl Mode {
    /// As it stands in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Passthrough => "passthrough",
            Mode::Aggregate => "aggregate",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
