//! The route to a configured upstream: its host name, its TLS settings, its SOCKS proxy.

use std::fmt;
use std::io;
use std::path::Path;

use crate::config;
use crate::net::dial::{Route, RouteKind};
use crate::net::resolve::Resolver;
use crate::net::socks5::ProxyLogin;
use crate::net::tls::{TlsClient, TlsError, Trust};
use crate::util::os_error::describe;
use crate::util::stop::Stop;

/// The reason that an upstream can't be set up.
#[derive(Debug)]
pub enum SetupError {
    Tls { upstream: String, why: Box<TlsError> },
    Thread(io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Tls { upstream, why } => write!(f, "pool {upstream}: {why}"),
            SetupError::Thread(why) => write!(f, "can't start a thread: {}", describe(why)),
        }
    }
}

impl std::error::Error for SetupError {}

/// Host and port, as configured.
pub(crate) fn name_of(configured: &config::UpstreamConfig) -> String {
    if configured.host.contains(':') {
        format!("[{}]:{}", configured.host, configured.port)
    } else {
        format!("{}:{}", configured.host, configured.port)
    }
}

/// The route to a configured pool. A name is resolved in the background from now on, until `stop`.
///
/// # Errors
/// [`SetupError`] for unusable certificates, or when the thread that resolves the name can't be started.
pub fn route_to(configured: &config::UpstreamConfig, stop: &Stop) -> Result<Route, SetupError> {
    let tls = match &configured.tls {
        None => None,
        Some(tls) => {
            let trust = trust_of(tls.insecure_skip_verify, tls.pin_sha256, tls.ca_file.as_deref());
            let client = TlsClient::new(&configured.host, &trust)
                .map_err(|why| SetupError::Tls { upstream: name_of(configured), why: Box::new(why) })?;
            Some(client)
        }
    };
    let way = match &configured.socks5 {
        None => RouteKind::Direct(
            Resolver::start(&configured.host, configured.port, stop).map_err(SetupError::Thread)?,
        ),
        Some(socks5) => RouteKind::Socks5 {
            proxy: Resolver::start(&socks5.host, socks5.port, stop).map_err(SetupError::Thread)?,
            login: socks5.user.as_ref().map(|user| ProxyLogin {
                user: user.clone(),
                password: socks5.password.as_ref().map_or_else(String::new, |p| p.expose().to_owned()),
            }),
        },
    };
    Ok(Route { host: configured.host.clone(), port: configured.port, tls, kind: way })
}

fn trust_of(insecure: bool, pin: Option<[u8; 32]>, ca_file: Option<&Path>) -> Trust {
    match (insecure, pin, ca_file) {
        (true, _, _) => Trust::Anybody,
        (false, Some(pin), _) => Trust::Pin(pin),
        (false, None, Some(file)) => Trust::Roots(file.to_owned()),
        (false, None, None) => Trust::System,
    }
}
