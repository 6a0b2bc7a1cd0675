//! Deliberate faults for tests of the real program: a service panics or hangs when a file with its name appears in
//! the directory named by `SLUICE_TEST_FAULTS`. Release builds, which have no debug assertions, never check.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// Panics or hangs if there is a file for this thread. With the content `hang` the thread hangs while the file exists;
/// with `always` it panics each time; with any other content it removes the file and panics once.
pub(crate) fn check(thread: &str) {
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

/// The time after which a thread that does not move is reported as stuck: that of a test, or else `usual`.
pub(crate) fn or_test_limit(usual: Duration) -> Duration {
    let of_test = || {
        directory()?;
        std::env::var("SLUICE_TEST_STALE_MS").ok()?.parse().ok().map(Duration::from_millis)
    };
    of_test().unwrap_or(usual)
}

fn directory() -> Option<&'static PathBuf> {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return None;
    }
    DIRECTORY.get_or_init(|| std::env::var_os("SLUICE_TEST_FAULTS").map(PathBuf::from)).as_ref()
}
