//! Counts allocations and their bytes, in a test that runs in a process of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use nix::libc;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static OF_SESSIONS: AtomicU64 = AtomicU64::new(0);
static OF_OTHERS: AtomicU64 = AtomicU64::new(0);
/// The bytes that were allocated, less those that were freed.
static KEPT: AtomicI64 = AtomicI64::new(0);

/// The system's allocator.
struct CountingAllocator;

/// The allocations and reallocations while [`counted`] ran.
#[derive(Debug)]
pub struct Allocations {
    /// Of the threads that forward.
    pub of_sessions: u64,
    pub of_others: u64,
}

/// Counts the allocations of all threads while `body` runs.
pub fn counted(body: impl FnOnce()) -> Allocations {
    let before = (OF_SESSIONS.load(Ordering::SeqCst), OF_OTHERS.load(Ordering::SeqCst));
    IS_COUNTING.store(true, Ordering::SeqCst);
    body();
    IS_COUNTING.store(false, Ordering::SeqCst);
    Allocations {
        of_sessions: OF_SESSIONS.load(Ordering::SeqCst) - before.0,
        of_others: OF_OTHERS.load(Ordering::SeqCst) - before.1,
    }
}

/// The bytes that all threads allocate while `body` runs and do not free before its end.
pub fn kept_bytes(body: impl FnOnce()) -> i64 {
    let before = KEPT.load(Ordering::SeqCst);
    counted(body);
    KEPT.load(Ordering::SeqCst) - before
}

fn count(bytes: usize) {
    if IS_COUNTING.load(Ordering::Relaxed) {
        KEPT.fetch_add(bytes as i64, Ordering::Relaxed);
        let counter = if forwards() { &OF_SESSIONS } else { &OF_OTHERS };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn uncount(bytes: usize) {
    if IS_COUNTING.load(Ordering::Relaxed) {
        KEPT.fetch_sub(bytes as i64, Ordering::Relaxed);
    }
}

/// Returns whether the calling thread is named as those that forward, without an allocation.
fn forwards() -> bool {
    let mut name = [0_u8; 16];
    #[allow(unsafe_code, reason = "the standard library's way to a thread's name may allocate")]
    // SAFETY: the kernel writes at most 16 bytes, with a zero at the end.
    unsafe {
        libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
    }
    let name = CStr::from_bytes_until_nul(&name).unwrap_or_default().to_bytes();
    name.ends_with(b"-up") || name.ends_with(b"-down")
}

#[allow(unsafe_code, reason = "an allocator is unsafe by its nature")]
// SAFETY: all calls are passed to the system's allocator as they are.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are those that the system's allocator wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        uncount(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        uncount(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
