//! `sluice init`: asks three questions and writes a short configuration.

mod answers;

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use self::answers::{Interview, PageAudience, check_address, pool_url};
use super::{CommandFailure, preflight};
use crate::config::{Config, Overrides};
use crate::net::inherited::InheritedSockets;
use crate::net::interfaces;
use crate::util::escape::printable;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice init
      Ask for the address, the pool and who may see the page, and write config.toml.
  sluice init --address bc1q… --pool 1 --page network --output /etc/sluice/config.toml
      The same without questions.";

/// The pools that `--pool 1` and `--pool 2` name. A miner of one gets the other as its second choice.
const POOLS: [&str; 2] = ["stratum+tcp://solo.ckpool.org:3333", "stratum+tcp://public-pool.io:3333"];

/// The flags of `init`. What they leave open is asked.
#[derive(Args)]
pub struct InitOptions {
    /// The Bitcoin address that a block must pay
    #[arg(long, value_name = "ADDR")]
    address: Option<String>,
    /// 1 for solo.ckpool.org, 2 for public-pool.io, or a URL such as stratum+tcp://HOST:PORT
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// The people who can open the page: network, machine or nobody
    #[arg(long, value_name = "WHO")]
    page: Option<String>,
    /// The file to write; one that exists is never replaced
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    output: PathBuf,
}

/// Asks what the flags leave open, writes the configuration, and says how to go on.
///
/// # Errors
/// A wrong flag, no answer, or a file that exists or can't be written.
pub fn run(options: &InitOptions) -> Result<(), CommandFailure> {
    let output = &options.output;
    // Before the questions: nobody answers in vain.
    if output.symlink_metadata().is_ok() {
        return Err(already_there(output));
    }
    let mut interview = Interview::new(io::stdin().lock(), io::stdout().lock());
    let address = interview.ask(
        "--address",
        options.address.as_deref(),
        "Which Bitcoin address should a block pay?",
        None,
        check_address,
    )?;
    let pool = interview.ask(
        "--pool",
        options.pool.as_deref(),
        "Which pool? 1 = solo.ckpool.org, 2 = public-pool.io, or its URL [1]",
        Some("1"),
        |answer| pool_url(answer, &POOLS),
    )?;
    let audience = interview.ask(
        "--page",
        options.page.as_deref(),
        "Who can open the page with the figures? network = everybody in your network, machine = only this \
         machine, nobody = no page [network]",
        Some("network"),
        PageAudience::parse,
    )?;
    let text = configuration(&address, &pool, audience);
    let config = Config::parse(&text, &Overrides::default())?;
    write_new(output, &text)?;
    // stdout may be closed; the file is written all the same.
    let _ = io::stdout().write_all(next_steps(output, &config).as_bytes());
    Ok(())
}

/// The text of the file. The values have been checked, so none needs an escape.
fn configuration(address: &str, pool: &str, audience: PageAudience) -> String {
    let mut text = format!(
        "# Sluice's configuration, written by \"sluice init\". Every key with its default and its reason:\n\
         # \"sluice config example\". Test a change with \"sluice check\".\n\
         \n\
         [payout]\n\
         # The address that a block must pay. With a pool that shares blocks out itself, add: kind = \"pooled\"\n\
         address = \"{address}\"\n\
         \n\
         # The pools, in order of preference. If one fails, miners go on with the next.\n\
         [[upstream]]\n\
         url = \"{pool}\"\n"
    );
    let spare = POOLS.iter().find(|other| **other != pool).filter(|_| POOLS.contains(&pool));
    if let Some(spare) = spare {
        text.push_str(&format!("\n[[upstream]]\nurl = \"{spare}\"\n"));
    }
    let (comment, listen) = audience.listen();
    text.push_str(&format!("\n[http]\n# {comment}\nlisten = \"{listen}\"\n"));
    text
}

/// Writes a file that does not exist.
fn write_new(file: &Path, text: &str) -> Result<(), CommandFailure> {
    let written = OpenOptions::new().write(true).create_new(true).open(file);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|why| match why.kind() {
        ErrorKind::AlreadyExists => already_there(file),
        _ => CommandFailure::Environment(format!("can't write {}: {why}", shown(file)).into()),
    })
}

fn already_there(file: &Path) -> CommandFailure {
    let text =
        format!("{} exists already, and is left as it is; name another file with --output", shown(file));
    CommandFailure::Environment(text.into())
}

/// The result of the checks, and what to do next.
fn next_steps(file: &Path, config: &Config) -> String {
    let report = preflight::check(config, &InheritedSockets::default());
    let mut text = format!("\n{} is written.\n", shown(file));
    for fault in &report.errors {
        text.push_str(&format!("Before you start, this must be mended: {}\n", printable(fault)));
    }
    // Without a name `sluice run` finds these itself.
    let is_found = ["config.toml", "/etc/sluice/config.toml"].iter().any(|usual| file == Path::new(usual));
    let flag = if is_found { String::new() } else { format!(" --config {}", shown(file)) };
    let port = config.listen.stratum.first().map_or(0, |address| address.port());
    let own = interfaces::addresses().first().map_or(String::from("THIS-MACHINE"), ToString::to_string);
    let own = if own.contains(':') { format!("[{own}]") } else { own };
    let pool = config.upstreams.first().map(ToString::to_string).unwrap_or_default();
    let user = match &config.payout.address {
        Some(address) if POOLS.contains(&pool.as_str()) => {
            format!("with the user name {}.NAME", address.clone().assume_checked())
        }
        _ => String::from("with the user name that the pool wants"),
    };
    text.push_str(&format!(
        "Test it:           sluice check --online{flag}\n\
         Start:             sluice run{flag}\n\
         In your miners:    host {own}, port {port}, {user}\n"
    ));
    if let Some(page) = config.http.listen {
        let host = if page.ip().is_loopback() { "127.0.0.1" } else { own.as_str() };
        text.push_str(&format!("The page:          http://{host}:{}/\n", page.port()));
    }
    text
}

fn shown(file: &Path) -> String {
    printable(&file.display().to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_makes_a_valid_configuration() {
        let address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
        for (pool, pools) in [(POOLS[0], 2), (POOLS[1], 2), ("stratum+ssl://pool.example:443", 1)] {
            for audience in [PageAudience::Network, PageAudience::Machine, PageAudience::Nobody] {
                let text = configuration(address, pool, audience);
                let config = Config::parse(&text, &Overrides::default()).unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(config.upstreams.len(), pools);
                assert_eq!(config.upstreams[0].to_string(), pool);
                assert_eq!(config.warnings(), [""; 0]);
                let is_open = config.http.listen.is_some_and(|page| page.ip().is_unspecified());
                assert_eq!(is_open, audience == PageAudience::Network);
            }
        }
    }
}
