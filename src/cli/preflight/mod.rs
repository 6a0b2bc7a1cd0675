//! What a configuration needs of the machine: certificates, keys, ports, a directory to write to. One
//! list for `check`, which only tells, and for `run`, which does not start without it.

mod error;
mod files;
mod itself;
mod ports;

use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, access, faccessat};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

pub use error::EnvironmentError;

use super::data_dir_lock::is_taken;
use crate::config::{Config, ListenTls, NotifyRecipient, ReferenceConfig};
use crate::net::pem;
use crate::util::os_error::describe;

/// What the machine has to say about a configuration.
#[derive(Debug, Default)]
pub struct Findings {
    /// With these nothing can start.
    pub errors: Vec<EnvironmentError>,
    /// What will be missed while running, and may come to be; one sentence each.
    pub warnings: Vec<String>,
}

/// Everything that is missing, without changing anything on the machine: a `data_dir` that does
/// not exist is fine when it could be made.
pub fn verify(config: &Config) -> Findings {
    let mut found = Findings::default();
    if let Some(tls) = &config.listen.tls {
        found.errors.extend(verify_pair(tls).err());
    }
    for (i, upstream) in config.upstreams.iter().enumerate() {
        let ca_file = upstream.tls.as_ref().and_then(|tls| tls.ca_file.as_ref());
        if let Some(file) = ca_file {
            found.errors.extend(certificates(&format!("upstream[{}].ca_file", i + 1), file).err());
        }
    }
    for (i, reference) in config.references.iter().enumerate() {
        if let ReferenceConfig::Node { cookie: Some(cookie), .. } = reference {
            found.warnings.extend(verify_cookie(i + 1, cookie).err());
        }
    }
    for (i, notify) in config.notify.iter().enumerate() {
        if let NotifyRecipient::Exec { command } = &notify.to {
            let program = command.first().map_or("", |word| word.expose());
            found.warnings.extend(verify_program(i + 1, program).err());
        }
    }
    found.warnings.extend(files::verify(config));
    found.errors.extend(itself::verify(config));
    let writable = verify_data_dir(&config.data_dir);
    found.errors.extend(writable.err());
    if is_taken(&config.data_dir) {
        found.warnings.push(format!(
            "data_dir: a Sluice runs with {} at the moment, so whether the ports are free was not tested; a \
             second one needs another data_dir and other ports",
            config.data_dir.display()
        ));
    } else {
        found.errors.extend(ports::verify(config));
    }
    found
}

/// As [`verify`], for a start: makes `data_dir`. Answers with what will be missed.
///
/// # Errors
/// Everything that is missing.
pub fn prepare(config: &Config) -> Result<Vec<String>, Vec<EnvironmentError>> {
    if is_taken(&config.data_dir) {
        return Err(vec![EnvironmentError::DataDirInUse { dir: config.data_dir.clone() }]);
    }
    let Findings { errors, warnings } = verify(config);
    if !errors.is_empty() {
        return Err(errors);
    }
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|reason| vec![EnvironmentError::DataDir { dir: config.data_dir.clone(), reason }])?;
    Ok(warnings)
}

fn verify_pair(tls: &ListenTls) -> Result<(), EnvironmentError> {
    let chain = certificates("listen.tls.cert", &tls.cert)?;
    let wrong_key =
        |reason| EnvironmentError::Pem { key: String::from("listen.tls.key"), file: tls.key.clone(), reason };
    let key = pem::private_key(&tls.key).map_err(wrong_key)?;
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
    pem::certificates(file).map_err(|reason| EnvironmentError::Pem {
        key: key.to_owned(),
        file: file.to_owned(),
        reason,
    })
}

/// A node makes its cookie when it starts, so that a missing one is no reason not to start here.
fn verify_cookie(number: usize, cookie: &Path) -> Result<(), String> {
    let read = File::open(cookie).map(drop);
    read.map_err(|reason| {
        format!(
            "reference[{number}].cookie: can't read {}: {}; the node is not asked before this file is there and \
             Sluice's user may read it",
            cookie.display(),
            describe(&reason)
        )
    })
}

fn verify_program(number: usize, program: &str) -> Result<(), String> {
    let is_program = |file: &Path| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
    let found = if program.contains('/') {
        is_program(Path::new(program))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| is_program(&dir.join(program)))
    };
    if found {
        return Ok(());
    }
    // Any word of a command may be a secret.
    Err(format!(
        "notify[{number}].command: its program is not there, or this user may not run it; no alert reaches it"
    ))
}

/// Asks the kernel, and then makes an empty directory for a moment. Nothing is left behind.
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
    if let Err(reason) =
        faccessat(AT_FDCWD, existing, AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS)
    {
        return wrong(existing, io::Error::from(reason));
    }
    // File systems of the kernel, such as /proc, say yes and then take nothing.
    let trial = existing.join(format!(".sluice-check-{}", std::process::id()));
    match std::fs::create_dir(&trial).and_then(|()| std::fs::remove_dir(&trial)) {
        Ok(()) => Ok(()),
        Err(reason) => wrong(existing, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

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
