//! The questions of `sluice init`: an answer is checked, and asked again if it is wrong.

use std::io::{self, BufRead, Read, Write};

use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;

use crate::cli::CommandFailure;
use crate::config::{Config, ConfigError, ConfigFault, Origin, Overrides, Problem};
use crate::util::escape::printable;
use crate::work::{AddressChain, address_fault};

/// Caps the length of an answer.
const MAX_ANSWER: u64 = 1000;

/// Caps the wrong answers to one question, so that a program that answers does so no longer than a person would.
const MAX_TRIES: usize = 10;

/// Questions and answers.
pub(super) struct Interview<R, W> {
    answers: R,
    questions: W,
}

/// The people who can open the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageAudience {
    Network,
    Machine,
    Nobody,
}

impl<R: BufRead, W: Write> Interview<R, W> {
    pub(super) fn new(answers: R, questions: W) -> Interview<R, W> {
        Interview { answers, questions }
    }

    /// Returns the checked value of a flag. Without the flag it asks until an answer is right; an empty one, or none,
    /// stands for the default. `check` returns the reason why a value is wrong.
    ///
    /// # Errors
    /// The flag is wrong, or the answers end before a right one.
    pub(super) fn ask<T>(
        &mut self,
        flag: &str,
        given: Option<&str>,
        question: &str,
        default: Option<&str>,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, CommandFailure> {
        if let Some(given) = given {
            return check(given.trim()).map_err(|why| wrong_flag(flag, why));
        }
        for _ in 0..MAX_TRIES {
            writeln!(self.questions, "{question}")?;
            write!(self.questions, "> ")?;
            self.questions.flush()?;
            let mut line = Vec::new();
            let is_over = self.answers.by_ref().take(MAX_ANSWER).read_until(b'\n', &mut line)? == 0;
            let answer = String::from_utf8_lossy(&line);
            let answer = match (answer.trim(), default) {
                ("", Some(default)) => default,
                ("", None) if is_over => break,
                (answer, _) => answer,
            };
            match check(answer) {
                Ok(value) => return Ok(value),
                Err(why) => writeln!(self.questions, "{} {}", printable(answer), printable(&why))?,
            }
        }
        let text = format!("there is no usable answer; give it with {flag}");
        Err(CommandFailure::from(io::Error::other(text)))
    }
}

impl PageAudience {
    /// Reads a word, or a plain yes or no to the question whether the network can see the page.
    pub(super) fn parse(answer: &str) -> Result<PageAudience, String> {
        match answer.to_ascii_lowercase().as_str() {
            "network" | "yes" | "y" => Ok(PageAudience::Network),
            "machine" | "no" | "n" => Ok(PageAudience::Machine),
            "nobody" | "off" => Ok(PageAudience::Nobody),
            _ => Err(String::from("is none of: network, machine, nobody")),
        }
    }

