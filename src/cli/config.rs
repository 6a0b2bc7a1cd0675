//! `sluice config`: prints what a configuration can hold, for editors, for scripts and for people.

use std::io::{self, ErrorKind, Write};

use clap::{Args, Subcommand};

use super::CommandFailure;
use crate::config::{EXAMPLE, key_table, schema};

/// The flags of `config`.
#[derive(Args)]
pub struct ConfigOptions {
    #[command(subcommand)]
    document: ConfigDocument,
}

#[derive(Subcommand)]
enum ConfigDocument {
    /// The JSON Schema, with which editors complete and check a configuration
    Schema,
    /// Every key with its values and its default, as a table in Markdown
    Keys,
    /// The example with every key, its default and its reason
    Example,
}

/// Prints the document on stdout.
///
/// # Errors
/// stdout can't be written.
pub fn run(options: &ConfigOptions) -> Result<(), CommandFailure> {
    let text = match options.document {
        ConfigDocument::Schema => format!("{:#}\n", schema()),
        ConfigDocument::Keys => key_table(),
        ConfigDocument::Example => EXAMPLE.to_owned(),
    };
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough.
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
