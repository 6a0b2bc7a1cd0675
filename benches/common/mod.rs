//! Shared code of the benchmarks: processes under test, a simulated pool and miners, statistics and tables.

#![allow(dead_code, reason = "each bench uses its part")]

pub mod clock;
pub mod lines;
pub mod miners;
pub mod pool;
pub mod proc;
pub mod proxies;
pub mod schedule;

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::gettid;

/// Long enough for a busy machine, short enough for a bench that hangs.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub const SUBSCRIBE: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bench/1.0\"]}\n";
pub const AUTHORIZE: &[u8] = b"{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"bench\",\"x\"]}\n";

/// A number from the environment, such as `BENCH_ROUNDS=3`.
pub fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// The words of a list in the environment, such as `BENCH_CONTENDERS=direct,haproxy`.
pub fn words(name: &str) -> Vec<String> {
    let text = std::env::var(name).unwrap_or_default();
    text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// Connects with the socket options of miners and pools.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    tune(&stream);
    stream
}

pub fn tune(stream: &TcpStream) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
}

/// Lets the calling thread run before all others, if the system permits it and it is wanted: miners and pools are other
/// machines in reality, and never wait for the proxy's CPU. Threads and processes that it starts are not affected.
pub fn run_first() {
    let thread = gettid().to_string();
    let command = ["--reset-on-fork", "--fifo", "--pid", "1", thread.as_str()];
    let done = setting("BENCH_REALTIME", 1) == 1
        && Command::new("chrt")
            .args(command)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if !done {
        println!("Pool and miners run without real-time priority.");
    }
}

/// A listener on a free port of loopback, and its address.
pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The middle value; of an even number of values, the mean of the middle two.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 0 { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] }
}

/// The values a quarter below and above which the others are.
pub fn quartiles(values: &[f64]) -> [f64; 2] {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    [0.25, 0.75].map(|part| values[(last as f64 * part).round() as usize])
}

/// Waits for a condition, with a deadline.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Prints a Markdown table, the first column to the left and the others to the right.
pub fn print_table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let line = |cells: Vec<&str>| {
        let mut line = String::from("|");
        for (column, cell) in cells.iter().enumerate() {
            let width = width(column);
            let _ = if column == 0 {
                write!(line, " {cell:<width$} |")
            } else {
                write!(line, " {cell:>width$} |")
            };
        }
        println!("{line}");
    };
    line(head.to_vec());
    let mut rule = String::from("|");
    for column in 0..head.len() {
        let dashes = "-".repeat(width(column) + 1);
        rule += &if column == 0 { format!("{dashes}-|") } else { format!("{dashes}:|") };
    }
    println!("{rule}");
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
}
