//! Resources that a process holds, as the kernel reports them.

use std::fs;

/// Reads those of `self`, or of a process by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    pub threads: usize,
    pub descriptors: usize,
    /// Resident memory.
    pub kib: usize,
}

pub fn of(process: &str) -> Resources {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    Resources {
        threads: field("Threads:"),
        descriptors: fs::read_dir(format!("/proc/{process}/fd")).unwrap().count(),
        kib: field("VmRSS:"),
    }
}
