use std::process::ExitCode;

use sluice::cli;
use sluice::cli::Cli;

fn main() -> ExitCode {
    cli::exit::code(cli::execute(Cli::read()))
}
