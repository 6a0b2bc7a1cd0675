//! How the program ends: the one place that knows exit codes.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use super::preflight::EnvironmentError;
use crate::config::ConfigError;
use crate::util::logging;

/// The machine is in the way.
pub const ENVIRONMENT: u8 = 1;

/// The configuration is wrong; the same code that a wrong command line ends with.
pub const CONFIGURATION: u8 = 2;

/// Why a command ended without having done its work.
#[derive(Debug)]
pub enum CommandFailure {
    Config(ConfigError),
    /// Everything that is missing; never empty.
    Environment(Vec<EnvironmentError>),
    /// As `Environment`, for what only shows while running, such as a port in use.
    Runtime(Box<dyn std::error::Error + Send + Sync>),
}

/// The exit code of a command: its own, or that of its failure. A failure is said on stderr, one line for each thing that is
/// wrong.
pub fn code(result: Result<ExitCode, CommandFailure>) -> ExitCode {
    logging::flush();
    let failure = match result {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    // Nobody may be there to read it; the code still tells.
    let _ = writeln!(io::stderr(), "sluice: {failure}");
    ExitCode::from(match failure {
        CommandFailure::Config(_) => CONFIGURATION,
        CommandFailure::Environment(_) | CommandFailure::Runtime(_) => ENVIRONMENT,
    })
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandFailure::Config(reason) => reason.fmt(f),
            CommandFailure::Environment(missing) => {
                for (i, reason) in missing.iter().enumerate() {
                    write!(f, "{}{reason}", if i == 0 { "" } else { "\n" })?;
                }
                Ok(())
            }
            CommandFailure::Runtime(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for CommandFailure {}

impl From<ConfigError> for CommandFailure {
    fn from(reason: ConfigError) -> CommandFailure {
        CommandFailure::Config(reason)
    }
}

impl From<Vec<EnvironmentError>> for CommandFailure {
    fn from(missing: Vec<EnvironmentError>) -> CommandFailure {
        CommandFailure::Environment(missing)
    }
}
