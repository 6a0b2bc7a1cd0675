//! The HTTP client: our TLS provider, the system's roots, a time limit, and no redirects.

use std::time::Duration;

use ureq::config::Config;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Error};

use super::tls::{native_roots, provider};
use super::tls_errors;
use crate::util::escape::line_text;
use crate::util::os_error::describe;

/// Caps the characters of an error's reason, which a server may influence.
const MAX_REASON: usize = 300;

/// Caps the size of an answer's headers.
const MAX_HEADERS: usize = 16 * 1024;

/// Creates a client whose requests take at most `limit`, from name resolution to the last byte read.
/// Because URLs may contain secrets, it follows no redirects and ignores proxies of the environment. It
/// keeps no connections, and returns answers of any status.
pub fn agent(limit: Duration) -> Agent {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(provider())
        .root_certs(roots())
        .build();
    Config::builder()
        .tls_config(tls)
        .timeout_global(Some(limit))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(MAX_HEADERS)
        .max_idle_connections(0)
        .proxy(None)
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// Describes why a request failed, without the client's own texts, which may contain the URL.
pub fn describe_error(error: &Error) -> String {
    match error {
        Error::Http(_) | Error::BadUri(_) => String::from("its URL or token can't be used in a request"),
        Error::Timeout(_) => String::from("no answer in time"),
        Error::HostNotFound => String::from("its host name can't be resolved"),
        Error::Io(why) => match tls_errors::tls_reason(why) {
            Some(why) => format!("TLS: {}", line_text(&tls_errors::describe_https_error(why), MAX_REASON)),
            None => format!("connection: {}", line_text(&describe(why), MAX_REASON)),
        },
        Error::Rustls(why) => {
            format!("TLS: {}", line_text(&tls_errors::describe_https_error(why), MAX_REASON))
        }
        Error::Tls(why) => format!("TLS: {why}"),
        Error::Protocol(_) | Error::LargeResponseHeader(..) => String::from("its answer is not valid HTTP"),
        _ => String::from("the request failed"),
    }
}

/// The system's roots, or Mozilla's if the system has none.
fn roots() -> RootCerts {
    let Some((_, certificates)) = native_roots() else { return RootCerts::WebPki };
    let certificates: Vec<_> = certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    RootCerts::new_with_certs(&certificates)
}
