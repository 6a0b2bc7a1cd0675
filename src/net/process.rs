//! Resources of this process: file descriptors, CPU time and memory.

use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that belong to no session: listeners, files, probes, spare connections.
pub const OWN_DESCRIPTORS: u64 = 128;
/// A session's two sockets, to the miner and to the pool.
pub const SOCKETS_PER_SESSION: u64 = 2;

/// Raises the soft limit of file descriptors to the hard one and returns it. A distribution's default
/// of 1,024 would only suffice for a few hundred miners.
///
/// # Errors
/// Errors of the system; the limit is then unchanged.
pub fn raise_fd_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(wide(hard))
}

/// Number of file descriptors this process may open; `u64::MAX` if unknown.
pub fn fd_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| wide(soft))
}

/// Widens a limit: on 32-bit processors it has 32 bits.
#[allow(clippy::useless_conversion, reason = "rlim_t is u64 already on 64-bit processors")]
fn wide(limit: libc::rlim_t) -> u64 {
    limit.into()
}

/// Advice for when no descriptor is left.
pub fn fd_advice() -> String {
    format!(
        "this process has all {} files open that it may (connections count); raise the limit (LimitNOFILE= in \
         systemd, ulimit -Hn) to at least {} + {} for each miner, or lower listen.max_miners",
        fd_limit(),
        OWN_DESCRIPTORS,
        SOCKETS_PER_SESSION
    )
}

/// True if a call failed because no descriptor was left, here (`EMFILE`) or in the whole system
/// (`ENFILE`).
pub fn is_out_of_fds(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(Errno::EMFILE as i32) || code == Some(Errno::ENFILE as i32)
}

/// Makes the allocator return freed pages to the system. glibc keeps most of the memory that thousands
/// of sessions have used; musl has no such call and returns more by itself. Other threads that allocate
/// meanwhile may wait some milliseconds.
pub fn release_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: the call takes a number, may be made at any time from any thread, and frees nothing that
        // is in use.
        unsafe { libc::malloc_trim(0) };
    }
}
