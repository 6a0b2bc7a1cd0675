//! Figures of another process from /proc.

use std::fs;

/// Ticks of a second in /proc/PID/stat: `USER_HZ`, which Linux keeps at 100 for programs.
const TICKS: f64 = 100.0;

/// User and system time so far, in seconds (`utime` and `stime` of /proc/PID/stat).
pub fn cpu_seconds(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold blanks; after it, these are fields 14 and 15 of proc(5).
    let (_, fields) = text.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / TICKS
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
