//! `sluice check --health`: asks a running Sluice whether it is well. Made for the health checks of containers, which
//! then need no other program.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::cli::{CommandFailure, Options};
use crate::config::{ConfigError, HttpConfig};
use crate::net::https;
use crate::util::escape::line_text;

/// The time that Sluice has for its answer.
const LIMIT: Duration = Duration::from_secs(3);

/// The path that is asked if the URL has none.
const PATH: &str = "/healthz";

/// Caps the answer, which is a line or a few.
const MAX_ANSWER: u64 = 4096;

/// Asks the Sluice at this URL, or at the configured address of the page, and prints `ok`.
///
/// # Errors
/// Sluice is not well, does not answer in time, or has no page. Always of the machine: for a container there is only
/// healthy or not.
pub(super) fn run(url: Option<&str>, options: &Options) -> Result<(), CommandFailure> {
    let url = match url {
        Some(url) => complete(url),
        None => url_of(page_address(options)?),
    };
    ask(&url).map_err(|why| CommandFailure::Environment(format!("{url}: {why}").into()))?;
    // stdout may be closed; the exit code shows the answer.
    let _ = io::stdout().write_all(b"ok\n");
    Ok(())
}

fn ask(url: &str) -> Result<(), String> {
    let answer = https::agent(LIMIT).get(url).call();
    let mut answer = answer.map_err(|why| https::describe_error(&why))?;
    let status = answer.status().as_u16();
    if status == 200 {
        return Ok(());
    }
    let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().unwrap_or_default();
    Err(format!("{status}: {}", line_text(body.trim(), 300)))
}

/// The address of the page, by the configuration. Without any configuration, the default.
fn page_address(options: &Options) -> Result<SocketAddr, CommandFailure> {
    let failure = |why: String| CommandFailure::Environment(why.into());
    let http = match options.load() {
        Ok(config) => config.http,
        Err(ConfigError::NoFile { .. }) => HttpConfig::default(),
        Err(why) => return Err(failure(why.to_string())),
    };
    let off = "the page is off (http.listen is empty), so Sluice can't be asked";
    http.listen.ok_or_else(|| failure(off.to_owned()))
}

/// The URL for this address. A page that listens on all addresses is asked on this machine.
fn url_of(page: SocketAddr) -> String {
    let ip = match page.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}{PATH}", SocketAddr::new(ip, page.port()))
}

/// Adds the scheme and the path that a URL may lack.
fn complete(url: &str) -> String {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    match rest.find('/') {
        None => format!("{url}{PATH}"),
        Some(at) if &rest[at..] == "/" => format!("{}{PATH}", url.trim_end_matches('/')),
        Some(_) => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_needs_no_scheme_and_no_path() {
        let expected = "http://127.0.0.1:8080/healthz";
        for url in ["127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080/", expected] {
            assert_eq!(complete(url), expected);
        }
        assert_eq!(complete("https://h/servingz"), "https://h/servingz");
        for (page, url) in [
            ("0.0.0.0:80", "http://127.0.0.1:80/healthz"),
            ("[::]:80", "http://[::1]:80/healthz"),
            ("192.168.1.5:80", "http://192.168.1.5:80/healthz"),
        ] {
            assert_eq!(url_of(page.parse().unwrap()), url);
        }
    }
}