    /// A comment for the file, and `http.listen`.
    pub(super) fn listen(self) -> (&'static str, &'static str) {
        match self {
            PageAudience::Network => {
                ("Everybody in your network can open the page. docs/page.md: a token", "0.0.0.0:8080")
            }
            PageAudience::Machine => ("Only this machine can open the page.", "127.0.0.1:8080"),
            PageAudience::Nobody => ("There is no page.", ""),
        }
    }
}

/// Accepts a valid Bitcoin address of mainnet, or of a test network.
pub(super) fn check_address(answer: &str) -> Result<String, String> {
    match answer.parse::<Address<NetworkUnchecked>>() {
        Ok(_) => Ok(answer.to_owned()),
        Err(_) => Err(match address_fault(answer, &[AddressChain::Mainnet]) {
            Some(fault) if fault.address == answer => fault.to_string(),
            // A worker's name may follow the address in a miner, and here not.
            Some(_) | None if answer.contains(['.', '_', ' ']) => {
                String::from("is not an address alone: leave out the name of a worker behind it")
            }
            _ => String::from("is no Bitcoin address: it begins with bc1, 1 or 3, and your wallet shows it"),
        }),
    }
}

/// The URL of the pool: one of `known` by its number, or a URL; a host with a port is one without TLS.
pub(super) fn pool_url(answer: &str, known: &[&str]) -> Result<String, String> {
    let number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    if let Some(url) = number.and_then(|place| known.get(place)) {
        return Ok((*url).to_owned());
    }
    let url = if answer.contains("://") { answer.to_owned() } else { format!("stratum+tcp://{answer}") };
    let overrides = Overrides { pools: vec![url.clone()], ..Overrides::default() };
    match Config::parse("", &overrides) {
        Ok(config) => Ok(config.upstreams.first().map_or(url, ToString::to_string)),
        Err(ConfigError::Invalid { problems, .. }) => {
            Err(match problems.first().map(|problem| &problem.fault) {
                Some(ConfigFault::Value { wanted, .. }) => format!("can't be used; it must be {wanted}"),
                _ => String::from("can't be used"),
            })
        }
        Err(why) => Err(why.to_string()),
    }
}

fn wrong_flag(flag: &str, reason: String) -> CommandFailure {
    let (origin, key) = (Origin::Flag, flag.to_owned());
    let problems = vec![Problem { origin, key, fault: ConfigFault::Conflict { reason } }];
    CommandFailure::Config(ConfigError::Invalid { file: None, problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    const POOLS: [&str; 1] = ["stratum+tcp://known:1"];

    fn ask(answers: &str, default: Option<&str>) -> (Result<String, String>, String) {
        let mut interview = Interview::new(answers.as_bytes(), Vec::new());
        let answer = interview.ask("--address", None, "Which?", default, check_address);
        let said = String::from_utf8(interview.questions).unwrap();
        (answer.map_err(|failure| failure.to_string()), said)
    }

    #[test]
    fn a_wrong_answer_is_explained_and_asked_again() {
        let typo = ADDRESS.replace("w508", "w509");
        let (answer, said) = ask(
            &format!("{typo}\n\nbitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a\n  {ADDRESS} \n"),
            None,
        );
        assert_eq!(answer.as_deref(), Ok(ADDRESS));
        assert_eq!(said.matches("Which?").count(), 4, "{said}");
        assert!(said.contains("its checksum is wrong") && said.contains("Bitcoin Cash"), "{said}");
        assert_eq!(ask("", Some(ADDRESS)).0.as_deref(), Ok(ADDRESS));
        assert!(ask("", None).0.unwrap_err().contains("--address"));
        assert!(ask(&"wrong\n".repeat(100), None).1.matches("Which?").count() == MAX_TRIES);
    }

    #[test]
    fn addresses_are_checked() {
        assert!(check_address("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx").is_ok());
        assert!(check_address(&format!("{ADDRESS}.garage")).unwrap_err().contains("name of a worker"));
        assert!(check_address("garage").unwrap_err().contains("begins with bc1"));
    }

    #[test]
    fn a_pool_is_a_number_a_url_or_a_host_with_its_port() {
        assert_eq!(pool_url("1", &POOLS).as_deref(), Ok("stratum+tcp://known:1"));
        assert_eq!(pool_url("pool.example:3333", &POOLS).as_deref(), Ok("stratum+tcp://pool.example:3333"));
        assert_eq!(pool_url("stratum+ssl://[::1]:1", &POOLS).as_deref(), Ok("stratum+ssl://[::1]:1"));
        for wrong in ["2", "", "pool.example", "http://pool:1", "stratum+tcp://a\"b:1"] {
            assert!(pool_url(wrong, &POOLS).unwrap_err().contains("can't be used"), "{wrong}");
        }
        assert!(PageAudience::parse("everybody").is_err());
        assert_eq!(PageAudience::parse("No"), Ok(PageAudience::Machine));
    }
}
