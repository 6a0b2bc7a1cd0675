//! The command line. Each subcommand has a file: `run`, `init`, `check`, `config`, `demo`, `verify`, `report`; `reload` has
//! `reload_result`. `preflight` checks what `run` and `check` need of the machine; `exit` maps failures to exit codes;
//! `service_status` reports to the service manager.

mod check;
mod config;
mod data_dir_lock;
mod demo;
pub mod exit;
mod init;
mod preflight;
mod reload;
mod reload_result;
mod report;
mod run;
mod service_status;
mod signals;
mod verify;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};

pub use exit::CommandFailure;

use crate::config::{Config, ConfigError, Environment, Overrides, find_file};
use crate::net::inherited::InheritedSockets;
use crate::util::escape::printable;
use crate::util::format::count;
use crate::util::logging;
use crate::util::stop::Stop;

const EXAMPLES: &str = "\
Examples:
  sluice init
      Ask three questions and write a configuration.
  sluice run --pool stratum+tcp://solo.ckpool.org:3333
      Forward to one pool; miners connect to this machine's port 3334.
  sluice run --pool stratum+tcp://solo.ckpool.org:3333 --pool stratum+ssl://pool.example:443
      The same, with a second pool in case the first is down.
  sluice check --config /etc/sluice/config.toml
      Explain a configuration, report its errors and end; with --online, try the pools, too.
  sluice verify stratum+tcp://solo.ckpool.org:3333 --address bc1q…
      Be a miner for a minute: would a block pay this address, and is it Bitcoin?
  sluice report data/
      What the records of this data directory show, and what to do.
  sluice demo
      Try it without a pool or miners: all of them simulated, on this machine alone.

Exit codes: 0 success; 1 a fault of the machine (a port in use, an unreadable certificate, an
unwritable data directory); 2 a wrong configuration or command line. `sluice verify` has its own
codes: 0 good, 1 bad, 2 unknown.";

/// Forwards Stratum V1 between Bitcoin miners and their pool, and checks what the pool does with the
/// work.
#[derive(Parser)]
#[command(name = "sluice", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// Reads the command line. Ends the program after a wrong one, or one that asks for help.
    pub fn read() -> Cli {
        Cli::try_parse()
            .unwrap_or_else(|fault| with_hint(fault, std::env::args_os().nth(1).as_deref()).exit())
    }
}

/// Adds the flag that was meant when a configuration follows `run` or `check` without it.
fn with_hint(mut fault: clap::Error, command: Option<&OsStr>) -> clap::Error {
    let takes_config = command.is_some_and(|command| command == "run" || command == "check");
    let file = match fault.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) if !text.starts_with('-') => Some(printable(text).into_owned()),
        _ => None,
    };
    if let Some(file) = file.filter(|_| takes_config && fault.kind() == ErrorKind::UnknownArgument) {
        let hint = format!("the configuration is given as --config {file}").into();
        fault.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint]));
    }
    fault
}

#[derive(Subcommand)]
enum Command {
    /// Forward between miners and pools until stopped
    #[command(after_help = EXAMPLES)]
    Run(Options),
    /// Ask three questions and write a configuration
    #[command(after_help = init::EXAMPLES)]
    Init(init::InitOptions),
    /// Test and explain a configuration
    #[command(after_help = EXAMPLES)]
    Check(check::CheckOptions),
    /// Print the keys that a configuration can have
    Config(config::ConfigOptions),
    /// Run a simulated pool and miners with the proxy, on loopback
    #[command(after_help = EXAMPLES)]
    Demo(demo::DemoOptions),
    /// Connect to pools as a miner: would a block pay this address?
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::VerifyOptions),
    /// Have a running Sluice read its configuration again, and wait for the result (for the unit file of systemd)
    Reload(reload_result::ReloadOptions),
    /// Say what the records of a week, or any other time, show
    #[command(after_help = report::EXAMPLES)]
    Report(report::ReportOptions),
}

/// The flags that `run` and `check` share. They override the configuration file and the environment.
#[derive(Args)]
pub struct Options {
    /// The configuration [default: config.toml, else /etc/sluice/config.toml; none with --pool]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

impl Options {
    /// Loads the configuration from the file, the environment and the flags.
    ///
    /// # Errors
    /// All faults of the configuration.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &Environment::of_process(), &self.overrides)
    }

    /// The sources that [`Options::load`] reads, for people.
    ///
    /// # Errors
    /// There is neither a file nor a pool.
    pub fn sources(&self) -> Result<String, ConfigError> {
        let environment = Environment::of_process();
        let file = find_file(self.config.as_deref(), &environment, &self.overrides)?;
        let variables = match environment.len() {
            0 => None,
            number => Some(count(number as u64, "environment variable")),
        };
        Ok(match (file.map(|file| file.display().to_string()), variables) {
            (Some(file), Some(variables)) => format!("{file} and {variables}"),
            (Some(source), None) | (None, Some(source)) => source,
            (None, None) => String::from("the command line"),
        })
    }
}

/// Runs the subcommand.
///
/// # Errors
/// A failure that [`exit::code`] turns into a message and an exit code.
pub fn execute(cli: Cli) -> Result<ExitCode, CommandFailure> {
    match cli.command {
        Command::Run(options) => {
            // Before anything opens a descriptor.
            let inherited = InheritedSockets::from_environment().map_err(CommandFailure::ConfigFaults)?;
            let config = options.load()?;
            let preflight_warnings = preflight::prepare(&config, &inherited)?;
            logging::start(Some(&config.data_dir), "info");
            let warnings = config.warnings().into_iter().chain(config.ignored_key_warnings());
            for warning in warnings.chain(preflight_warnings) {
                log::warn!("{warning}");
            }
            run::run(options, config, inherited, Stop::new())?;
        }
        Command::Init(options) => init::run(&options)?,
        Command::Config(options) => config::run(&options)?,
        Command::Check(options) => {
            logging::start(None, "info");
            check::run(&options)?;
        }
        Command::Demo(options) => {
            // The demo prints its own progress.
            logging::start(None, "error");
            demo::run(&options, Stop::new())?;
        }
        Command::Verify(options) => {
            logging::start(None, "warn");
            return verify::run(&options, &Stop::new());
        }
        Command::Reload(options) => reload_result::run(&options)?,
        Command::Report(options) => {
            logging::start(None, "warn");
            return report::run(&options);
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_configuration_without_its_flag_gets_a_hint() {
        let said = |line: [&str; 3]| {
            let fault = Cli::try_parse_from(line).err().unwrap();
            with_hint(fault, Some(OsStr::new(line[1]))).to_string()
        };
        assert!(said(["sluice", "check", "real.toml"]).contains("--config real.toml"));
        assert!(!said(["sluice", "check", "--colour"]).contains("--config --colour"));
        assert!(!said(["sluice", "demo", "real.toml"]).contains("--config real.toml"));
    }
}
