//! The HTTP client: with our TLS provider and the system's roots, bounded in time, and never led
//! elsewhere.

use std::time::Duration;

use rustls::RootCertStore;
use ureq::Agent;
use ureq::config::Config;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::tls::provider;

/// Headers of an answer take no more.
const MAX_HEADERS: usize = 16 * 1024;

/// A client whose requests take at most `limit` from the name's resolution to the last byte read.
/// It follows no redirect, keeps no connection, takes every status for an answer and heeds no
/// proxy of the environment: what it is given may be a secret.
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

/// The system's roots, or Mozilla's where the system has none.
fn roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::warn!("system certificates: {error}");
    }
    let (usable, _ignored) = RootCertStore::empty().add_parsable_certificates(found.certs.iter().cloned());
    if usable == 0 {
        log::info!("no certificate authorities on this system: using the built-in list of Mozilla's");
        return RootCerts::WebPki;
    }
    let certificates: Vec<_> = found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    RootCerts::new_with_certs(&certificates)
}
