//! Resources of this process: file descriptors, CPU time and memory.

use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that belong to no session: listeners, files, probes, spare connections.
pub const OWN_DESCRIPTORS: u64 = 128;
/// A session's two sockets, to the miner and to the pool.
pub const SOCKETS_PER_SESSION: u64 = 2;

/// Niceness of a background thread, 10 of 19: a forwarding thread runs first, and a busy machine does
/// not starve this one.
const NICE: libc::c_int = 10;

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
    Ok(hard)
}

/// Number of file descriptors this process may open; `u64::MAX` if unknown.
pub fn fd_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
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

/// Makes the calling thread a background thread (`SCHED_BATCH` and a higher niceness), which does not
/// preempt a forwarding thread when it wakes up. If the system refuses, the thread is scheduled as before, which does
/// no harm; the log names it by `thread`.
pub fn yield_to_others(thread: &str) {
    if let Err(why) = lower_priority() {
        log::debug!("could not lower the scheduling priority of {thread}, which does no harm: {why}");
    }
}

fn lower_priority() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads the one struct it is given a pointer to, which lives until it returns;
    // 0 is the calling thread.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) })?;
    // SAFETY: takes numbers only; on Linux 0 is the calling thread, not its process.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) })
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

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_thread_is_marked_and_no_other() {
        // The fields behind the name, which may hold spaces, from the third on (proc(5)).
        let field = |number: usize| {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            stat.rsplit(')').next().unwrap().split_whitespace().nth(number - 3).unwrap().to_owned()
        };
        let marked = std::thread::spawn(move || {
            lower_priority().unwrap();
            (field(41), field(19))
        });
        assert_eq!(marked.join().unwrap(), (libc::SCHED_BATCH.to_string(), NICE.to_string()));
        assert_eq!(field(19), "0");
    }
}
