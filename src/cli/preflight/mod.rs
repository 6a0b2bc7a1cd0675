//! Checks of what a configuration needs of the machine: certificates, keys, ports, the data directory. `check` reports
//! the faults; `run` does not start with them.

mod listen_addresses;

use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, access, faccessat};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

pub(super) use self::listen_addresses::check_upstreams;
use super::CommandFailure;
use super::data_dir_lock::{in_use, is_locked};
use crate::config::{Config, ForwardPath, ListenTls, Mode, NotifyRecipient, ReferenceConfig};
use crate::net::inherited::InheritedSockets;
use crate::net::pem;
use crate::net::process::{self, OWN_DESCRIPTORS, SOCKETS_PER_SESSION};
use crate::proxy::passthrough::DESCRIPTORS_PER_PIPE;
use crate::util::os_error::describe;

/// The result of the checks.
#[derive(Debug, Default)]
pub struct PreflightReport {
    /// Faults with which Sluice can't start; each with what to do about it.
    pub errors: Vec<String>,
    /// Faults that Sluice can run with, and that may go away; one sentence each.
    pub warnings: Vec<String>,
}

/// Runs all checks without changing anything on the machine. A `data_dir` that does not exist is fine if it can be
/// created, and an address in use if its socket is `inherited`.
pub fn check(config: &Config, inherited: &InheritedSockets) -> PreflightReport {
    let mut report = PreflightReport::default();
    if let Some(tls) = &config.listen.tls {
        report.errors.extend(check_pair(tls).err());
    }
    for (i, upstream) in config.upstreams.iter().enumerate() {
        if let Some(file) = upstream.tls.as_ref().and_then(|tls| tls.ca_file.as_ref()) {
            report.errors.extend(certificates(&format!("upstream[{}].ca_file", i + 1), file).err());
        }
    }
    for (i, reference) in config.references.iter().enumerate() {
        if let ReferenceConfig::Node { cookie: Some(cookie), .. } = reference {
            report.warnings.extend(check_cookie(i + 1, cookie).err());
        }
    }
    for (i, notify) in config.notify.iter().enumerate() {
        if let NotifyRecipient::Exec { command } = &notify.to {
            let program = command.first().map_or("", |word| word.expose());
            report.warnings.extend(check_program(i + 1, program).err());
        }
    }
    report.warnings.extend(check_open_files(config));
    report.errors.extend(check_upstreams(config));
    report.errors.extend(check_data_dir(&config.data_dir).err());
    if is_locked(&config.data_dir) {
        report.warnings.push(format!(
            "data_dir: a Sluice runs with {} at the moment, so it was not tested whether the ports are free; a \
             second Sluice needs another data_dir and other ports",
            config.data_dir.display()
        ));
    } else {
        report.errors.extend(listen_addresses::check_ports(config, inherited));
    }
    report
}

/// Runs all checks for a start and creates `data_dir`. Returns the warnings.
///
/// # Errors
/// All faults with which Sluice can't start. An inherited socket that no address is configured for is one of them.
pub fn prepare(config: &Config, inherited: &InheritedSockets) -> Result<Vec<String>, CommandFailure> {
    let unused = inherited.without_use(&listen_addresses::configured(config));
    if !unused.is_empty() {
        return Err(CommandFailure::ConfigFaults(unused));
    }
    if is_locked(&config.data_dir) {
        return Err(vec![in_use(&config.data_dir)].into());
    }
    let PreflightReport { errors, warnings } = check(config, inherited);
    if !errors.is_empty() {
        return Err(errors.into());
    }
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|reason| vec![not_writable(&config.data_dir, &reason)])?;
    Ok(warnings)
}

fn check_pair(tls: &ListenTls) -> Result<(), String> {
    let (cert_file, key_file) = (tls.cert.display(), tls.key.display());
    let chain = certificates("listen.tls.cert", &tls.cert)?;
    let wrong_key = |reason: &str| format!("listen.tls.key: {key_file}: {reason}");
    let key = pem::private_key(&tls.key).map_err(|reason| wrong_key(&reason))?;
    let key = ring::sign::any_supported_type(&key)
        .map_err(|_| wrong_key("its private key is of a kind that Sluice's TLS does not support"))?;
    match CertifiedKey::new(chain, key).keys_match() {
        // If the library can't derive the public key, only a handshake can tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(format!(
            "listen.tls: the key in {key_file} does not belong to the first certificate in {cert_file}"
        )),
        Err(reason) => Err(format!("listen.tls.cert: {cert_file}: {reason}")),
    }
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    pem::certificates(file).map_err(|reason| format!("{key}: {}: {reason}", file.display()))
}

