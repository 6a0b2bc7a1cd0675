//! Exit codes: the one place that knows them.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use log::Level;

use crate::app::AppError;
use crate::config::ConfigError;
use crate::util::{journal, logging};

/// A fault of the machine, such as a port in use.
const ENVIRONMENT: u8 = 1;

/// A wrong configuration; clap uses the same code for a wrong command line.
const CONFIGURATION: u8 = 2;

/// Why a command failed.
#[derive(Debug)]
pub enum CommandFailure {
    Config(ConfigError),
    /// Faults of a configuration as another part of the system sees it, one in a line: the service manager has opened
    /// other sockets, or the running Sluice does not take the new file.
    ConfigFaults(Vec<String>),
    /// A fault of the machine, or several, one in a line.
    Environment(AppError),
}

/// The exit code of a command: its own, or that of its failure. Prints a failure on stderr, one line for each fault.
pub fn code(result: Result<ExitCode, CommandFailure>) -> ExitCode {
    logging::flush();
    let failure = match result {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    // stderr may be closed; the code still shows the failure.
    let text = journal::marked(Level::Error, &format!("sluice: {failure}\n"));
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(match failure {
        CommandFailure::Config(reason) if reason.is_fault_of_machine() => ENVIRONMENT,
        CommandFailure::Config(_) | CommandFailure::ConfigFaults(_) => CONFIGURATION,
        CommandFailure::Environment(_) => ENVIRONMENT,
    })
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandFailure::Config(reason) => reason.fmt(f),
            CommandFailure::ConfigFaults(faults) => f.write_str(&faults.join("\n")),
            CommandFailure::Environment(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for CommandFailure {}

impl From<ConfigError> for CommandFailure {
    fn from(reason: ConfigError) -> CommandFailure {
        CommandFailure::Config(reason)
    }
}

impl From<Vec<String>> for CommandFailure {
    fn from(faults: Vec<String>) -> CommandFailure {
        CommandFailure::Environment(faults.join("\n").into())
    }
}

impl From<io::Error> for CommandFailure {
    fn from(reason: io::Error) -> CommandFailure {
        CommandFailure::Environment(reason.into())
    }
}

impl From<AppError> for CommandFailure {
    fn from(reason: AppError) -> CommandFailure {
        CommandFailure::Environment(reason)
    }
}
