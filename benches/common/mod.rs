//! Shared code of the benchmarks: the lines that are sent, a pool that answers them, and statistics.

#![allow(dead_code, reason = "each bench uses its part")]

pub mod proc;
pub mod proxies;

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Long enough for a busy machine, short enough for a bench that hangs.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub const SUBSCRIBE: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bench/1.0\"]}\n";
pub const AUTHORIZE: &[u8] = b"{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"bench\",\"x\"]}\n";
const SUBSCRIBED: &[u8] =
    b"{\"id\":1,\"result\":[[[\"mining.notify\",\"1\"]],\"0a1b2c3d\",8],\"error\":null}\n";
const AUTHORIZED: &[u8] = b"{\"id\":2,\"result\":true,\"error\":null}\n";
/// 40 bytes.
pub const ANSWER: &[u8] = b"{\"id\": 4, \"result\": true, \"error\": null}\n";

const POOL_STACK: usize = 64 * 1024;

/// A share, 180 bytes; the same id each time, as cpuminer sends it.
pub fn submit() -> Vec<u8> {
    let address = "bc1q".to_owned() + &"x".repeat(71);
    let line = format!(
        "{{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"{address}.w01\",\"66fa0c\",\"00000000\",\
         \"674a3f10\",\"9e4c01b2\",\"0137e000\"]}}\n"
    );
    assert_eq!(line.len(), 180);
    line.into_bytes()
}

/// A job, 1,400 bytes.
pub fn notify() -> Vec<u8> {
    let branches: Vec<String> = (0..11).map(|i| format!("\"{}\"", format!("{i:02x}").repeat(32))).collect();
    let (start, end) = (
        "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"66fa0c\",\"",
        format!("\",\"\",[{}],\"20000000\",\"1703255b\",\"674a3f10\",true]}}\n", branches.join(",")),
    );
    let filler = "00".repeat((1400 - start.len() - end.len()) / 2);
    let mut line = format!("{start}{filler}{end}");
    if line.len() < 1400 {
        line.insert(line.len() - 1, ' ');
    }
    assert_eq!(line.len(), 1400);
    line.into_bytes()
}

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

/// Subscribes and authorizes, and waits for the answers, and for `job` if the pool sends one after them.
pub fn subscribe(mut miner: &TcpStream, job: Option<&[u8]>) -> io::Result<()> {
    miner.write_all(SUBSCRIBE)?;
    expect(miner, SUBSCRIBED)?;
    miner.write_all(AUTHORIZE)?;
    expect(miner, AUTHORIZED)?;
    job.map_or(Ok(()), |job| expect(miner, job))
}

/// Reads exactly `expected`.
pub fn expect(mut stream: &TcpStream, expected: &[u8]) -> io::Result<()> {
    let mut found = vec![0; expected.len()];
    stream.read_exact(&mut found)?;
    assert_eq!(found.escape_ascii().to_string(), expected.escape_ascii().to_string());
    Ok(())
}

/// The pool's side of one connection: answers each line, and sends `job` after the answer to authorize.
pub fn answer_all(mut stream: &TcpStream, job: Option<&[u8]>) {
    let mut buffer = [0; 4096];
    let mut lines = 0;
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        for _ in buffer[..length].iter().filter(|byte| **byte == b'\n') {
            lines += 1;
            let sent = match (lines, job) {
                (1, _) => stream.write_all(SUBSCRIBED),
                (2, None) => stream.write_all(AUTHORIZED),
                (2, Some(job)) => stream.write_all(&[AUTHORIZED, job].concat()),
                _ => stream.write_all(ANSWER),
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

/// Runs [`answer_all`] in a thread of its own.
pub fn answer_in_thread(stream: TcpStream, job: Option<Vec<u8>>) {
    tune(&stream);
    stream.set_read_timeout(None).unwrap();
    std::thread::Builder::new()
        .stack_size(POOL_STACK)
        .spawn(move || answer_all(&stream, job.as_deref()))
        .unwrap();
}

/// Serves every connection of `listener` for as long as the bench runs, a thread each.
pub fn start_pool(listener: TcpListener, job: Option<Vec<u8>>) {
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            answer_in_thread(stream, job.clone());
        }
    });
}

/// A listener on a free port of loopback, and its address.
pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Microseconds at p50, p99 and p99.9.
#[derive(Debug, Clone, Copy)]
pub struct Quantiles(pub [f64; 3]);

impl Quantiles {
    pub fn of(delays: &mut [Duration]) -> Quantiles {
        delays.sort_unstable();
        let at = |q: f64| delays[((delays.len() - 1) as f64 * q).round() as usize].as_secs_f64() * 1e6;
        Quantiles([at(0.5), at(0.99), at(0.999)])
    }
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
