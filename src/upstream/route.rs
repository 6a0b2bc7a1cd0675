//! The route to a configured upstream: its host name, its TLS settings, its SOCKS proxy.

use std::fmt;
use std::io;

use crate::config::{UpstreamConfig, UpstreamTls};
use crate::net::dial::{Route, RouteKind};
use crate::net::resolve::Resolver;
use crate::net::socks5::ProxyLogin;
use crate::net::tls::{TlsClient, Trust};
use crate::util::os_error::describe;
use crate::util::stop::Stop;

/// The reason that a listener, a pool or a mode can't be set up, for people.
#[derive(Debug)]
pub struct SetupError(pub(crate) String);

impl SetupError {
    pub(crate) fn thread(why: io::Error) -> SetupError {
        SetupError(format!("can't start a thread: {}", describe(&why)))
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SetupError {}

/// The route to a configured pool. A name is resolved in the background from now on, until `stop`.
///
/// # Errors
/// Unusable certificates, or when the thread that resolves the name can't be started.
pub fn route_to(configured: &UpstreamConfig, stop: &Stop) -> Result<Route, SetupError> {
    let tls = configured.tls.as_ref().map(|tls| TlsClient::new(&configured.host, &trust_of(tls)));
    let tls = tls.transpose().map_err(|why| SetupError(format!("pool {}: {why}", configured.name())))?;
    let resolver = |host: &str, port| Resolver::start(host, port, stop).map_err(SetupError::thread);
    let kind = match &configured.socks5 {
        None => RouteKind::Direct(resolver(&configured.host, configured.port)?),
        Some(socks5) => RouteKind::Socks5 {
            proxy: resolver(&socks5.host, socks5.port)?,
            login: socks5.user.as_ref().map(|user| ProxyLogin {
                user: user.clone(),
                password: socks5.password.as_ref().map_or_else(String::new, |p| p.expose().to_owned()),
            }),
        },
    };
    Ok(Route { host: configured.host.clone(), port: configured.port, tls, kind })
}

fn trust_of(tls: &UpstreamTls) -> Trust {
    match tls {
        UpstreamTls { insecure_skip_verify: true, .. } => Trust::Anybody,
        UpstreamTls { pin_sha256: Some(pin), .. } => Trust::Pin(*pin),
        UpstreamTls { ca_file: Some(file), .. } => Trust::Roots(file.clone()),
        _ => Trust::System,
    }
}
