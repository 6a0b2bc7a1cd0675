//! Aggregate mode compared with passthrough mode: connecting miners, broadcasting jobs, checking and forwarding
//! shares, and the memory of a miner.
//!
//! There are three processes: this one is the pool and measures, one is Sluice, and one is all miners. So each has at
//! most two sockets a miner. To have all shares forwarded, the pool sets a difficulty that every hash reaches. To have
//! them all checked by Sluice alone, it sets one that no hash reaches: that costs the same as a share that is good
//! enough for its miner and not for the pool, which would take thousands of hashes to find.
//!
//! "first ms" and "last ms" are from the pool's write of a job until it is in the first and the last miner's socket, by the
//! kernel's stamps: the median of the jobs; "worst ms" is the latest of all. The miners read it later, because their reading
//! would take the processor from the sending, and miners are other machines in reality.
//!
//! "CPU µs a share" is the CPU time of Sluice for a share that is forwarded and its answer, one of each miner at a time.
//! "back s" is the time from the pool's restart, which takes a second, until each miner has a job again.
//!
//! Settings: `BENCH_MINERS` (instead of 100,1000,5000), `BENCH_SHARES` (of each kind, 40,000), `BENCH_JOBS` (9),
//! `BENCH_MODE` (one of the modes).

#[path = "../common/mod.rs"]
mod common;
mod miners;
mod pool;

use std::time::{Duration, Instant};

use common::proc::{self, Memory};
use common::proxies::Proxy;
use common::{median, print_table, setting, words};
use miners::{MinersProcess, PIPELINED};
use pool::Pool;

/// A difficulty that no hash reaches.
const NO_HASH: f64 = 1e12;
/// The time until all threads wait again.
const SETTLE: Duration = Duration::from_millis(800);
/// The time for which the pool is down at its restart.
const RESTART: Duration = Duration::from_secs(1);
/// Keeps the rejected shares of a miner below the hundred after which Sluice disconnects it.
const MAX_REJECTED_ROUNDS: usize = 88 / PIPELINED;

fn main() {
    sluice::net::process::raise_fd_limit().unwrap();
    if miners::is_this_process() {
        return miners::serve();
    }
    let mut counts = words("BENCH_MINERS").iter().map(|word| word.parse().unwrap()).collect::<Vec<usize>>();
    if counts.is_empty() {
        counts = vec![100, 1000, 5000];
    }
    let head = [
        "",
        "connections/s",
        "shares/s judged",
        "shares/s forwarded",
        "CPU µs a share",
        "first ms",
        "last ms",
        "worst ms",
        "RSS KiB a miner",
        "threads",
        "back s",
    ];
    for count in counts {
        let only = std::env::var("BENCH_MODE").ok();
        let modes = ["aggregate", "passthrough"].into_iter();
        let modes = modes.filter(|mode| only.as_deref().is_none_or(|only| only == *mode));
        let figures: Vec<_> = modes.map(|mode| measure(mode, count)).collect();
        println!("\n{count} miners\n");
        let mut rows: Vec<_> = figures.iter().map(Figures::row).collect();
        if let [one, other] = &figures[..] {
            rows.push(Figures::ratios(one, other));
        }
        print_table(&head, &rows);
    }
}

/// The measurements of one mode with one number of miners.
struct Figures {
    mode: &'static str,
    /// In the order of the table's columns; `None` for a column that does not apply.
    values: Vec<Option<f64>>,
}

impl Figures {
    fn row(&self) -> Vec<String> {
        let mut row = vec![self.mode.to_owned()];
        row.extend(self.values.iter().map(|value| match value {
            Some(value) if *value >= 1000.0 => format!("{value:.0}"),
            Some(value) => format!("{value:.1}"),
            None => "-".to_owned(),
        }));
        row
    }

    fn ratios(one: &Figures, other: &Figures) -> Vec<String> {
        let ratio = |(one, other): (&Option<f64>, &Option<f64>)| match (one, other) {
            (Some(one), Some(other)) => format!("{:.2}", one / other),
            _ => "-".to_owned(),
        };
        let mut row = vec![format!("{} / {}", one.mode, other.mode)];
        row.extend(one.values.iter().zip(&other.values).map(ratio));
        row
    }
}

fn measure(mode: &'static str, count: usize) -> Figures {
    let pool = Pool::start();
    let upstream = format!("[[upstream]]\nurl = \"stratum+tcp://{}\"\nuser = \"bench\"\n", pool.address);
    let proxy = Proxy::sluice_in(mode, &upstream);
    std::thread::sleep(SETTLE);
    let before = Memory::of(proxy.pid());
    let mut miners = MinersProcess::start();

    let connecting = miners.ask(&format!("connect {count} {}", proxy.address));
    std::thread::sleep(SETTLE);
    let resident = (Memory::of(proxy.pid()).resident - before.resident) / count as f64;
    let threads = proc::threads(proxy.pid());

    let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
    for _ in 0..setting("BENCH_JOBS", 9) {
        let began = pool.send_job();
        std::thread::sleep(SETTLE);
        let arrivals = miners.ask(&format!("arrivals {}", began.as_nanos()));
        firsts.push(1000.0 * arrivals[0]);
        lasts.push(1000.0 * arrivals[1]);
    }
    let rounds = setting("BENCH_SHARES", 40_000).div_ceil(count * PIPELINED).max(2);
    let total = |rounds: usize| (rounds * PIPELINED * count) as f64;
    let forwarded = miners.ask(&format!("shares {rounds} {PIPELINED}"));
    assert_eq!(forwarded[1], 0.0, "{mode}, {count} miners: shares to be forwarded were refused");
    let forwarded = total(rounds) / forwarded[0];
    std::thread::sleep(SETTLE);
    let single_rounds = setting("BENCH_SHARES", 40_000).div_ceil(count).max(2);
    let cpu_before = proc::cpu_seconds(proxy.pid());
    miners.ask(&format!("shares {single_rounds} 1"));
    std::thread::sleep(SETTLE);
    let cpu = (proc::cpu_seconds(proxy.pid()) - cpu_before) / (single_rounds * count) as f64;
    let judged = (mode == "aggregate").then(|| {
        let seen = pool.shares();
        pool.set_difficulty(NO_HASH);
        let began = pool.send_job();
        miners.ask(&format!("arrivals {}", began.as_nanos()));
        let rounds = rounds.min(MAX_REJECTED_ROUNDS);
        let judged = miners.ask(&format!("shares {rounds} {PIPELINED}"));
        assert_eq!((pool.shares(), judged[1]), (seen, total(rounds)), "shares no hash reaches were taken");
        total(rounds) / judged[0]
    });
    miners.order(&format!("reconnect {count} {}", proxy.address));
    let restarted = Instant::now();
    pool.go_down();
    std::thread::sleep(RESTART);
    pool.come_back();
    miners.read_answer();
    let back = restarted.elapsed().as_secs_f64();
    Figures {
        mode,
        values: vec![
            Some(count as f64 / connecting[0]),
            judged,
            Some(forwarded),
            Some(1e6 * cpu),
            Some(median(firsts)),
            Some(median(lasts.iter().copied())),
            Some(lasts.iter().copied().fold(0.0, f64::max)),
            Some(resident),
            Some(threads as f64),
            Some(back),
        ],
    }
}
