//! A test in a process of its own, for what belongs to a whole process: its memory, threads and descriptors, or a
//! static. All other tests share one process.

use std::any::type_name;
use std::process::{Command, Stdio};

/// Says in the child that it is one.
const IS_OWN: &str = "SLUICE_TEST_OWN_PROCESS";

/// Runs the calling test's body in a process that runs nothing else. The test consists of this call alone.
pub fn in_own_process<F: FnOnce()>(body: F) {
    if std::env::var_os(IS_OWN).is_some() {
        return body();
    }
    // `suite::module::test::{{closure}}`: the closure is named after its function.
    let closure = type_name::<F>();
    let name = closure.strip_suffix("::{{closure}}").unwrap_or(closure);
    let (_, name) = name.split_once("::").unwrap_or(("", name));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--include-ignored", "--test-threads=1"])
        .env(IS_OWN, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    println!("{said}");
    // Without the count a name that is none of a test would pass.
    assert!(child.status.success() && said.contains("1 passed"), "{name} failed in a process of its own");
}
