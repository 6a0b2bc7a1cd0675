//! `sluice check`: explains a configuration, and checks what it needs of the machine.

mod connections;
mod health;
mod online;
mod summary;

use std::io::{self, Write};

use clap::Args;

use self::summary::ConfigSummary;
use super::{CommandFailure, Options, preflight};
use crate::config::Config;
use crate::net::inherited::InheritedSockets;
use crate::notify::{TestResult, send_test_messages};
use crate::util::escape::printable;
use crate::util::format::count;

/// The flags of `check`.
#[derive(Args)]
pub struct CheckOptions {
    #[command(flatten)]
    options: Options,
    #[allow(rustdoc::broken_intra_doc_links, reason = "it is the help text, as the section is written")]
    /// Send every [[notify]] a test message and report whether it arrived
    #[arg(long)]
    notify: bool,
    /// Connect to every pool and ask the time servers; no share is submitted
    #[arg(long)]
    online: bool,
    /// Ask a running Sluice whether it is well, and do nothing else [default: the page's address]
    #[arg(long, value_name = "URL", num_args = 0..=1, conflicts_with_all = ["notify", "online"])]
    health: Option<Option<String>>,
}

/// Prints the summary on stdout. Changes nothing on the machine and contacts nobody, except with `--notify`, `--online`
/// and `--health`.
///
/// # Errors
/// A wrong configuration, a fault of the machine, a pool that does not answer, a test message that did not arrive, or a
/// Sluice that is not well.
pub fn run(checked: &CheckOptions) -> Result<(), CommandFailure> {
    let options = &checked.options;
    if let Some(url) = &checked.health {
        return health::run(url.as_deref(), options);
    }
    let config = options.load()?;
    let source = options.sources()?;
    let report = preflight::check(&config, &InheritedSockets::default());
    let mut text = format!("Configuration from {source}\n{}", ConfigSummary(&config));
    let warnings: Vec<String> = config.warnings().into_iter().chain(report.warnings).collect();
    for warning in &warnings {
        text.push_str(&format!("Warning: {warning}\n"));
    }
    for warning in config.ignored_key_warnings() {
        text.push_str(&format!("Note: {warning}\n"));
    }
    if report.errors.is_empty() {
        text.push_str(&match warnings.len() {
            0 => String::from("Everything is in order.\n"),
            many => format!("No error, {}.\n", count(many as u64, "warning")),
        });
    }
    // A path may hold any character.
    let text: String = text.lines().map(|line| format!("{}\n", printable(line))).collect();
    // stdout may be a closed pipe; the exit code still shows the result.
    let _ = io::stdout().write_all(text.as_bytes());
    let mut errors = report.errors;
    if checked.online {
        errors.extend(online::run(&config)?);
    }
    if !errors.is_empty() {
        return Err(errors.into());
    }
    if checked.notify { run_notify_test(&config) } else { Ok(()) }
}

fn run_notify_test(config: &Config) -> Result<(), CommandFailure> {
    if config.notify.is_empty() {
        return Err(CommandFailure::Environment(
            "there is no [[notify]] section, so alerts are sent to nobody: add one to test it".into(),
        ));
    }
    let results = send_test_messages(&config.notify, config.http.page_url(config.http.listen));
    let mut text = String::from("Test messages:\n");
    for TestResult { name, result } in &results {
        text.push_str(&match result {
            Ok(()) => format!("  {name}: arrived\n"),
            Err(why) => format!("  {name}: did NOT arrive: {why}\n"),
        });
    }
    let _ = io::stdout().write_all(text.as_bytes());
    match results.iter().filter(|message| message.result.is_err()).count() {
        0 => Ok(()),
        lost => {
            let all = count(results.len() as u64, "test message");
            Err(CommandFailure::Environment(format!("{lost} of {all} did not arrive").into()))
        }
    }
}
