//! A thread's place in the scheduler's eyes.

use std::io;

use nix::libc;

/// Marks the calling thread as one that never needs to run at once (`SCHED_BATCH`): when it wakes up,
/// it does not push aside a thread that is just passing a message on.
///
/// # Errors
/// What the system says; the thread is scheduled as before then.
pub fn yield_to_others() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads the one struct it is given a pointer to, which lives until it returns;
    // 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_marked() {
        yield_to_others().unwrap();
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Field 41, counted behind the name, which may hold spaces (proc(5)).
        let policy = stat.rsplit(')').next().unwrap().split_whitespace().nth(41 - 3).unwrap();
        assert_eq!(policy, libc::SCHED_BATCH.to_string());
    }
}
