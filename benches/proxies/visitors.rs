//! The effect of the page's visitors on the miners' shares: one that requests the page without a pause, and 500 hostile
//! ones that read the page byte by byte or never finish their request.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::common;
use super::common::pool::Pool;
use super::contenders::Contender;
use super::runs::{Run, Turn};
use super::scenarios::Scenario;

/// The name of the scenario.
pub const NAME: &str = "visitors of the page, 100 miners, 2000 shares/s in all";
pub const MINERS: usize = 100;
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

const STATES: [(&str, Visitors); 4] = [
    ("sluice copy, nobody looks", Visitors::Nobody),
    ("sluice copy, one asks without a pause", Visitors::Busy),
    ("sluice copy, 500 slow readers", Visitors::SlowReaders),
    ("sluice copy, 500 slow senders", Visitors::SlowSenders),
];

/// Measures Sluice with each kind of visitors, in turns.
pub fn measure(pool: &Pool, cpus: usize, rounds: usize, time: Duration, run: &mut Run) {
    let contenders = Contender::start_all(pool.address, &["copy".to_owned()]);
    let Some(sluice) = contenders.last() else { return };
    let Some(page) = sluice.page else { return };
    let scenario = Scenario::open(NAME, MINERS, 2000.0);
    for round in 0..rounds {
        for turn in 0..STATES.len() {
            let (name, visitors) = STATES[(turn + round) % STATES.len()];
            let stop = AtomicBool::new(false);
            let figures = std::thread::scope(|scope| {
                scope.spawn(|| visit(visitors, page, &stop));
                std::thread::sleep(SETTLE);
                let figures = scenario.measure(sluice, pool, time, round);
                stop.store(true, Ordering::Relaxed);
                figures
            });
            run.push(Turn { cpus, scenario: NAME.to_owned(), round, contender: name.to_owned(), figures });
        }
    }
}

fn visit(visitors: Visitors, page: SocketAddr, stop: &AtomicBool) {
    match visitors {
        Visitors::Nobody => {}
        Visitors::Busy => request_pages(page, stop),
        slow => visit_slowly(slow, page, stop),
    }
}

fn request_pages(page: SocketAddr, stop: &AtomicBool) {
    let mut answer = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut visitor = common::connect(page);
        answer.clear();
        // A visitor that is turned away comes again.
        let _ = visitor.write_all(REQUEST).and_then(|()| visitor.read_to_end(&mut answer));
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
