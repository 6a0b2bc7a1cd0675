//! Sluice beside what forwards blindly: the direct line, haproxy, nginx and socat. Reports the delay of shares and jobs,
//! and what the proxy's process pays for them in CPU time, wake-ups, system calls and memory.
//!
//! Every contender is a process of its own. The pool is one thread of this process, all miners are another. Contenders
//! take turns within each round, so that noise affects all alike; differences and ratios are taken within a round.
//!
//! Settings, all optional:
//! - `BENCH_SCENARIOS=real,closed`: the beginnings of the scenarios' names
//! - `BENCH_MINERS=500`: only the scenarios with so many
//! - `BENCH_CONTENDERS=direct,haproxy,copy`: the contenders' names without "sluice"
//! - `BENCH_CPUS=2,1`: how many CPUs everything shares
//! - `BENCH_ROUNDS=5`, `BENCH_SECONDS=4`: of each turn; the sparse loads take twice as long
//! - `BENCH_RUN=NAME`: keeps the raw figures in `benches/runs/`; `BENCH_TABLES=FILE` prints the tables of such a file
//! - `SLUICE_BINARY=PATH`: another Sluice than the one just built; `SLUICE_BINARY_BEFORE=PATH`: one more, beside it

#[path = "../common/mod.rs"]
mod common;
mod contenders;
mod memory;
mod runs;
mod scenarios;
mod tables;
mod visitors;

use std::process::Command;
use std::time::Duration;

use common::pool::Pool;
use common::{setting, words};
use contenders::Contender;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use runs::{Run, Turn};
use scenarios::Scenario;

fn main() {
    if let Ok(path) = std::env::var("BENCH_TABLES") {
        let (machine, turns) = Run::read(&path);
        println!("{machine}");
        return tables::print(&turns);
    }
    sluice::net::process::raise_fd_limit().unwrap();
    let machine = machine();
    println!("{machine}");
    let mut run = Run::new(std::env::var("BENCH_RUN").ok().as_deref(), &machine);
    let allowed = allowed_cpus();
    let counts = words("BENCH_CPUS");
    let counts: Vec<usize> = match counts.is_empty() {
        true => vec![2, 1],
        false => counts.iter().map(|count| count.parse().expect("BENCH_CPUS is a list of numbers")).collect(),
    };
    common::run_first();
    for cpus in counts {
        use_cpus(&allowed[..cpus.min(allowed.len())]);
        measure_all(&mut run, cpus);
    }
    tables::print_summary(&run.turns);
}

/// Measures all wanted scenarios on the CPUs that are in use.
fn measure_all(run: &mut Run, cpus: usize) {
    let (prefixes, count) = (words("BENCH_SCENARIOS"), setting("BENCH_MINERS", 0));
    let is_wanted = |name: &str, miners: usize| {
        (prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix)))
            && (count == 0 || miners == count)
    };
    let wanted = words("BENCH_CONTENDERS");
    let rounds = setting("BENCH_ROUNDS", 5);
    let time = Duration::from_secs(setting("BENCH_SECONDS", 4) as u64);
    let pool = Pool::start();
    let contenders = Contender::start_all(pool.address, &wanted);
    for scenario in Scenario::all().into_iter().filter(|one| is_wanted(&one.name, one.miners)) {
        let time = if scenario.is_sparse() { 2 * time } else { time };
        for round in 0..rounds {
            for contender in turns_of(&contenders, round).filter(|contender| scenario.suits(contender)) {
                let figures = scenario.measure(contender, &pool, time, round);
                let (scenario, contender) = (scenario.name.clone(), contender.name.clone());
                run.push(Turn { cpus, scenario, round, contender, figures });
            }
        }
        tables::print_last(&run.turns);
    }
    for contender in &contenders {
        for line in contender.log_about("forward.path") {
            println!("{}: {line}", contender.name);
        }
    }
    drop(contenders);
    if is_wanted(visitors::NAME, visitors::MINERS) {
        visitors::measure(&pool, cpus, rounds, time, run);
        tables::print_last(&run.turns);
    }
    if is_wanted(memory::NAME, memory::MINERS) {
        memory::measure(&pool, &wanted, cpus, run);
        tables::print_last(&run.turns);
    }
}

/// The contenders in the order of a round: each begins once, and every second round goes backwards, so that a contender
/// does not always follow the same one.
fn turns_of(contenders: &[Contender], round: usize) -> impl Iterator<Item = &Contender> {
    let count = contenders.len();
    (0..count).map(move |turn| {
        let turn = if round % 2 == 0 { turn } else { count - 1 - turn };
        &contenders[(turn + round) % count]
    })
}

fn allowed_cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect()
}

/// Keeps this thread to these CPUs, and all threads and processes that it starts from now on.
fn use_cpus(cpus: &[usize]) {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu).unwrap();
    }
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

/// A line about the machine and the versions.
fn machine() -> String {
    let script = "printf '%s, %s CPUs, Linux %s' \
        \"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)\" \"$(nproc)\" \"$(uname -r)\"; \
        haproxy -v 2>/dev/null | sed -n '1s/^HAProxy version \\([^ ]*\\).*/, haproxy \\1/p' | tr -d '\\n'; \
        nginx -v 2>&1 | sed -n 's/.*nginx\\//, nginx /p' | tr -d '\\n'; \
        socat -V 2>/dev/null | sed -n 's/^socat version \\([^ ]*\\).*/, socat \\1/p' | tr -d '\\n'";
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
