//! File descriptors: how many this process may open.

use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that belong to no session: listeners, files, probes, warm connections.
pub const OWN_DESCRIPTORS: u64 = 128;
/// A session's two sockets, to the miner and to the pool.
pub const SOCKETS_PER_SESSION: u64 = 2;

/// Raises the soft limit to the hard one (a distribution's default of 1,024 would end at a few
/// hundred miners) and returns it.
///
/// # Errors
/// What the system says; the old limit then stays.
pub fn raise_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// How many this process may open now; `u64::MAX` when the system does not say.
pub fn limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

/// What to do when no descriptor is left.
pub fn used_up_advice() -> String {
    format!(
        "this process has all {} files open that it may (connections count); raise the limit (LimitNOFILE= in \
         systemd, ulimit -Hn) to at least {} + {} for each miner, or lower listen.max_miners",
        limit(),
        OWN_DESCRIPTORS,
        SOCKETS_PER_SESSION
    )
}

/// Whether a call failed because no descriptor was left, here (`EMFILE`) or in the whole system
/// (`ENFILE`).
pub fn are_used_up(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(Errno::EMFILE as i32) || code == Some(Errno::ENFILE as i32)
}
