//! TLS by rustls: crypto provider, roots, and the client's and the server's configuration.

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::pem;
use super::tls_stream::TlsStream;
use super::tls_verify::IssuerIgnored;

/// An unusable TLS setting, with the file and the reason.
#[derive(Debug)]
pub enum TlsError {
    Certificate {
        file: PathBuf,
        why: String,
    },
    Key {
        file: PathBuf,
        why: String,
    },
    /// Certificate and key don't belong together.
    Mismatch {
        cert: PathBuf,
        key: PathBuf,
        why: rustls::Error,
    },
    ServerName(String),
    Setting(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Certificate { file, why } => {
                write!(f, "can't use the certificate file {}: {why}", file.display())
            }
            TlsError::Key { file, why } => write!(f, "can't use the key file {}: {why}", file.display()),
            TlsError::Mismatch { cert, key, why } => {
                write!(f, "certificate {} and key {} don't go together: {why}", cert.display(), key.display())
            }
            TlsError::ServerName(name) => write!(f, "{name:?} can't be the name of a TLS server"),
            TlsError::Setting(why) => write!(f, "TLS can't be set up: {why}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// The certificates that a client trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The system's roots, or Mozilla's if the system has none.
    System,
    /// The roots in this PEM file only.
    Roots(PathBuf),
    /// The one certificate with this SHA-256 of its DER form.
    Pin([u8; 32]),
    /// Any certificate, for tests. A man in the middle can read and change everything.
    Anybody,
}

/// Performs TLS handshakes with one server.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsClient {
    /// Prepares handshakes with `host` (a name or an address, as in the URL).
    ///
    /// # Errors
    /// [`TlsError`] for an unusable name or roots file.
    pub fn new(host: &str, trust: &Trust) -> Result<TlsClient, TlsError> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| TlsError::ServerName(host.to_owned()))?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setting)?;
        let config = match trust {
            Trust::System => builder.with_root_certificates(system_roots()).with_no_client_auth(),
            Trust::Roots(file) => builder.with_root_certificates(roots_of(file)?).with_no_client_auth(),
            Trust::Pin(_) | Trust::Anybody => {
                let pin = if let Trust::Pin(pin) = trust { Some(*pin) } else { None };
                let verifier = IssuerIgnored { pin, provider: provider() };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
            }
        };
        Ok(TlsClient { config: Arc::new(config), name })
    }

    /// Performs the handshake on a connected socket.
    ///
    /// # Errors
    /// Like [`TlsStream::handshake`].
    pub fn connect(&self, socket: TcpStream, deadline: Instant) -> io::Result<TlsStream> {
        let connection = ClientConnection::new(self.config.clone(), self.name.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsStream::handshake(socket, connection.into(), deadline)
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsClient({:?})", self.name)
    }
}

/// Performs TLS handshakes with connecting miners.
#[derive(Debug, Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
}

impl TlsServer {
    /// Loads the certificate chain and the private key from PEM files.
    ///
    /// # Errors
    /// [`TlsError`] naming the file.
    pub fn new(cert: &Path, key: &Path) -> Result<TlsServer, TlsError> {
        let chain = certificates_of(cert)?;
        let private = pem::private_key(key).map_err(|why| TlsError::Key { file: key.to_owned(), why })?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setting)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|why| TlsError::Mismatch { cert: cert.to_owned(), key: key.to_owned(), why })?;
        Ok(TlsServer { config: Arc::new(config) })
    }

    /// Performs the handshake on an accepted socket.
    ///
    /// # Errors
    /// Like [`TlsStream::handshake`].
    pub fn accept(&self, socket: TcpStream, deadline: Instant) -> io::Result<TlsStream> {
        let connection = ServerConnection::new(self.config.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsStream::handshake(socket, connection.into(), deadline)
    }
}

/// The crypto provider: ring, which only needs a C compiler on a Raspberry Pi.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The system's certificate authorities; `None` if it has none that can be used.
pub(super) fn native_roots() -> Option<(RootCertStore, Vec<CertificateDer<'static>>)> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::warn!("system certificates: {error}");
    }
    let mut roots = RootCertStore::empty();
    let (usable, _ignored) = roots.add_parsable_certificates(found.certs.iter().cloned());
    if usable == 0 {
        log::info!("no certificate authorities on this system: using the built-in list of Mozilla's");
    }
    (usable > 0).then_some((roots, found.certs))
}

fn system_roots() -> RootCertStore {
    native_roots()
        .map_or_else(|| webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(), |(roots, _)| roots)
}

fn roots_of(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(certificates_of(file)?);
    if added == 0 {
        return Err(TlsError::Certificate {
            file: file.to_owned(),
            why: "none of its certificates can be an authority".to_owned(),
        });
    }
    Ok(roots)
}

fn certificates_of(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    pem::certificates(file).map_err(|why| TlsError::Certificate { file: file.to_owned(), why })
}
