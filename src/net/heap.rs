//! Giving memory back to the system.

/// Has the allocator return the pages that it keeps of what was freed. glibc keeps most of what thousands
/// of sessions have used, in case it is needed again; musl has no such call and returns more by itself.
/// Other threads that allocate meanwhile may wait some milliseconds.
pub fn release_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::libc;
        // SAFETY: the call takes a number, may be made at any time from any thread, and frees nothing that
        // is in use.
        unsafe { libc::malloc_trim(0) };
    }
}
