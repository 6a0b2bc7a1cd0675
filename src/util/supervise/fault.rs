//! Faults on purpose, for the tests of the real program: a service panics or hangs when a file of its
//! name appears in the directory that `SLUICE_TEST_FAULTS` names. Builds for release, which have no
//! debug assertions, never look.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// Panics or hangs if the thread of this name is to. A file that says `hang` stops the thread for as long
/// as the file is there; any other is removed, and makes it panic once. One that says `always` stays.
pub(super) fn check(thread: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(directory) = directory() else { return };
    let file = directory.join(thread);
    match std::fs::read_to_string(&file).as_deref() {
        Err(_) => {}
        Ok("hang") => {
            while file.exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok("always") => panic!("on purpose, and again"),
        Ok(_) => {
            let _ = std::fs::remove_file(&file);
            panic!("on purpose");
        }
    }
}

/// A shorter time after which threads count as stuck.
pub(super) fn stale_after() -> Option<Duration> {
    directory()?;
    let text = std::env::var("SLUICE_TEST_STALE_MS").ok()?;
    text.parse().ok().map(Duration::from_millis)
}

fn directory() -> Option<&'static PathBuf> {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return None;
    }
    DIRECTORY.get_or_init(|| std::env::var_os("SLUICE_TEST_FAULTS").map(PathBuf::from)).as_ref()
}
