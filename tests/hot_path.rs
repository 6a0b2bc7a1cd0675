//! The price of a forwarded message in system calls and allocations.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::common::allocations::counted;
use crate::common::binary::Sluice;
use crate::common::own_process::in_own_process;
use crate::common::{BarePool, DEADLINE, Proxy, round_trip, upstream, wait_for};

const MESSAGES: usize = 64;

fn share(id: usize) -> String {
    format!(
        "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.rig\",\
         \"65a\",\"0000000{}\",\"6b00f9a4\",\"{id:08x}\"]}}\n",
        id % 10
    )
}

fn job(id: usize) -> String {
    let branches = vec![format!("\"{id:064x}\""); 12].join(",");
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{id:x}\",\"{id:064x}\",\"{}\",\"{}\",[{branches}],\
         \"20000000\",\"17030ecd\",\"6b00f9a4\",false]}}\n",
        "01".repeat(120),
        "02".repeat(160)
    )
}

/// Shares with their answers, and a job now and then.
fn exchange(miner: &TcpStream, pool: &TcpStream, ids: std::ops::Range<usize>) {
    for id in ids {
        round_trip(miner, pool, &share(id));
        round_trip(pool, miner, &format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n"));
        if id % 16 == 0 {
            round_trip(pool, miner, &job(id));
        }
    }
}

#[test]
fn forwarding_allocates_nothing() {
    in_own_process(|| {
        let pool = BarePool::start();
        let proxy = Proxy::start(&upstream(pool.address()));
        let miner = proxy.connect();
        let at_pool = pool.accept();
        // Buffers reach the size of the messages, and there are as many of them as ever wait for the analyzer at once:
        // how many that are depends on when its thread runs.
        let mut messages = (0..).step_by(400);
        wait_for("messages without an allocation", || {
            let first = messages.next().unwrap();
            let allocations = counted(|| exchange(&miner, &at_pool, first..first + 400));
            wait_for("the analyzer", || proxy.snapshot().summary.shares as usize == first + 400);
            // The counter counts: the analyzer allocates.
            allocations.of_sessions == 0 && allocations.of_others > 0
        });
    });
}

#[test]
fn a_forwarded_message_costs_two_system_calls() {
    let pool = BarePool::start();
    let data = tempfile::tempdir().unwrap();
    let sluice = Sluice::run(&format!(
        "data_dir = {:?}\n[record]\nflush = \"100ms\"\n[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"\"\n[ntp]\nservers = []\n[report]\nconsole = \"off\"\n{}",
        data.path(),
        pool.upstream()
    ));
    let miner = sluice.connect();
    let at_pool = pool.accept();
    // The analyzer gives more buffers back than the copies below need, so that the allocator is not called.
    exchange(&miner, &at_pool, 0..3 * MESSAGES);
    let rows = || std::fs::read_to_string(data.path().join("shares.csv")).unwrap_or_default().lines().count();
    wait_for("the rows of all shares", || rows() > 3 * MESSAGES);
    for (thread, from, to) in [("1-up", &miner, &at_pool), ("1-down", &at_pool, &miner)] {
        let calls = calls_of(sluice.id(), thread, || {
            for id in 0..MESSAGES {
                round_trip(from, to, &share(id));
            }
        });
        // One read more: the one that waits for the next message.
        let expected = BTreeMap::from([(libc::SYS_recvmsg, MESSAGES + 1), (libc::SYS_sendto, MESSAGES)]);
        assert_eq!(calls, expected, "{thread}");
    }
}

/// The number of each system call that the thread begins from the read in which it waits, while `body` runs, and up to
/// the next read.
fn calls_of(process: u32, thread: &str, body: impl FnOnce()) -> BTreeMap<libc::c_long, usize> {
    let thread = std::fs::read_dir(format!("/proc/{process}/task"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|entry| std::fs::read_to_string(entry.path().join("comm")).unwrap().trim() == thread)
        .unwrap_or_else(|| panic!("there is no thread {thread}"));
    let thread = Pid::from_raw(thread.file_name().to_str().unwrap().parse().unwrap());
    let (is_done, (reads, waits)) = (AtomicBool::new(false), mpsc::channel());
    std::thread::scope(|scope| {
        // Only the thread that traces another one is told of its stops.
        let tracer = scope.spawn(|| trace(thread, &is_done, reads));
        if waits.recv_timeout(DEADLINE).is_ok() {
            body();
        }
        is_done.store(true, Ordering::SeqCst);
        tracer.join().unwrap()
    })
}

fn trace(thread: Pid, is_done: &AtomicBool, waits: mpsc::Sender<()>) -> BTreeMap<libc::c_long, usize> {
    ptrace::seize(thread, Options::PTRACE_O_TRACESYSGOOD).unwrap();
    // Its read ends and begins again.
    ptrace::interrupt(thread).unwrap();
    let (mut calls, mut last) = (BTreeMap::new(), 0);
    while last != libc::SYS_recvmsg || !is_done.load(Ordering::SeqCst) {
        match waitpid(thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)).unwrap() {
            WaitStatus::StillAlive => std::thread::sleep(Duration::from_micros(20)),
            stop => {
                let info = ptrace::syscall_info(thread).unwrap();
                if let (WaitStatus::PtraceSyscall(_), libc::PTRACE_SYSCALL_INFO_ENTRY) = (stop, info.op) {
                    #[allow(unsafe_code, reason = "the kernel's union; its kind was just checked")]
                    // SAFETY: at the beginning of a call the kernel fills in this part.
                    let number = unsafe { info.u.entry.nr };
                    last = libc::c_long::try_from(number).unwrap();
                    *calls.entry(last).or_default() += 1;
                    if last == libc::SYS_recvmsg {
                        let _ = waits.send(());
                    }
                }
                ptrace::syscall(thread, None).unwrap();
            }
        }
    }
    // The thread is traced until its tracer ends.
    calls
}
