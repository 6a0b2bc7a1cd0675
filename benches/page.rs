//! The effect of the page's visitors on the miners' shares: the round trip of a share and its answer without visitors,
//! with one that requests the page without a pause, and with 500 hostile ones that read the page byte by byte or never
//! finish their request.
//!
//! The loads take turns; ratios are taken within a round, against the quiet one.
//!
//! Settings: `BENCH_ROUNDS`, `BENCH_MESSAGES` (a round), `BENCH_PAUSE` (microseconds between two messages).

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::proxies::Proxy;
use common::{ANSWER, Quantiles, median, print_table, setting};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
const HOSTILE: usize = 500;
/// The pause between two bytes of a hostile visitor.
const BYTE_INTERVAL: Duration = Duration::from_millis(100);
/// The pause before a rejected visitor reconnects.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// The time until the load is established.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Visitors {
    Nobody,
    /// One request after the other, without a pause.
    Busy,
    SlowReaders,
    SlowSenders,
}

fn main() {
    let rounds = setting("BENCH_ROUNDS", 5);
    let messages = setting("BENCH_MESSAGES", 4000);
    let pause = Duration::from_micros(setting("BENCH_PAUSE", 500) as u64);
    let (listener, pool) = common::listen();
    common::start_pool(listener, None);
    let page = common::listen().1;
    let more = format!("[http]\nlisten = \"{page}\"\n");
    let proxy = Proxy::sluice("sluice", pool, &more);
    let miner = common::connect(proxy.address);
    common::subscribe(&miner, None).unwrap();

    let states = [
        ("nobody looks", Visitors::Nobody),
        ("one asks without a pause", Visitors::Busy),
        ("500 slow readers", Visitors::SlowReaders),
        ("500 slow senders", Visitors::SlowSenders),
    ];
    println!("\nShare and answer, microseconds ({rounds} rounds of {messages}, pause {pause:?})\n");
    let mut results = vec![Vec::new(); states.len()];
    let mut answered = vec![0; states.len()];
    for round in 0..=rounds {
        for turn in 0..states.len() {
            let place = (turn + round) % states.len();
            let load = Load::start(states[place].1, page);
            std::thread::sleep(SETTLE);
            let quantiles = Quantiles::of(&mut round_trips(&miner, messages, pause));
            answered[place] += load.end();
            if round > 0 {
                results[place].push(quantiles);
            }
        }
    }
    let rows: Vec<Vec<String>> =
        (0..states.len()).map(|place| row(states[place].0, &results, place)).collect();
    print_table(&["", "p50", "p99", "p99.9", "p50 / quiet", "p99 / quiet"], &rows);
    println!(
        "\nThe busy visitor got {} pages; slow readers and senders take {BYTE_INTERVAL:?} a byte.",
        answered[1]
    );
}

fn row(name: &str, results: &[Vec<Quantiles>], place: usize) -> Vec<String> {
    let own = &results[place];
    let at = |i: usize| median(own.iter().map(|round| round.0[i]));
    let ratio = |i: usize| median(own.iter().zip(&results[0]).map(|(own, quiet)| own.0[i] / quiet.0[i]));
    let mut row = vec![name.to_owned()];
    row.extend((0..3).map(|i| format!("{:.1}", at(i))));
    row.extend((0..2).map(|i| format!("{:.2}", ratio(i))));
    row
}

fn round_trips(mut miner: &TcpStream, messages: usize, pause: Duration) -> Vec<Duration> {
    let line = common::submit();
    let mut answer = [0; ANSWER.len()];
    let mut delays = Vec::with_capacity(messages);
    for _ in 0..messages {
        std::thread::sleep(pause);
        let start = Instant::now();
        miner.write_all(&line).unwrap();
        miner.read_exact(&mut answer).unwrap();
        delays.push(start.elapsed());
    }
    delays
}

/// Running visitors.
struct Load {
    stop: Arc<AtomicBool>,
    pages: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn start(visitors: Visitors, page: SocketAddr) -> Load {
        let (stop, pages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (stop.clone(), pages.clone());
        let thread = (visitors != Visitors::Nobody).then(|| {
            std::thread::spawn(move || match visitors {
                Visitors::Nobody => {}
                Visitors::Busy => request_pages(page, &stopped, &counted),
                slow => visit_slowly(slow, page, &stopped),
            })
        });
        Load { stop, pages, thread }
    }

    /// Ends the visitors. Returns the number of whole pages.
    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.pages.load(Ordering::Relaxed)
    }
}

fn request_pages(page: SocketAddr, stop: &AtomicBool, pages: &AtomicU64) {
    let mut answer = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut visitor = common::connect(page);
        answer.clear();
        if visitor.write_all(REQUEST).and_then(|()| visitor.read_to_end(&mut answer)).is_ok() {
            pages.fetch_add(u64::from(answer.starts_with(b"HTTP/1.1 200")), Ordering::Relaxed);
        }
    }
}

/// Runs all of them in one thread: only the server should be busy.
fn visit_slowly(visitors: Visitors, page: SocketAddr, stop: &AtomicBool) {
    let mut all: Vec<Result<TcpStream, Instant>> = (0..HOSTILE).map(|_| Err(Instant::now())).collect();
    while !stop.load(Ordering::Relaxed) {
        for one in &mut all {
            let is_over = match one {
                Ok(stream) if visitors == Visitors::SlowReaders => is_closed(stream.read(&mut [0])),
                Ok(stream) => is_closed(stream.write(b"x")),
                Err(since) if since.elapsed() >= RECONNECT_PAUSE => {
                    *one = open_slow(visitors, page).ok_or_else(Instant::now);
                    false
                }
                Err(_) => false,
            };
            if is_over {
                *one = Err(Instant::now());
            }
        }
        std::thread::sleep(BYTE_INTERVAL);
    }
}

fn open_slow(visitors: Visitors, page: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(page).ok()?;
    let begin = if visitors == Visitors::SlowReaders { REQUEST } else { &REQUEST[..20] };
    stream.write_all(begin).ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

fn is_closed(result: std::io::Result<usize>) -> bool {
    match result {
        Ok(length) => length == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}
