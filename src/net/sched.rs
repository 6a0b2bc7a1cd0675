//! The scheduling of threads: what forwards runs first, everything else gives way.

use std::io;
use std::mem::MaybeUninit;

use nix::libc;

/// The niceness of background threads.
const BACKGROUND_NICENESS: i32 = 10;

/// The time slice of a forwarding thread in nanoseconds. It needs 5 to 30 µs for a message; the least that Linux takes is
/// 100 µs.
const FORWARDING_SLICE: u64 = 100_000;

/// Makes the calling thread a background thread (`SCHED_BATCH` and a higher niceness), which does not preempt a
/// forwarding thread when it wakes up. If the system refuses, the thread is scheduled as before, which does no harm; the
/// log names it by `thread`.
pub fn yield_to_others(thread: &str) {
    let lowered = attributes().and_then(|mut attributes| {
        attributes.sched_policy = policy(libc::SCHED_BATCH);
        attributes.sched_nice = BACKGROUND_NICENESS;
        set(&attributes)
    });
    if let Err(why) = lowered {
        log::debug!("could not lower the scheduling priority of {thread}, which does no harm: {why}");
    }
}

/// Asks for short time slices for the calling thread. From Linux 6.12 on, a thread with a short slice that wakes up
/// preempts one with a longer slice, such as another program's: beside two busy programs on two CPUs, 90 of 100 shares
/// were forwarded within 0.2 ms instead of 3. Older systems ignore it. It does not change the thread's share of the CPU.
pub fn wake_first() {
    let asked = attributes().and_then(|mut attributes| {
        // An owner who runs Sluice with another policy has a reason.
        if attributes.sched_policy != policy(libc::SCHED_OTHER) {
            return Ok(());
        }
        attributes.sched_runtime = FORWARDING_SLICE;
        set(&attributes)
    });
    if let Err(why) = asked {
        log::debug!("could not set the time slice of a forwarding thread, which does no harm: {why}");
    }
}

/// A policy as the attributes have it. All policies are small positive numbers.
fn policy(number: libc::c_int) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// The scheduling attributes of the calling thread (sched_getattr(2)).
fn attributes() -> io::Result<libc::sched_attr> {
    let mut attributes = MaybeUninit::<libc::sched_attr>::zeroed();
    let size = size_of::<libc::sched_attr>();
    // SAFETY: the kernel writes at most `size` bytes to the struct, which lives until the call returns; 0 is the
    // calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attributes.as_mut_ptr(), size, 0) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all of its fields are numbers, which were zeroed above and may have been written by the kernel.
    Ok(unsafe { attributes.assume_init() })
}

/// Sets the attributes of the calling thread (sched_setattr(2)).
fn set(attributes: &libc::sched_attr) -> io::Result<()> {
    // SAFETY: the kernel reads the struct, which lives until the call returns and tells its own size; 0 is the calling
    // thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_its_own_scheduling() {
        let here = attributes().unwrap();
        let background = std::thread::spawn(|| {
            yield_to_others("a test's thread");
            // A background thread stays one.
            wake_first();
            attributes().unwrap()
        });
        let background = background.join().unwrap();
        assert_eq!(background.sched_policy, policy(libc::SCHED_BATCH));
        assert_eq!(background.sched_nice, BACKGROUND_NICENESS);
        let forwarding = std::thread::spawn(|| {
            wake_first();
            attributes().unwrap()
        });
        let forwarding = forwarding.join().unwrap();
        assert_eq!((forwarding.sched_policy, forwarding.sched_nice), (here.sched_policy, here.sched_nice));
        // Kernels before 6.12 tell no slice.
        assert!([0, FORWARDING_SLICE].contains(&forwarding.sched_runtime), "{}", forwarding.sched_runtime);
        assert_eq!(attributes().unwrap().sched_policy, here.sched_policy);
    }
}
