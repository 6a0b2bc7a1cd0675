use std::process::ExitCode;

use clap::Parser;
use sluice::commands::{self, Cli};

fn main() -> ExitCode {
    commands::exit::code(commands::execute(Cli::parse()))
}
