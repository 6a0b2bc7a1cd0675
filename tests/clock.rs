//! The clock against NTP servers on loopback: honest, skewed, lying, silent, refusing and broken.

use crate::common::ntp_server;

use std::net::UdpSocket;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ntp_server::{DAY, Machine, Manner, Server, impatient, really};
use sluice::clock::{Clock, ClockState, HostClocks, JobTime, NtpSchedule, Offset, UnsyncReason};
use sluice::net::Stamp;
use sluice::util::stop::Stop;

/// Generous: the tests share their processors.
const SLACK_MICROS: i64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(60);

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
    Running { clock: Clock::start_on(HostClocks::default(), &names, impatient(), &stop).unwrap(), stop }
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

/// The message if no server gives a time.
fn refused(clock: &Clock) -> String {
    let is_refused = |state: &ClockState| {
        matches!(
            state,
            ClockState::Unsynchronised {
                reason: UnsyncReason::NoAnswer(_) | UnsyncReason::Disagreement(_),
                ..
            }
        )
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
        (Manner::Kiss(b"RATE"), "asks for fewer queries"),
        (Manner::Kiss(b"DENY"), "refuses to serve"),
        (Manner::LeapAlarm, "is not synchronised itself"),
        (Manner::Stratum(16), "stratum 16"),
        (Manner::RootDispersion(5), "may be off by 5.0s"),
        (Manner::Short, "do not answer the query"),
        (Manner::WrongOrigin, "do not answer the query"),
        (Manner::Skewed(-20 * 365 * 24 * 3_600_000), "impossible time"),
    ] {
        let server = Server::start(manner);
        let running = start(&[&server]);
        let said = refused(&running.clock);
        assert!(said.contains(reason) || said.contains("asked for a pause"), "{manner:?}: {said}");
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
    let pace = NtpSchedule { timeout: Duration::from_secs(60), ..impatient() };
    let clock = Clock::start_on(HostClocks::default(), &[address.to_string()], pace, &stop).unwrap();
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
    let pace = NtpSchedule { timeout: Duration::from_secs(5), ..impatient() };
    let clock = Clock::start_on(HostClocks::default(), &[server.address.to_string()], pace, &stop).unwrap();
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
    let clock = Clock::start_on(HostClocks::default(), &[], impatient(), &Stop::new()).unwrap();
    assert!(matches!(clock.state(), ClockState::Unsynchronised { reason: UnsyncReason::Off, .. }));
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

/// A Raspberry Pi without a clock of its own: NTP tells the time before the system's clock is set.
#[test]
fn a_system_clock_that_is_set_changes_no_time_at_all() {
    let machine = Machine::ahead(-231 * DAY);
    let server = Server::start(Manner::Skewed(0));
    let stop = Stop::new();
    let clock = machine.clock(&[&server], &stop);
    assert_near(synchronised(&clock).0, 231 * DAY * 1000);
    for ahead in [0, 5, 90 * DAY, -231 * DAY] {
        machine.set_ahead(ahead);
        let off = clock.now().unix_seconds() - really();
        assert!(off.abs() <= 1, "{off} s off as soon as the clock is {ahead} s ahead");
        assert_near(clock.offset().unwrap(), -ahead * 1000);
        assert_near(synchronised(&clock).0, -ahead * 1000);
    }
    // The servers are asked whether that is right.
    let asked = server.asked();
    machine.set_ahead(0);
    wait_for(&clock, "asked again", |_| server.asked() > asked);
    stop.stop();
}

#[test]
fn ntp_that_the_systems_clock_and_the_jobs_contradict_is_not_believed() {
    let job =
        |ahead| JobTime { ahead: Offset::from_micros(ahead * 1_000_000), is_exact: true, is_first: false };
    let machine = Machine::default();
    let liars = [Manner::Skewed(0), Manner::Skewed(100 * DAY * 1000), Manner::Skewed(100 * DAY * 1000)];
    let servers = liars.map(Server::start);
    let stop = Stop::new();
    let clock = machine.clock(&[&servers[0], &servers[1], &servers[2]], &stop);
    assert_near(synchronised(&clock).0, 100 * DAY * 1000);
    clock.job_time("pool.example", job(-20), &clock.reading());
    assert!((clock.now().unix_seconds() - really()).abs() <= 1);
    let state = clock.state();
    assert!(
        matches!(
            state,
            ClockState::Unsynchronised { reason: UnsyncReason::Contradicted { pools: 1, .. }, .. }
        ),
        "{state:?}"
    );
    assert!(state.to_string().contains("100 days ahead of"), "{state}");
    // The jobs say that it is this machine's clock.
    clock.job_time("pool.example", job(100 * DAY), &clock.reading());
    assert_near(synchronised(&clock).0, 100 * DAY * 1000);
    stop.stop();
}