fn not_writable(dir: &Path, reason: &io::Error) -> String {
    format!(
        "data_dir: cannot write to {}: {}; make Sluice's user its owner, or choose another with --data-dir",
        dir.display(),
        describe(reason)
    )
}

/// Only a warning: a node creates its cookie when it starts, which may be later.
fn check_cookie(number: usize, cookie: &Path) -> Result<(), String> {
    File::open(cookie).map(drop).map_err(|reason| {
        let (file, reason) = (cookie.display(), describe(&reason));
        format!(
            "reference[{number}].cookie: can't read {file}: {reason}; the reference is not used until this file exists and \
             Sluice's user may read it"
        )
    })
}

fn check_program(number: usize, program: &str) -> Result<(), String> {
    let is_program = |file: &Path| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
    let exists = if program.contains('/') {
        is_program(Path::new(program))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| is_program(&dir.join(program)))
    };
    if exists {
        return Ok(());
    }
    // The command is not shown: any word of it may be a secret.
    Err(format!(
        "notify[{number}].command: its program does not exist, or this user may not run it; no alert \
         reaches it until that is fixed"
    ))
}

/// Checks the permissions, and then creates and removes an empty directory.
fn check_data_dir(data_dir: &Path) -> Result<(), String> {
    // The nearest ancestor that exists; "" is the working directory.
    let existing =
        data_dir.ancestors().find(|dir| dir.as_os_str().is_empty() || dir.symlink_metadata().is_ok());
    let existing = existing.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    check_writable(existing).map_err(|reason| not_writable(existing, &reason))
}

fn check_writable(dir: &Path) -> io::Result<()> {
    if !dir.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    faccessat(AT_FDCWD, dir, AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS)?;
    // Kernel file systems such as /proc grant permission and then reject the write.
    let test_dir = dir.join(format!(".sluice-check-{}", std::process::id()));
    std::fs::create_dir(&test_dir)?;
    std::fs::remove_dir(&test_dir)
}

/// Raises this process's limit of open files as far as allowed, and checks that it is enough for `listen.max_miners`. A
/// farm should learn of a limit that is too low at the start, not at the thousandth miner.
fn check_open_files(config: &Config) -> Option<String> {
    let per_miner = descriptors_per_miner(config);
    let wanted = OWN_DESCRIPTORS + per_miner * config.listen.max_miners as u64;
    match process::raise_fd_limit() {
        Ok(limit) if limit < wanted => Some(format!(
            "this process may open {limit} files, but listen.max_miners = {} may need {wanted} ({per_miner} for each \
             miner, {OWN_DESCRIPTORS} beside them): raise the limit (LimitNOFILE= in systemd, ulimit -Hn), or lower \
             listen.max_miners",
            config.listen.max_miners
        )),
        Ok(_) => None,
        Err(why) => Some(format!("can't raise the limit of open files: {}", describe(&why))),
    }
}

/// The file descriptors that one miner needs. In aggregate mode miners share their connections to the pool.
fn descriptors_per_miner(config: &Config) -> u64 {
    match (config.mode, config.forward.path, config.analysis.enabled) {
        (Mode::Aggregate, _, _) => 1,
        (_, ForwardPath::Copy, _) => SOCKETS_PER_SESSION,
        (_, ForwardPath::Splice, false) => SOCKETS_PER_SESSION + 2 * DESCRIPTORS_PER_PIPE,
        (_, ForwardPath::Splice, true) => SOCKETS_PER_SESSION + 4 * DESCRIPTORS_PER_PIPE,
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
        check_pair(&tls).err().unwrap_or_default()
    }

    #[test]
    fn certificate_and_key_must_match() {
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
    fn a_data_dir_may_be_created_later_but_not_inside_a_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check_data_dir(&dir.path().join("a/b/c")).is_ok());
        assert!(!dir.path().join("a").exists());
        assert!(check_data_dir(dir.path()).is_ok());
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let message = check_data_dir(&file.join("below")).unwrap_err();
        assert!(message.contains("file") && message.contains("--data-dir"), "{message}");
    }
}
