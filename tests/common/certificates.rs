//! Certificates made for one test.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A self-signed certificate and its files, which live as long as this.
pub struct Certificate {
    pub der: CertificateDer<'static>,
    key: Vec<u8>,
    directory: tempfile::TempDir,
}

impl Certificate {
    /// For these names or addresses.
    pub fn new(names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Certificate::with(rcgen::CertificateParams::new(names).unwrap())
    }

    /// As these say.
    pub fn with(params: rcgen::CertificateParams) -> Certificate {
        let signing_key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertifiedKey { cert: params.self_signed(&signing_key).unwrap(), signing_key };
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Certificate { der: made.cert.der().clone(), key: made.signing_key.serialize_der(), directory }
    }

    pub fn cert_file(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    pub fn key_file(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    pub fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap();
        Arc::new(config)
    }

    /// A client that believes this certificate.
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }
}
