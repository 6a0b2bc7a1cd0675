//! The delay that a proxy adds to a message: the round trip of a share of 180 bytes and its answer of 40 bytes; and a
//! job of 1,400 bytes one way, from the pool to the miner.
//!
//! All variants are connected at once and take turns, so that they meet the same machine. Figures
//! are medians over the rounds; ratios and differences are taken within a round, against the direct
//! connection.
//!
//! Settings: `BENCH_ROUNDS`, `BENCH_MESSAGES` (a round), `BENCH_PAUSE` (microseconds between two messages).

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::proxies::Proxy;
use common::{ANSWER, Quantiles, median, print_table, setting};

/// Lets the receiver wait before the next job comes, as a miner does.
const JOB_INTERVAL: Duration = Duration::from_micros(200);

/// A direct or proxied path between miner and pool.
struct Variant {
    name: String,
    proxy: Option<Proxy>,
    /// The pool's end answers in a thread.
    shares: TcpStream,
    jobs: Pair,
}

/// Both ends of one connection.
struct Pair {
    miner: TcpStream,
    pool: TcpStream,
}

fn main() {
    let rounds = setting("BENCH_ROUNDS", 15);
    let messages = setting("BENCH_MESSAGES", 5000);
    let pause = Duration::from_micros(setting("BENCH_PAUSE", 0) as u64);
    let (pool, address) = common::listen();

    let mut variants = vec![Variant::new("direct", None, address, &pool)];
    let off = "[analysis]\nenabled = false\n";
    let splice = "[forward]\npath = \"splice\"\n";
    let mut proxies = vec![
        Proxy::sluice("sluice copy", address, ""),
        Proxy::sluice("sluice copy, no analysis", address, off),
        Proxy::sluice("sluice splice", address, splice),
        Proxy::sluice("sluice splice, no analysis", address, &format!("{splice}{off}")),
    ];
    proxies.extend(Proxy::peers(address, &["haproxy", "nginx", "socat"]));
    for proxy in proxies {
        let (name, at) = (proxy.name.clone(), proxy.address);
        variants.push(Variant::new(&name, Some(proxy), at, &pool));
    }

    println!("\nShare and answer, microseconds ({rounds} rounds of {messages}, pause {pause:?})\n");
    let line = common::submit();
    let results =
        take_turns(&mut variants, rounds, |variant| round_trips(&variant.shares, &line, messages, pause));
    print_results(&variants, &results);

    let jobs = messages / 5;
    println!("\nJob one way, microseconds ({rounds} rounds of {jobs}, pause {JOB_INTERVAL:?})\n");
    let job = common::notify();
    let results = take_turns(&mut variants, rounds, |variant| one_way(&variant.jobs, &job, jobs));
    print_results(&variants, &results);
}

impl Variant {
    /// Connects through `address`; what arrives at `pool` is the other end.
    fn new(name: &str, proxy: Option<Proxy>, address: SocketAddr, pool: &TcpListener) -> Variant {
        let connect = || {
            let miner = common::connect(address);
            let (pool, _) = pool.accept().unwrap();
            common::tune(&pool);
            Pair { miner, pool }
        };
        let shares = connect();
        common::answer_in_thread(shares.pool, None);
        common::subscribe(&shares.miner, None).unwrap();
        let jobs = connect();
        for line in [common::SUBSCRIBE, common::AUTHORIZE] {
            (&jobs.miner).write_all(line).unwrap();
            common::expect(&jobs.pool, line).unwrap();
            (&jobs.pool).write_all(ANSWER).unwrap();
            common::expect(&jobs.miner, ANSWER).unwrap();
        }
        Variant { name: name.to_owned(), proxy, shares: shares.miner, jobs }
    }
}

/// Measures every variant once a round, in a rotating order; the first round is not counted. Returns a list for each
/// variant with an entry for each round.
fn take_turns(
    variants: &mut [Variant],
    rounds: usize,
    mut measure: impl FnMut(&Variant) -> Vec<Duration>,
) -> Vec<Vec<Quantiles>> {
    let mut results = vec![Vec::new(); variants.len()];
    for round in 0..=rounds {
        for turn in 0..variants.len() {
            let index = (turn + round) % variants.len();
            let quantiles = Quantiles::of(&mut measure(&variants[index]));
            if round > 0 {
                results[index].push(quantiles);
            }
        }
    }
    results
}

fn round_trips(mut miner: &TcpStream, line: &[u8], messages: usize, pause: Duration) -> Vec<Duration> {
    let mut answer = [0; ANSWER.len()];
    let mut delays = Vec::with_capacity(messages);
    for _ in 0..messages {
        let start = Instant::now();
        miner.write_all(line).unwrap();
        miner.read_exact(&mut answer).unwrap();
        delays.push(start.elapsed());
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    assert_eq!(&answer, ANSWER);
    delays
}

fn one_way(pair: &Pair, job: &[u8], messages: usize) -> Vec<Duration> {
    let (arrived, arrivals) = mpsc::channel();
    let mut delays = Vec::with_capacity(messages);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = vec![0; job.len()];
            for _ in 0..messages {
                (&pair.miner).read_exact(&mut buffer).unwrap();
                arrived.send(Instant::now()).unwrap();
            }
        });
        for _ in 0..messages {
            std::thread::sleep(JOB_INTERVAL);
            let start = Instant::now();
            (&pair.pool).write_all(job).unwrap();
            delays.push(arrivals.recv().unwrap() - start);
        }
    });
    delays
}

fn print_results(variants: &[Variant], results: &[Vec<Quantiles>]) {
    let mut rows = Vec::new();
    for (variant, rounds) in variants.iter().zip(results) {
        let at = |i: usize| median(rounds.iter().map(|round| round.0[i]));
        let against_direct = |compare: fn(f64, f64) -> f64, i: usize| {
            median(rounds.iter().zip(&results[0]).map(|(own, direct)| compare(own.0[i], direct.0[i])))
        };
        let mut row = vec![variant.name.clone()];
        row.extend((0..3).map(|i| format!("{:.1}", at(i))));
        row.push(format!("{:.2}", against_direct(|own, direct| own / direct, 0)));
        row.extend((0..2).map(|i| format!("{:+.1}", against_direct(|own, direct| own - direct, i))));
        rows.push(row);
    }
    print_table(&["", "p50", "p99", "p99.9", "p50 / direct", "added p50", "added p99"], &rows);
    for variant in variants {
        // Sluice logs here if it can't splice.
        let log = variant.proxy.iter().map(Proxy::stderr).collect::<String>();
        for line in log.lines().filter(|line| line.contains("forward.path")) {
            println!("{}: {line}", variant.name);
        }
    }
}
