//! Many miners at once: each has its own connection, and together they send a steady number of shares a second. Reports
//! the round trip of a share and its answer, and the proxy's CPU time.
//!
//! The variants take turns: connect all miners, measure for a few seconds, disconnect. Figures are
//! medians over the rounds. Shares are due at fixed times, and a late answer does not delay the next share, unless
//! it is so late that the sender itself falls behind, which is then counted.
//!
//! Settings: `BENCH_MINERS` (one number instead of 100, 500 and 2000), `BENCH_RATE` (shares/s),
//! `BENCH_SECONDS`, `BENCH_ROUNDS`.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use common::proxies::Proxy;
use common::{ANSWER, Quantiles, median, print_table, proc, setting};

/// Sender threads. Each sends for its part of the miners and waits for the answer, so this is also the number of shares
/// in flight.
const SENDERS: usize = 4;
/// The time after connecting and disconnecting until all threads wait.
const SETTLE: Duration = Duration::from_millis(500);

struct Variant {
    name: String,
    address: SocketAddr,
    proxy: Option<Proxy>,
    rounds: Vec<Round>,
}

struct Round {
    quantiles: Quantiles,
    sent: usize,
    /// Shares that left more than a millisecond after they were due.
    late: usize,
    cpu_seconds: f64,
}

fn main() {
    let (rounds, rate) = (setting("BENCH_ROUNDS", 3), setting("BENCH_RATE", 2000));
    let time = Duration::from_secs(setting("BENCH_SECONDS", 5) as u64);
    let counts = match setting("BENCH_MINERS", 0) {
        0 => vec![100, 500, 2000],
        count => vec![count],
    };
    let files = sluice::net::process::raise_fd_limit().unwrap();

    let (listener, address) = common::listen();
    common::start_pool(listener, None);
    let mut variants = vec![Variant::new("direct", address, None)];
    let mut proxies = vec![
        Proxy::sluice("sluice copy", address, ""),
        Proxy::sluice("sluice splice", address, "[forward]\npath = \"splice\"\n"),
        Proxy::sluice(
            "sluice splice, no analysis",
            address,
            "[forward]\npath = \"splice\"\n[analysis]\nenabled = false\n",
        ),
    ];
    proxies.extend(Proxy::peers(address, &["haproxy", "nginx"]));
    for proxy in proxies {
        variants.push(Variant::new(&proxy.name.clone(), proxy.address, Some(proxy)));
    }

    for miners in counts {
        // Two sockets a miner in this process; the splice path has two sockets and eight pipe ends.
        println!("\n{miners} miners, {rate} shares/s ({rounds} rounds of {time:?}, at most {files} files)\n");
        for variant in &mut variants {
            variant.rounds.clear();
        }
        for round in 0..rounds {
            for turn in 0..variants.len() {
                let index = (turn + round) % variants.len();
                variants[index].measure(miners, rate, time);
            }
        }
        print_table(
            &["", "p50", "p99", "p99.9", "p50 / direct", "late", "CPU s / 1,000 shares"],
            &variants.iter().map(|variant| variant.row(&variants[0].rounds)).collect::<Vec<_>>(),
        );
    }
    for variant in &variants {
        let log = variant.proxy.iter().map(Proxy::stderr).collect::<String>();
        for line in log.lines().filter(|line| line.contains("forward.path")) {
            println!("{}: {line}", variant.name);
        }
    }
}

impl Variant {
    fn new(name: &str, address: SocketAddr, proxy: Option<Proxy>) -> Variant {
        Variant { name: name.to_owned(), address, proxy, rounds: Vec::new() }
    }

    fn measure(&mut self, miners: usize, rate: usize, time: Duration) {
        let miners: Vec<TcpStream> = (0..miners).map(|_| common::connect(self.address)).collect();
        for miner in &miners {
            common::subscribe(miner, None).unwrap();
        }
        std::thread::sleep(SETTLE);
        let cpu_before = self.cpu_seconds();
        let interval = Duration::from_secs_f64(SENDERS as f64 / rate as f64);
        let start = Instant::now();
        let (mut delays, mut late) = (Vec::new(), 0);
        std::thread::scope(|scope| {
            let senders: Vec<_> = miners
                .chunks(miners.len().div_ceil(SENDERS))
                .enumerate()
                .map(|(i, part)| {
                    let first = start + interval * i as u32 / SENDERS as u32;
                    scope.spawn(move || send_all(part, first, interval, time))
                })
                .collect();
            for sender in senders {
                let (own, own_late) = sender.join().unwrap();
                delays.extend(own);
                late += own_late;
            }
        });
        self.rounds.push(Round {
            sent: delays.len(),
            quantiles: Quantiles::of(&mut delays),
            late,
            cpu_seconds: self.cpu_seconds() - cpu_before,
        });
        drop(miners);
        std::thread::sleep(SETTLE);
    }

    fn cpu_seconds(&self) -> f64 {
        self.proxy.as_ref().map_or(0.0, |proxy| proc::cpu_seconds(proxy.pid()))
    }

    fn row(&self, direct: &[Round]) -> Vec<String> {
        let at = |i: usize| median(self.rounds.iter().map(|round| round.quantiles.0[i]));
        let ratio = median(
            self.rounds.iter().zip(direct).map(|(own, direct)| own.quantiles.0[0] / direct.quantiles.0[0]),
        );
        let late = median(self.rounds.iter().map(|round| 100.0 * round.late as f64 / round.sent as f64));
        let cpu = median(self.rounds.iter().map(|round| 1000.0 * round.cpu_seconds / round.sent as f64));
        let cpu = if self.proxy.is_some() { format!("{cpu:.4}") } else { String::new() };
        let mut row = vec![self.name.clone()];
        row.extend((0..3).map(|i| format!("{:.1}", at(i))));
        row.extend([format!("{ratio:.2}"), format!("{late:.1} %"), cpu]);
        row
    }
}

/// Sends a share every `interval`, from one miner after the other, and waits for its answer. Returns the delays, and
/// the number of shares that were sent late.
fn send_all(
    miners: &[TcpStream],
    first: Instant,
    interval: Duration,
    time: Duration,
) -> (Vec<Duration>, usize) {
    let line = common::submit();
    let mut answer = [0; ANSWER.len()];
    let (mut delays, mut late) = (Vec::new(), 0);
    let (mut due, end) = (first, first + time);
    for mut miner in miners.iter().cycle() {
        if due >= end {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let start = Instant::now();
        late += usize::from(start - due > Duration::from_millis(1));
        miner.write_all(&line).unwrap();
        miner.read_exact(&mut answer).unwrap();
        delays.push(start.elapsed());
        due += interval;
    }
    (delays, late)
}
