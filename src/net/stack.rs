//! The stack of the calling thread.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

use nix::libc;

/// The bytes below a local variable that stay: the rest of its frame, and what a function may use below that (128 bytes
/// on x86-64). They should not reach into another page.
const MARGIN: usize = 512;

/// Gives the pages below the caller's frame back to the system. For a thread that has done its deepest calls (name
/// resolution, TLS handshake) and will wait in shallow ones for hours.
#[inline(never)]
pub fn release_unused_stack() {
    // SAFETY: takes no argument and can't fail.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0);
    if let (Some(lowest), true) = (lowest_address(), page > 0) {
        release_from(lowest, page);
    }
}

/// Gives the pages between `lowest` and this frame back. A function of its own, since the frames of the calls before
/// would be below a local variable of the caller.
#[inline(never)]
fn release_from(lowest: usize, page: usize) {
    let here = 0_u8;
    let here = black_box(&raw const here) as usize;
    let start = lowest.div_ceil(page) * page;
    let end = here.saturating_sub(MARGIN) / page * page;
    if start < end {
        // SAFETY: the range lies within this thread's own stack, below its deepest living frame (which is this
        // one, less than `MARGIN` in size), so that nothing in it is in use. Its pages read as zeros afterwards and
        // may be written again.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// The lowest address of this thread's stack, above its guard page. `None` if the system does not tell.
fn lowest_address() -> Option<usize> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut lowest, mut size) = (ptr::null_mut(), 0);
    // SAFETY: takes no argument and can't fail.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: the call fills in the attributes of a living thread, or fails.
    if unsafe { libc::pthread_getattr_np(thread, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the attributes were filled in above; the pointers are to locals.
    let told = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut size) };
    // SAFETY: the attributes are destroyed once, here.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (told == 0 && size > 0).then_some(lowest as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Touches `depth` KiB of the stack and returns a sum over them.
    #[inline(never)]
    fn touch(depth: usize) -> usize {
        let block = black_box([1_u8; 1024]);
        if depth == 0 { 0 } else { touch(depth - 1) + usize::from(block[depth % 1024]) }
    }

    /// The resident KiB of the mapping that holds `address`.
    fn resident(address: usize) -> usize {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_inside = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            if let Some((Ok(from), Ok(to))) =
                range.map(|(from, to)| (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16)))
            {
                is_inside = (from..to).contains(&address);
            } else if let (true, Some(rss)) = (is_inside, line.strip_prefix("Rss:")) {
                return rss.trim().trim_end_matches(" kB").parse().unwrap();
            }
        }
        panic!("no mapping at {address:x}");
    }

    #[test]
    fn the_deep_part_is_given_back_and_can_be_used_again() {
        let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(|| {
            let kept = [7_u8; 3000];
            let lowest = lowest_address().unwrap() + 4096;
            assert_eq!(touch(200), 200);
            let deep = resident(lowest);
            release_unused_stack();
            let shallow = resident(lowest);
            assert!(deep > 200 && shallow < 64, "{deep} KiB, then {shallow}");
            assert_eq!(touch(200), 200);
            assert!(black_box(kept).iter().all(|byte| *byte == 7));
        });
        thread.unwrap().join().unwrap();
    }
}
