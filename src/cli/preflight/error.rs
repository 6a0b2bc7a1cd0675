//! Faults of the machine, as opposed to faults of the configuration.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::util::os_error::describe;

/// One fault; its message says what to do about it.
#[derive(Debug)]
pub enum EnvironmentError {
    /// A PEM file that can't be used, with its configuration key.
    Pem { key: String, file: PathBuf, reason: String },
    /// The key of `listen.tls` does not belong to its certificate.
    KeyMismatch { cert: PathBuf, key: PathBuf },
    /// Another Sluice uses `data_dir`.
    DataDirInUse { dir: PathBuf },
    /// `data_dir` can't be written to or created; `dir` is the directory that fails.
    DataDir { dir: PathBuf, reason: io::Error },
    /// The `[[upstream]]` of this number is an address that Sluice itself listens on.
    UpstreamIsSluice { number: usize, address: SocketAddr },
    /// Sluice can't listen on this address.
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
                "data_dir: another Sluice writes to {}; stop that one, or choose another directory with --data-dir",
                dir.display()
            ),
            EnvironmentError::DataDir { dir, reason } => write!(
                f,
                "data_dir: cannot write to {}: {}; make Sluice's user its owner, or choose another with \
                 --data-dir",
                dir.display(),
                describe(reason)
            ),
            EnvironmentError::UpstreamIsSluice { number, address } => write!(
                f,
                "upstream[{number}].url: this is an address that Sluice itself listens on ({address}), so each connection \
                 would cause another one; set the pool's address, or another listen.stratum"
            ),
            EnvironmentError::Port { key, flag, address, owner, reason } => {
                write!(f, "{key}: can't listen on {address}: ")?;
                match reason.kind() {
                    io::ErrorKind::AddrInUse => write_owner(f, *address, owner.as_ref())?,
                    _ => f.write_str(&describe(reason))?,
                }
                f.write_str(match reason.kind() {
                    io::ErrorKind::AddrInUse => "; stop that program, or choose another port with ",
                    io::ErrorKind::AddrNotAvailable => {
                        "; choose one of its addresses, or 0.0.0.0 for all, with "
                    }
                    io::ErrorKind::PermissionDenied => {
                        "; ports below 1024 need root or CAP_NET_BIND_SERVICE: choose a higher port with "
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
        Some((name, pid)) if name == "sluice" => {
            write!(f, "another Sluice (process {pid}) uses this port already")
        }
        Some((name, pid)) => write!(f, "{name:?} (process {pid}) uses this port already"),
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
            | EnvironmentError::UpstreamIsSluice { .. } => None,
        }
    }
}
