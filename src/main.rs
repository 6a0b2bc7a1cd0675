use std::process::ExitCode;

use clap::Parser;
use sluice::cli;
use sluice::cli::Cli;

fn main() -> ExitCode {
    cli::exit::code(cli::execute(Cli::parse()))
}
