//! Figures of other processes from /proc.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// CPU time and context switches of processes so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub cpu_nanoseconds: u64,
    /// Each is a thread that waited: its wake-up.
    pub voluntary_switches: u64,
    /// Each is a thread that another one took the CPU from.
    pub involuntary_switches: u64,
}

impl Usage {
    /// The sum over all threads. The switches of threads that have ended are left out.
    pub fn of(processes: &[u32]) -> Usage {
        let cpu_nanoseconds = processes.iter().map(|process| cpu_time(*process).as_nanos() as u64).sum();
        let mut usage = Usage { cpu_nanoseconds, ..Usage::default() };
        for task in processes.iter().flat_map(|process| tasks(*process)) {
            // It is empty if the thread has just ended.
            let status = fs::read_to_string(task.join("status")).unwrap_or_default();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.map_or(0, |line| line.trim().parse::<u64>().unwrap())
            };
            usage.voluntary_switches += field("voluntary_ctxt_switches:");
            usage.involuntary_switches += field("nonvoluntary_ctxt_switches:");
        }
        usage
    }

    pub fn since(self, before: Usage) -> Usage {
        Usage {
            cpu_nanoseconds: self.cpu_nanoseconds.saturating_sub(before.cpu_nanoseconds),
            voluntary_switches: self.voluntary_switches.saturating_sub(before.voluntary_switches),
            involuntary_switches: self.involuntary_switches.saturating_sub(before.involuntary_switches),
        }
    }
}

/// User and system time so far, in seconds.
pub fn cpu_seconds(process: u32) -> f64 {
    cpu_time(process).as_secs_f64()
}

/// The process's clock of CPU time, which has the time of threads that have ended, too, and no ticks.
fn cpu_time(process: u32) -> Duration {
    let clock = clock_getcpuclockid(Pid::from_raw(process as i32)).and_then(clock_gettime);
    clock.map_or(Duration::ZERO, Duration::from)
}

/// A process and its children.
pub fn with_children(parent: u32) -> Vec<u32> {
    let mut processes = vec![parent];
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let text = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name in parentheses may hold blanks; after it come the state and the parent.
        let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
        if fields.split(' ').nth(1) == Some(parent.to_string().as_str()) {
            processes.push(process);
        }
    }
    processes
}

/// The system calls that the processes make within `time`, counted by `perf`. None if it can't count them here.
pub fn system_calls(processes: &[u32], time: Duration) -> Option<f64> {
    let list: Vec<String> = processes.iter().map(u32::to_string).collect();
    let output = Command::new("perf")
        .args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", &list.join(",")])
        .args(["sleep", &time.as_secs_f64().to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().find(|line| line.contains("sys_enter"))?.split(',').next()?.parse().ok()
}

fn tasks(process: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{process}/task"));
    entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The number of threads.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

/// The number of open files.
pub fn files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Memory, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: f64,
    /// Modified and not shared with other processes.
    pub private_dirty: f64,
}

impl Memory {
    pub fn of(pid: u32) -> Memory {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Memory { resident: field("Rss:"), private_dirty: field("Private_Dirty:") }
    }
}

/// The depth that a thread's stack has reached, to the page.
#[derive(Debug)]
pub struct StackUse {
    pub thread: String,
    pub is_main: bool,
    /// From the lower end of the stack up to the lowest page that was ever touched.
    pub untouched: usize,
}

/// The stacks of all threads that wait in the kernel.
pub fn stacks(pid: u32) -> Vec<StackUse> {
    let mut stacks = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let task = entry.unwrap().path();
        let (Ok(name), Ok(call)) =
            (fs::read_to_string(task.join("comm")), fs::read_to_string(task.join("syscall")))
        else {
            continue; // It has just ended.
        };
        // "number six-arguments stack-pointer program-counter", or "running".
        let Some(pointer) = call.split_whitespace().nth(7) else {
            continue;
        };
        let pointer = usize::from_str_radix(pointer.trim_start_matches("0x"), 16).unwrap();
        let untouched = untouched_below(&pid.to_string(), pointer);
        stacks.push(StackUse {
            thread: name.trim().to_owned(),
            is_main: task.ends_with(pid.to_string()),
            untouched,
        });
    }
    stacks
}

/// The untouched part of the calling thread's stack.
pub fn own_untouched_stack() -> usize {
    let local = 0_u8;
    untouched_below("self", std::ptr::from_ref(&local) as usize)
}

/// The distance from the start of the mapping that contains `pointer` to its first page that is present.
/// A stack starts above its guard page; its upper end can't be told from the maps, where it may
/// have grown together with a neighbour.
fn untouched_below(pid: &str, pointer: usize) -> usize {
    use std::os::unix::fs::FileExt;
    const PRESENT: u64 = 1 << 63;
    let page = page_size();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let number = |text: &str| usize::from_str_radix(text, 16).unwrap();
    let start = maps
        .lines()
        .filter_map(|line| line.split(' ').next()?.split_once('-'))
        .map(|(start, end)| (number(start), number(end)))
        .find(|(start, end)| (*start..*end).contains(&pointer))
        .map(|(start, _)| start)
        .unwrap();
    let pagemap = fs::File::open(format!("/proc/{pid}/pagemap")).unwrap();
    let mut lowest = start;
    let mut entry = [0; 8];
    while lowest < pointer {
        pagemap.read_exact_at(&mut entry, (lowest / page * 8) as u64).unwrap();
        if u64::from_ne_bytes(entry) & PRESENT != 0 {
            break;
        }
        lowest += page;
    }
    lowest - start
}

/// 4 KiB, but 16 on a Raspberry Pi 5.
pub fn page_size() -> usize {
    let text = fs::read_to_string("/proc/self/smaps").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("KernelPageSize:")).unwrap();
    let size: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    size * 1024
}
