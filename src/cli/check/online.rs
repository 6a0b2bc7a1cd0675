//! `sluice check --online`: connects to the pools and asks the time servers, as a run would. It subscribes, so that a
//! pool that only accepts connections is noticed, and neither authorizes nor submits.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::clock::{Clock, ClockState, UnsyncReason};
use crate::config::{Config, UpstreamConfig};
use crate::net::StreamReader;
use crate::net::dial::DialTimes;
use crate::stratum::{Client, ClientEvent, LineReader};
use crate::upstream::route_to;
use crate::util::escape::printable;
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::thread::{SERVICE_STACK, spawn};

/// The time for everything.
const LIMIT: Duration = Duration::from_secs(20);

/// The time between two looks at the clock that waits for NTP.
const NTP_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Caps the bytes that are read of one pool. The answer to a subscribe has a few hundred.
const MAX_ANSWER: usize = 64 * 1024;

/// The user agent, as pools see it.
const AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

/// Prints a line for each pool and one for the time, all found out at the same time. Returns the failures.
///
/// # Errors
/// A thread can't be started.
pub(super) fn run(config: &Config) -> io::Result<Vec<String>> {
    let (stop, deadline) = (Stop::new(), Instant::now() + LIMIT);
    let clock = Clock::start(&config.ntp, &stop)?;
    let (done, results) = crossbeam_channel::unbounded();
    for (index, pool) in config.upstreams.iter().enumerate() {
        let (pool, stop, done) = (pool.clone(), stop.clone(), done.clone());
        spawn(format!("online-{index}"), SERVICE_STACK, move || {
            // The receiver is closed only when the program ends.
            done.send((index, try_pool(&pool, deadline, &stop))).or(Ok::<(), Stopped>(()))
        })?;
    }
    drop(done);
    let mut results: Vec<(usize, Result<String, String>)> = results.iter().collect();
    results.sort_by_key(|(index, _)| *index);
    let (mut text, mut failures) = (String::from("Online:\n"), Vec::new());
    for (index, result) in results {
        let pool = &config.upstreams[index];
        text.push_str(&match &result {
            Ok(times) => format!("  {}. {pool} answers: {times}\n", index + 1),
            Err(why) => format!("  {}. {pool} does NOT answer: {}\n", index + 1, printable(why)),
        });
        failures
            .extend(result.err().map(|why| format!("upstream[{}]: {pool}: {}", index + 1, printable(&why))));
    }
    text.push_str(&format!("  Time: {}\n", printable(&wait_for_time(&clock, deadline).to_string())));
    stop.stop();
    // stdout may be a closed pipe; the exit code still shows the result.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(failures)
}

/// Waits until the servers have answered, or none of them can.
fn wait_for_time(clock: &Clock, deadline: Instant) -> ClockState {
    loop {
        let state = clock.state();
        let is_pending = matches!(state, ClockState::Unsynchronised { reason: UnsyncReason::Starting, .. });
        if !is_pending || Instant::now() >= deadline {
            return state;
        }
        std::thread::sleep(NTP_CHECK_INTERVAL);
    }
}

/// Connects to a pool and subscribes. Returns how long each step took.
fn try_pool(pool: &UpstreamConfig, deadline: Instant, stop: &Stop) -> Result<String, String> {
    let route = route_to(pool, stop).map_err(|why| why.to_string())?;
    let (stream, times) = route.dial_port(pool.port, deadline, stop).map_err(|why| why.to_string())?;
    let began = Instant::now();
    let mut client: Client<()> = Client::new(AGENT);
    client.subscribe();
    let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let failed = |why: io::Error| format!("connected, but mining.subscribe: {}", describe(&why));
    stream.set_write_timeout(Some(left())).map_err(failed)?;
    stream.send_all(client.take_outgoing().as_bytes()).map_err(failed)?;
    let mut reader = StreamReader::new(stream.into());
    let (mut lines, mut is_accepted) = (LineReader::up_to(MAX_ANSWER), None);
    let (mut buffer, mut read) = ([0; 2048], 0);
    while is_accepted.is_none() {
        reader.stream().set_read_timeout(Some(left())).map_err(failed)?;
        let received = reader.recv(&mut buffer).map_err(failed)?;
        read += received.length;
        if received.length == 0 || read > MAX_ANSWER {
            return Err(String::from("connected, but it does not answer mining.subscribe"));
        }
        lines.read(&buffer[..received.length], |line| {
            let answered = client.take_line(line, ()).into_iter().find_map(|event| match event {
                ClientEvent::SubscribeAnswered { is_accepted } => Some(is_accepted),
                _ => None,
            });
            is_accepted = is_accepted.or(answered);
        });
    }
    match is_accepted {
        Some(true) => Ok(format!("{}, mining.subscribe {}", steps(&times), millis(began.elapsed()))),
        _ => Err(String::from("connected, but it refuses mining.subscribe")),
    }
}

fn steps(times: &DialTimes) -> String {
    let all = [
        ("name", Some(times.resolve)),
        ("connection", Some(times.connect)),
        ("SOCKS5", times.socks5),
        ("TLS", times.tls),
    ];
    let taken = all.iter().filter_map(|(step, time)| Some(format!("{step} {}", millis((*time)?))));
    taken.collect::<Vec<_>>().join(", ")
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
