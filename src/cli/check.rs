//! `sluice check`: says what a configuration means, and what is in its way.

mod connections;
mod summary;

use std::io::{self, Write};

use clap::Args;

use self::summary::ConfigSummary;
use super::{CommandFailure, Options, preflight};
use crate::config::Config;
use crate::notify::send_test_messages;
use crate::util::escape::printable;
use crate::util::plural::count;

/// What `check` can be told.
#[derive(Args)]
pub struct CheckOptions {
    #[command(flatten)]
    options: Options,
    #[allow(rustdoc::broken_intra_doc_links, reason = "it is the help text, as the section is written")]
    /// Send every [[notify]] a test message, and say whether it arrived
    #[arg(long)]
    notify: bool,
}

/// Prints the summary on stdout. Changes nothing on the machine; nobody is called but for
/// `--notify`.
///
/// # Errors
/// A wrong configuration, what the machine lacks, or a test message that did not arrive.
pub fn run(CheckOptions { options, notify }: &CheckOptions) -> Result<(), CommandFailure> {
    let config = options.load()?;
    let file = options.file()?;
    let from = file.map_or_else(|| String::from("the command line"), |file| file.display().to_string());
    let found = preflight::verify(&config);
    let mut text = format!("Configuration from {from}\n{}", ConfigSummary(&config));
    let warnings: Vec<String> = config.warnings().into_iter().chain(found.warnings).collect();
    for warning in &warnings {
        text.push_str(&format!("Warning: {warning}\n"));
    }
    for warning in config.ignored_key_warnings() {
        text.push_str(&format!("Note: {warning}\n"));
    }
    if found.errors.is_empty() {
        text.push_str(&match warnings.len() {
            0 => String::from("Everything is in order.\n"),
            some => format!("No error, {}.\n", count(some as u64, "warning")),
        });
    }
    // A path may hold anything but a line end of ours.
    let text: String = text.lines().map(|line| format!("{}\n", printable(line))).collect();
    // Nobody may be there to read it (a closed pipe); the exit code still tells.
    let _ = io::stdout().write_all(text.as_bytes());
    if !found.errors.is_empty() {
        return Err(found.errors.into());
    }
    if *notify { test_messages(&config) } else { Ok(()) }
}

fn test_messages(config: &Config) -> Result<(), CommandFailure> {
    if config.notify.is_empty() {
        return Err(CommandFailure::Runtime("there is no [[notify]], so nobody is told of anything".into()));
    }
    let trials = send_test_messages(&config.notify);
    let mut text = String::from("Test messages:\n");
    for trial in &trials {
        match &trial.result {
            Ok(()) => text.push_str(&format!("  {}: arrived\n", trial.name)),
            Err(why) => text.push_str(&format!("  {}: did NOT arrive: {why}\n", trial.name)),
        }
    }
    let _ = io::stdout().write_all(text.as_bytes());
    match trials.iter().filter(|trial| trial.result.is_err()).count() {
        0 => Ok(()),
        lost => {
            let all = count(trials.len() as u64, "test message");
            Err(CommandFailure::Runtime(format!("{lost} of {all} did not arrive").into()))
        }
    }
}
