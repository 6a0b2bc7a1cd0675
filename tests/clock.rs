//! The clock against NTP servers on loopback: honest, skewed, lying, silent, refusing and broken.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluice::clock::{Clock, ClockState, Offset, Pace, Why};
use sluice::net::Stamp;
use sluice::stop::Stop;

/// Generous: the tests share their processors.
const SLACK_MICROS: i64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Answers; its clock is ahead by so many milliseconds.
    Skewed(i64),
    Silent,
    Kiss(&'static [u8; 4]),
    LeapAlarm,
    Stratum(u8),
    RootDispersion(u32),
    Short,
    /// A datagram that answers nothing, then the answer.
    StrayFirst,
    /// Only answers to a question that was never asked.
    WrongOrigin,
    /// Takes this long in each direction.
    Slow {
        there: Duration,
        back: Duration,
    },
}

struct Server {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<AtomicU32>,
}

impl Server {
    fn start(manner: Manner) -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let manner = Arc::new(Mutex::new(manner));
        let asked = Arc::new(AtomicU32::new(0));
        let (shared, count) = (manner.clone(), asked.clone());
        std::thread::spawn(move || {
            let mut request = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut request) {
                count.fetch_add(1, Ordering::Relaxed);
                assert_eq!(length, 48);
                let manner = *shared.lock().unwrap();
                for answer in answers(&request[..48], manner) {
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        Server { address, manner, asked }
    }

    fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answers(request: &[u8], manner: Manner) -> Vec<Vec<u8>> {
    let mut skew_ms = 0;
    if let Manner::Slow { there, .. } = manner {
        std::thread::sleep(there);
    }
    if let Manner::Skewed(milliseconds) = manner {
        skew_ms = milliseconds;
    }
    let mut packet = vec![0_u8; 48];
    // No leap second, version 4, server; stratum 2.
    (packet[0], packet[1], packet[2], packet[3]) = (0x24, 2, 6, 0xec);
    packet[8..12].copy_from_slice(&656_u32.to_be_bytes());
    packet[12..16].copy_from_slice(&[192, 0, 2, 1]);
    let time = ntp_now(skew_ms);
    packet[16..24].copy_from_slice(&time);
    packet[24..32].copy_from_slice(&request[40..48]);
    packet[32..40].copy_from_slice(&time);
    packet[40..48].copy_from_slice(&time);
    match manner {
        Manner::Silent => return Vec::new(),
        Manner::Kiss(code) => {
            (packet[0], packet[1]) = (0xe4, 0);
            packet[12..16].copy_from_slice(code);
        }
        Manner::LeapAlarm => packet[0] = 0xe4,
        Manner::Stratum(stratum) => packet[1] = stratum,
        Manner::RootDispersion(seconds) => packet[8..12].copy_from_slice(&(seconds << 16).to_be_bytes()),
        Manner::Short => packet.truncate(20),
        Manner::StrayFirst => return vec![b"hello".to_vec(), vec![0x24; 48], packet],
        Manner::WrongOrigin => packet[24] ^= 1,
        Manner::Slow { back, .. } => std::thread::sleep(back),
        Manner::Skewed(_) => {}
    }
    vec![packet]
}

fn ntp_now(skew_ms: i64) -> [u8; 8] {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i128;
    let nanos = nanos + i128::from(skew_ms) * 1_000_000 + 2_208_988_800 * 1_000_000_000;
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let fraction = (rest << 32) / 1_000_000_000;
    (((seconds as u64) << 32) | fraction as u64).to_be_bytes()
}

fn impatient() -> Pace {
    Pace {
        interval: Duration::from_secs(60),
        retry: Duration::from_millis(50),
        between: Duration::from_millis(5),
        timeout: Duration::from_millis(400),
        watch: Duration::from_millis(20),
    }
}

struct Running {
    clock: Clock,
    stop: Stop,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

fn start(servers: &[&Server]) -> Running {
    let names: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    let stop = Stop::new();
    Running { clock: Clock::start_with_pace(&names, impatient(), &stop).unwrap(), stop }
}

fn wait_for(clock: &Clock, what: &str, is_so: impl Fn(&ClockState) -> bool) -> ClockState {
    let begin = Instant::now();
    loop {
        let state = clock.state();
        if is_so(&state) {
            return state;
        }
        assert!(begin.elapsed() < PATIENCE, "{what}: {state:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn synchronised(clock: &Clock) -> (Offset, Duration, usize) {
    let state = wait_for(clock, "synchronised", |state| matches!(state, ClockState::Synchronised { .. }));
    match state {
        ClockState::Synchronised { offset, error_bound, servers, .. } => (offset, error_bound, servers),
        ClockState::Unsynchronised { .. } => unreachable!(),
    }
}

/// What is said when there is no time.
fn refused(clock: &Clock) -> String {
    let is_refused = |state: &ClockState| {
        matches!(state, ClockState::Unsynchronised { why: Why::NoAnswer(_) | Why::Disagreement(_), .. })
    };
    let state = wait_for(clock, "refused", is_refused);
    assert_eq!(clock.offset(), None);
    state.to_string()
}

#[track_caller]
fn assert_near(offset: Offset, milliseconds: i64) {
    let off = offset.micros() - milliseconds * 1000;
    assert!(off.abs() < SLACK_MICROS, "{offset} is not near {milliseconds} ms");
}

#[test]
fn an_honest_server_gives_the_time() {
    let server = Server::start(Manner::Skewed(0));
    let running = start(&[&server]);
    let (offset, bound, servers) = synchronised(&running.clock);
    assert_near(offset, 0);
    assert!(bound < Duration::from_millis(100));
    assert_eq!(servers, 1);
}

#[test]
fn a_skew_of_the_systems_clock_is_measured_and_corrected() {
    for milliseconds in [250, -3500, 40 * 24 * 3_600_000] {
        let server = Server::start(Manner::Skewed(milliseconds));
        let running = start(&[&server]);
        assert_near(synchronised(&running.clock).0, milliseconds);
        let stamp = Stamp::now();
        let corrected = running.clock.correct(stamp).timestamp().as_microsecond();
        assert!((corrected - stamp.as_nanos() as i64 / 1000 - milliseconds * 1000).abs() < SLACK_MICROS);
    }
}

#[test]
fn one_of_three_may_lie_by_hours() {
    for lie in [5 * 3_600_000, -9 * 3_600_000] {
        let servers = [Manner::Skewed(20), Manner::Skewed(lie), Manner::Skewed(40)].map(Server::start);
        let running = start(&[&servers[0], &servers[1], &servers[2]]);
        let (offset, _, agreed) = synchronised(&running.clock);
        assert_near(offset, 30);
        assert_eq!(agreed, 2);
    }
}

#[test]
fn two_that_contradict_each_other_give_no_time() {
    let servers = [Manner::Skewed(0), Manner::Skewed(3_600_000)].map(Server::start);
    let running = start(&[&servers[0], &servers[1]]);
    let said = refused(&running.clock);
    assert!(said.contains("contradict") && said.contains("3600.0 s"), "{said}");
}

#[test]
fn what_is_no_good_answer_is_refused_with_its_reason() {
    for (manner, reason) in [
        (Manner::Silent, "does not answer"),
        (Manner::Kiss(b"RATE"), "asks to be asked less"),
        (Manner::Kiss(b"DENY"), "refuses to serve"),
        (Manner::LeapAlarm, "is not synchronised itself"),
        (Manner::Stratum(16), "stratum 16"),
        (Manner::RootDispersion(5), "may be off by 5.0s"),
        (Manner::Short, "no answer to the question"),
        (Manner::WrongOrigin, "no answer to the question"),
        (Manner::Skewed(-20 * 365 * 24 * 3_600_000), "cannot be"),
    ] {
        let server = Server::start(manner);
        let running = start(&[&server]);
        let said = refused(&running.clock);
        assert!(said.contains(reason) || said.contains("asked to be left alone"), "{manner:?}: {said}");
    }
}

#[test]
fn who_wants_to_be_left_alone_is_left_alone() {
    for code in [b"RATE", b"DENY", b"RSTR"] {
        let server = Server::start(Manner::Kiss(code));
        let running = start(&[&server]);
        refused(&running.clock);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(server.asked(), 1);
    }
}

#[test]
fn a_stray_datagram_does_not_spoil_the_answer() {
    let server = Server::start(Manner::StrayFirst);
    let running = start(&[&server]);
    assert_near(synchronised(&running.clock).0, 0);
}

#[test]
fn a_closed_port_is_noticed_at_once() {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stop = Stop::new();
    let pace = Pace { timeout: Duration::from_secs(60), ..impatient() };
    let clock = Clock::start_with_pace(&[address.to_string()], pace, &stop).unwrap();
    let said = refused(&clock);
    assert!(said.contains("nobody listens"), "{said}");
    stop.stop();
}

#[test]
fn an_uneven_way_is_within_the_bound_that_is_told() {
    let manner = Manner::Slow { there: Duration::from_millis(80), back: Duration::ZERO };
    let server = Server::start(manner);
    let running = start(&[&server]);
    let (offset, bound, _) = synchronised(&running.clock);
    assert!(offset.micros() > 30_000, "{offset}");
    assert!(bound >= Duration::from_millis(40));
    assert!(offset.micros().unsigned_abs() <= bound.as_micros() as u64 + 1000, "{offset} {bound:?}");
}

#[test]
fn an_answer_that_took_too_long_is_refused() {
    let manner = Manner::Slow { there: Duration::from_millis(600), back: Duration::from_millis(600) };
    let server = Server::start(manner);
    let stop = Stop::new();
    let pace = Pace { timeout: Duration::from_secs(5), ..impatient() };
    let clock = Clock::start_with_pace(&[server.address.to_string()], pace, &stop).unwrap();
    let said = refused(&clock);
    assert!(said.contains("to answer"), "{said}");
    stop.stop();
}

#[test]
fn silence_leaves_the_systems_clock_and_a_later_answer_is_taken() {
    let servers = [Manner::Silent, Manner::Silent].map(Server::start);
    let running = start(&[&servers[0], &servers[1]]);
    refused(&running.clock);
    let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((running.clock.now().unix_seconds() - system).abs() <= 1);
    servers[1].becomes(Manner::Skewed(250));
    assert_near(synchronised(&running.clock).0, 250);
}

#[test]
fn no_server_is_off() {
    let clock = Clock::start_with_pace(&[], impatient(), &Stop::new()).unwrap();
    assert!(matches!(clock.state(), ClockState::Unsynchronised { why: Why::Off, .. }));
    assert_eq!(clock.offset(), None);
}

#[test]
fn nobody_is_asked_again_before_the_interval_and_after_the_end() {
    let server = Server::start(Manner::Skewed(0));
    let running = start(&[&server]);
    synchronised(&running.clock);
    std::thread::sleep(Duration::from_millis(400));
    // One round.
    assert_eq!(server.asked(), 3);
    let silent = Server::start(Manner::Silent);
    let stopped = start(&[&silent]);
    refused(&stopped.clock);
    stopped.stop.stop();
    std::thread::sleep(Duration::from_millis(500));
    let asked = silent.asked();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(silent.asked(), asked);
}
