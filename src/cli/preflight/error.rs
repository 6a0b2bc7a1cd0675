//! What is wrong with the machine, not with the configuration.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::util::os_error::describe;

/// One thing in the way: what, and what can be done.
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
    /// `[[upstream]]` of this number is an address that Sluice itself listens on.
    Itself { number: usize, address: SocketAddr },
    /// Nobody can be waited for at this address.
    Port {
        key: &'static str,
        flag: Option<&'static str>,
        address: SocketAddr,
        owner: Option<(String, u32)>,
        reason: io::Error,
    },
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
                "data_dir: cannot write to {}: {}; let the user that runs Sluice own it, or name another with \
                 --data-dir",
                dir.display(),
                describe(reason)
            ),
            EnvironmentError::Itself { number, address } => write!(
                f,
                "upstream[{number}].url: this is the address that Sluice listens on ({address}), so each connection \
                 would cause another one; set the pool's own address, or another listen.stratum"
            ),
            EnvironmentError::Port { key, flag, address, owner, reason } => {
                write!(f, "{key}: can't listen on {address}: ")?;
                match reason.kind() {
                    io::ErrorKind::AddrInUse => write_owner(f, *address, owner.as_ref())?,
                    _ => f.write_str(&describe(reason))?,
                }
                f.write_str(match reason.kind() {
                    io::ErrorKind::AddrInUse => "; end that program, or choose another port with ",
                    io::ErrorKind::AddrNotAvailable => "; name one of its own, or 0.0.0.0 for all, with ",
                    io::ErrorKind::PermissionDenied => {
                        "; ports below 1024 are for root (or CAP_NET_BIND_SERVICE): choose a higher one with "
                    }
                    _ => "; choose another with ",
                })?;
                f.write_str(key)?;
                flag.map_or(Ok(()), |flag| write!(f, " or {flag}"))
            }
        }
    }
}

fn write_owner(
    f: &mut fmt::Formatter<'_>,
    address: SocketAddr,
    owner: Option<&(String, u32)>,
) -> fmt::Result {
    match owner {
        Some((name, number)) if name == "sluice" => {
            write!(f, "another Sluice (process {number}) uses this port already")
        }
        Some((name, number)) => write!(f, "{name:?} (process {number}) uses this port already"),
        None => write!(
            f,
            "another program uses this port already (as root, ss -ltnp 'sport = :{}' shows which)",
            address.port()
        ),
    }
}

impl std::error::Error for EnvironmentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EnvironmentError::DataDir { reason, .. } | EnvironmentError::Port { reason, .. } => Some(reason),
            EnvironmentError::Pem { .. }
            | EnvironmentError::KeyMismatch { .. }
            | EnvironmentError::DataDirInUse { .. }
            | EnvironmentError::Itself { .. } => None,
        }
    }
}
