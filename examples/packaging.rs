//! Writes what a package has beside the program: the man pages and the shells' completions, both made from the command
//! line's own definition.
//!
//! ```text
//! cargo run --locked --example packaging -- target/package/generated
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use sluice::cli::Cli;

fn main() -> io::Result<()> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: packaging DIRECTORY"));
    };
    let manual = directory.join("man");
    fs::create_dir_all(&manual)?;
    // Its page would only repeat --help.
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    write_pages(&program, &manual)?;

    let completions = directory.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "sluice", &completions)?;
    }
    Ok(())
}

/// Writes the page of `command` and those of its subcommands: `sluice.1`, `sluice-run.1` and so on.
fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_pages(subcommand, directory)?;
    }
    let page =
        Man::new(command.clone()).manual("Sluice").source(concat!("sluice ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.get_subcommands().next().is_some() {
        page.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    if let Some(after) = command.get_after_help() {
        write_examples(&after.to_string(), &mut rest);
    }
    write_files(&mut rest);
    rest.to_writer(&mut text)?;
    fs::write(directory.join(page.get_filename()), text)
}

/// Writes the examples and the exit codes, which follow the options in `--help`, as sections of a manual page, with the
/// line breaks that they have.
fn write_examples(after_help: &str, page: &mut Roff) {
    for paragraph in after_help.split("\n\n") {
        let (heading, text) =
            match (paragraph.strip_prefix("Examples:\n"), paragraph.strip_prefix("Exit codes: ")) {
                (Some(examples), _) => ("EXAMPLES", examples),
                (None, Some(codes)) => ("EXIT STATUS", codes),
                (None, None) => ("NOTES", paragraph),
            };
        page.control("SH", [heading]);
        if heading == "EXAMPLES" {
            page.control("nf", []);
            for line in text.lines() {
                page.text([roman(line)]);
            }
            page.control("fi", []);
        } else {
            page.text([roman(text)]);
        }
    }
}

fn write_files(page: &mut Roff) {
    page.control("SH", ["FILES"]);
    for (file, content) in [
        ("/etc/sluice/config.toml", "The configuration."),
        (
            "/usr/share/doc/sluice/config.toml.example",
            "Every key of the configuration, with its default and its reason.",
        ),
        ("/var/lib/sluice/", "What the service records: shares, jobs, alerts, charts, the log."),
    ] {
        page.control("TP", []);
        page.text([roman(file)]);
        page.text([roman(content)]);
    }
}
