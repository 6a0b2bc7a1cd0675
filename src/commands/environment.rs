//! What a configuration needs of the machine: certificates, keys and a directory to write to.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::{Config, ListenTls};

/// What is wrong with the machine, not with the configuration.
#[derive(Debug)]
pub enum EnvironmentError {
    /// A PEM file, named by its configuration key.
    Pem { key: String, file: PathBuf, reason: String },
    /// `listen.tls`: the two files are not a pair.
    KeyMismatch { cert: PathBuf, key: PathBuf },
    /// Another Sluice writes to `data_dir`.
    DataDirInUse { dir: PathBuf },
    /// `data_dir` can't be written to, or `dir` can't be made in it or above it.
    DataDir { dir: PathBuf, reason: io::Error },
}

/// Everything that is missing, without changing anything on the machine: a `data_dir` that does
/// not exist is fine when it could be made.
pub fn verify(config: &Config) -> Vec<EnvironmentError> {
    let mut missing = Vec::new();
    if let Some(tls) = &config.listen.tls {
        missing.extend(verify_pair(tls).err());
    }
    for (i, upstream) in config.upstreams.iter().enumerate() {
        let ca_file = upstream.tls.as_ref().and_then(|tls| tls.ca_file.as_ref());
        if let Some(file) = ca_file {
            missing.extend(certificates(&format!("upstream[{}].ca_file", i + 1), file).err());
        }
    }
    missing.extend(verify_data_dir(&config.data_dir).err());
    missing
}

/// As [`verify`], for a start: makes `data_dir`.
///
/// # Errors
/// Everything that is missing.
pub fn prepare(config: &Config) -> Result<(), Vec<EnvironmentError>> {
    let missing = verify(config);
    if !missing.is_empty() {
        return Err(missing);
    }
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|reason| vec![EnvironmentError::DataDir { dir: config.data_dir.clone(), reason }])
}

fn verify_pair(tls: &ListenTls) -> Result<(), EnvironmentError> {
    let chain = certificates("listen.tls.cert", &tls.cert)?;
    let wrong_key =
        |reason| EnvironmentError::Pem { key: String::from("listen.tls.key"), file: tls.key.clone(), reason };
    let key =
        PrivateKeyDer::from_pem_file(&tls.key).map_err(|reason| wrong_key(say(reason, "private key")))?;
    let key = ring::sign::any_supported_type(&key)
        .map_err(|_| wrong_key(String::from("it holds a private key of a kind that TLS here cannot use")))?;
    match CertifiedKey::new(chain, key).keys_match() {
        // A key whose public half is not known to the library is left to the handshake.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(EnvironmentError::KeyMismatch { cert: tls.cert.clone(), key: tls.key.clone() })
        }
        Err(reason) => Err(EnvironmentError::Pem {
            key: String::from("listen.tls.cert"),
            file: tls.cert.clone(),
            reason: reason.to_string(),
        }),
    }
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, EnvironmentError> {
    let wrong = |reason| EnvironmentError::Pem { key: key.to_owned(), file: file.to_owned(), reason };
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(list) if list.is_empty() => Err(wrong(say(pem::Error::NoItemsFound, "certificate"))),
        Ok(list) => Ok(list),
        Err(reason) => Err(wrong(say(reason, "certificate"))),
    }
}

fn say(reason: pem::Error, wanted: &str) -> String {
    match reason {
        pem::Error::Io(reason) => reason.to_string(),
        pem::Error::NoItemsFound => format!("it holds no {wanted} in PEM form"),
        _ => format!("it is not valid PEM with a {wanted}"),
    }
}

/// Asks the kernel rather than trying, so that nothing is left behind.
fn verify_data_dir(data_dir: &Path) -> Result<(), EnvironmentError> {
    let wrong = |dir: &Path, reason| Err(EnvironmentError::DataDir { dir: dir.to_owned(), reason });
    // The nearest one that exists; "" is the working directory.
    let existing =
        data_dir.ancestors().find(|dir| dir.as_os_str().is_empty() || dir.symlink_metadata().is_ok());
    let existing = existing.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match existing.metadata() {
        Ok(metadata) if !metadata.is_dir() => {
            return wrong(existing, io::Error::from(io::ErrorKind::NotADirectory));
        }
        Ok(_) => {}
        Err(reason) => return wrong(existing, reason),
    }
    match faccessat(AT_FDCWD, existing, AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS) {
        Ok(()) => Ok(()),
        Err(reason) => wrong(existing, io::Error::from(reason)),
    }
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvironmentError::Pem { key, file, reason } => write!(f, "{key}: {}: {reason}", file.display()),
            EnvironmentError::KeyMismatch { cert, key } => write!(
                f,
                "listen.tls: the key in {} does not belong to the first certificate in {}",
                key.display(),
                cert.display()
            ),
            EnvironmentError::DataDirInUse { dir } => write!(
                f,
                "data_dir: another Sluice writes to {}; end that one, or name another with --data-dir",
                dir.display()
            ),
            EnvironmentError::DataDir { dir, reason } => write!(
                f,
                "data_dir: cannot write to {}: {reason}; let the user that runs Sluice own it, or name \
                 another with --data-dir",
                dir.display()
            ),
        }
    }
}

impl std::error::Error for EnvironmentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EnvironmentError::DataDir { reason, .. } => Some(reason),
            EnvironmentError::Pem { .. }
            | EnvironmentError::KeyMismatch { .. }
            | EnvironmentError::DataDirInUse { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn pair(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed([String::from("proxy.example")]).unwrap();
        let (cert, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        fs::write(&cert, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (cert, key)
    }

    fn said(cert: &Path, key: &Path) -> String {
        let tls = ListenTls { cert: cert.to_owned(), key: key.to_owned(), listen: Vec::new() };
        verify_pair(&tls).err().map_or_else(String::new, |reason| reason.to_string())
    }

    #[test]
    fn certificate_and_key_are_a_readable_pair() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = pair(dir.path(), "one");
        let (_, other_key) = pair(dir.path(), "two");
        assert_eq!(said(&cert, &key), "");
        assert!(said(&cert, &other_key).contains("does not belong"));
        assert!(said(&key, &key).contains("holds no certificate"));
        assert!(said(&cert, &cert).contains("holds no private key"));
        assert!(said(&dir.path().join("gone"), &key).contains("listen.tls.cert"));
    }

    #[test]
    fn a_data_dir_may_be_made_later_but_not_inside_a_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(verify_data_dir(&dir.path().join("a/b/c")).is_ok());
        assert!(!dir.path().join("a").exists());
        assert!(verify_data_dir(dir.path()).is_ok());
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let said = verify_data_dir(&file.join("below")).unwrap_err().to_string();
        assert!(said.contains("file") && said.contains("--data-dir"), "{said}");
    }
}
