//! File descriptors: how many this process may open.

use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one (a distribution's default of 1,024 would end at a few
/// hundred miners) and returns it.
///
/// # Errors
/// What the system says; the old limit then stays.
pub fn raise_fd_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// How many this process may open now; `u64::MAX` when the system does not say.
pub fn fd_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

/// Whether a call failed because no descriptor was left, here (`EMFILE`) or in the whole system
/// (`ENFILE`).
pub fn is_out_of_fds(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(Errno::EMFILE as i32) || code == Some(Errno::ENFILE as i32)
}
