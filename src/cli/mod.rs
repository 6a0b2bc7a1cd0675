//! The command line: one file a subcommand, `options` what they share, `environment` what they
//! need of the machine, `exit` which code they end with.

pub mod check;
mod data_dir_lock;
pub mod demo;
pub mod exit;
mod options;
pub mod preflight;
mod reload;
mod run;
mod signals;
pub mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::CommandFailure;
pub use options::Options;

use crate::util::logging;
use crate::util::stop::Stop;

const EXAMPLES: &str = "\
Examples:
  sluice run --pool stratum+tcp://solo.ckpool.org:3333
      Forward to one pool; miners connect to this machine's port 3334.
  sluice run --pool stratum+tcp://solo.ckpool.org:3333 --pool stratum+ssl://pool.example:443
      The same, with a second pool for when the first is down.
  sluice check --config /etc/sluice/config.toml
      Say what a configuration means and what is wrong with it, then end.
  sluice verify stratum+tcp://solo.ckpool.org:3333 --address bc1q…
      Be a miner for a minute: would a block pay this address, and is it Bitcoin?
  sluice demo
      A complete world on this machine alone: a simulated pool, simulated miners, the proxy.

Exit codes: 0 fine; 1 the machine is in the way (a port in use, an unreadable certificate, an
unwritable data directory); 2 the configuration or the command line is wrong. `sluice verify` has
codes of its own: 0 good, 1 bad, 2 can't tell.";

/// Forwards Stratum V1 between Bitcoin miners and their pool, and tells what the pool does with
/// the work.
#[derive(Parser)]
#[command(name = "sluice", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Forward between miners and pools until told to stop
    #[command(after_help = EXAMPLES)]
    Run(Options),
    /// Test a configuration, say what it means, and end
    #[command(after_help = EXAMPLES)]
    Check(check::CheckOptions),
    /// Show a complete world on loopback: pool, miners, proxy
    #[command(after_help = EXAMPLES)]
    Demo(demo::DemoOptions),
    /// Look at pools as a miner: would a block pay this address?
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::VerifyOptions),
}

/// Does what the command line says.
///
/// # Errors
/// What [`exit::code`] turns into a sentence and an exit code.
pub fn execute(cli: Cli) -> Result<ExitCode, CommandFailure> {
    match cli.command {
        Command::Run(options) => {
            let config = options.load()?;
            let missed = preflight::prepare(&config)?;
            logging::start(Some(&config.data_dir), "info");
            let unwise = config.warnings().into_iter().chain(config.ignored_key_warnings());
            for warning in unwise.chain(missed) {
                log::warn!("{warning}");
            }
            run::run(options, config, Stop::new())?;
        }
        Command::Check(options) => {
            logging::start(None, "info");
            check::run(&options)?;
        }
        Command::Demo(options) => {
            // The demo tells its own story.
            logging::start(None, "error");
            demo::run(&options, Stop::new())?;
        }
        Command::Verify(options) => {
            logging::start(None, "warn");
            return verify::run(&options, &Stop::new());
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
}
