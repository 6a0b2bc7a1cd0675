use super::*;
use std::net::Ipv4Addr;

const MINUTE: Duration = Duration::from_secs(60);

fn limits() -> RateLimitConfig {
    RateLimitConfig {
        max_connections_per_ip: 3,
        max_connections_per_minute: 5,
        ban: 5 * MINUTE,
        exempt: vec!["10.9.0.0/16".parse().unwrap()],
    }
}

fn gatekeeper(max_miners: usize, limits: RateLimitConfig) -> Arc<Gatekeeper> {
    Gatekeeper::new(&AllowList::private(), max_miners, &limits)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Connects and hangs up at once until it is refused.
fn hammer(gate: &Arc<Gatekeeper>, from: IpAddr, now: Instant) -> (usize, AdmissionError) {
    let mut admitted = 0;
    loop {
        match gate.admit(from, now) {
            Ok(_) => admitted += 1,
            Err(refusal) => return (admitted, refusal),
        }
    }
}

#[test]
fn a_place_is_freed_when_its_guard_is_dropped() {
    let (gate, now) = (gatekeeper(100, limits()), Instant::now());
    let kept: Vec<_> = (0..3).map(|_| gate.admit(ip("10.0.0.1"), now).unwrap()).collect();
    assert_eq!(gate.admit(ip("10.0.0.1"), now).unwrap_err(), AdmissionError::TooManyFromAddress { limit: 3 });
    assert!(gate.admit(ip("10.0.0.2"), now).is_ok());
    drop(kept);
    assert_eq!(gate.counts(now).connections, 0);
    assert!(gate.admit(ip("10.0.0.1"), now).is_ok());
}

#[test]
fn whose_sessions_a_pool_has_ended_may_come_back_uncounted_once_each() {
    let (gate, now) = (gatekeeper(100, limits()), Instant::now());
    for _ in 0..4 {
        gate.pardon(ip("10.0.0.1"), now);
    }
    assert_eq!(hammer(&gate, ip("10.0.0.1"), now).0, 5 + 4);
    gate.pardon(ip("10.0.0.2"), now);
    assert_eq!(hammer(&gate, ip("10.0.0.2"), now + POOL_FAILURE_GRACE).0, 5);
}

#[test]
fn an_admission_may_end_on_another_thread() {
    let (gate, now) = (gatekeeper(100, limits()), Instant::now());
    let admission = gate.admit(ip("10.0.0.1"), now).unwrap();
    std::thread::spawn(move || drop(admission)).join().unwrap();
    assert_eq!(gate.counts(now).connections, 0);
}

#[test]
fn the_whole_is_bounded_exempt_or_not() {
    let (gate, now) = (gatekeeper(2, limits()), Instant::now());
    let _one = gate.admit(ip("10.9.0.1"), now).unwrap();
    let _two = gate.admit(ip("10.0.0.1"), now).unwrap();
    assert_eq!(gate.admit(ip("10.9.0.1"), now).unwrap_err(), AdmissionError::Full { limit: 2 });
    assert_eq!(gate.admit(ip("10.0.0.2"), now).unwrap_err(), AdmissionError::Full { limit: 2 });
}

#[test]
fn strangers_are_refused() {
    let gate = gatekeeper(2, limits());
    assert_eq!(gate.admit(ip("8.8.8.8"), Instant::now()).unwrap_err(), AdmissionError::NotAllowed);
    assert_eq!(gate.counts(Instant::now()).sources, 0);
}

#[test]
fn too_fast_is_banned_for_twice_as_long_each_time_up_to_a_day() {
    let (gate, mut now) = (gatekeeper(100, limits()), Instant::now());
    let from = ip("127.0.0.1"); // loopback has no privilege
    let mut lengths = Vec::new();
    for _ in 0..11 {
        let (admitted, refusal) = hammer(&gate, from, now);
        assert_eq!(admitted, 5);
        let AdmissionError::TooManyPerMinute { limit: 5, ban: Some(ban) } = refusal else {
            panic!("{refusal}")
        };
        lengths.push(ban);
        let last_moment = now + ban - Duration::from_millis(1);
        assert!(matches!(gate.admit(from, last_moment), Err(AdmissionError::Banned { .. })));
        now += ban;
    }
    assert_eq!(lengths[..3], [5 * MINUTE, 10 * MINUTE, 20 * MINUTE]);
    assert_eq!(lengths[10], DAY);
    // A day of good behaviour makes it forgotten.
    let (_, refusal) = hammer(&gate, from, now + DAY);
    assert_eq!(refusal, AdmissionError::TooManyPerMinute { limit: 5, ban: Some(5 * MINUTE) });
}

#[test]
fn trying_again_at_the_cap_is_no_offence() {
    let (gate, now) = (gatekeeper(100, limits()), Instant::now());
    let _kept: Vec<_> = (0..3).map(|_| gate.admit(ip("10.0.0.1"), now).unwrap()).collect();
    for _ in 0..100 {
        let refusal = gate.admit(ip("10.0.0.1"), now).unwrap_err();
        assert_eq!(refusal, AdmissionError::TooManyFromAddress { limit: 3 });
    }
}

#[test]
fn exempt_addresses_know_neither_cap_nor_rate_nor_ban() {
    let (gate, now) = (gatekeeper(1000, limits()), Instant::now());
    let kept: Vec<_> = (0..500).map(|_| gate.admit(ip("10.9.0.1"), now).unwrap()).collect();
    assert_eq!(kept.len(), 500);
    for _ in 0..100 {
        assert_eq!(gate.report_abuse(ip("10.9.0.1"), now), None);
    }
    assert!(gate.admit(ip("10.9.0.1"), now).is_ok());
}

#[test]
fn the_wave_after_the_pools_failure_is_forgiven() {
    let (gate, now) = (gatekeeper(1000, limits()), Instant::now());
    gate.pool_failed(now);
    for _ in 0..200 {
        assert!(gate.admit(ip("10.0.0.1"), now + MINUTE / 2).is_ok());
    }
    let (admitted, refusal) = hammer(&gate, ip("10.0.0.1"), now + MINUTE);
    assert_eq!(admitted, 5);
    assert!(matches!(refusal, AdmissionError::TooManyPerMinute { .. }));
}

#[test]
fn abuse_leads_to_a_ban_but_one_slip_does_not() {
    let (gate, now) = (gatekeeper(1000, limits()), Instant::now());
    for _ in 0..9 {
        assert_eq!(gate.report_abuse(ip("10.0.0.1"), now), None);
    }
    assert!(gate.admit(ip("10.0.0.1"), now).is_ok());
    assert_eq!(gate.report_abuse(ip("10.0.0.1"), now), Some(5 * MINUTE));
    assert_eq!(
        gate.admit(ip("10.0.0.1"), now).unwrap_err(),
        AdmissionError::Banned { remaining: 5 * MINUTE }
    );
    assert_eq!(gate.counts(now).banned, 1);
}

#[test]
fn zero_means_no_limit_and_no_ban() {
    let off = RateLimitConfig { max_connections_per_ip: 0, max_connections_per_minute: 0, ..limits() };
    let (gate, now) = (gatekeeper(1000, off), Instant::now());
    let kept: Vec<_> = (0..1000).map(|_| gate.admit(ip("10.0.0.1"), now).unwrap()).collect();
    assert_eq!(kept.len(), 1000);
    let no_ban = RateLimitConfig { ban: Duration::ZERO, ..limits() };
    let gate = gatekeeper(1000, no_ban);
    let (_, refusal) = hammer(&gate, ip("10.0.0.1"), now);
    assert_eq!(refusal, AdmissionError::TooManyPerMinute { limit: 5, ban: None });
    assert!(gate.admit(ip("10.0.0.1"), now + 2 * MINUTE).is_ok());
}

#[test]
fn a_flood_of_sources_neither_grows_the_table_nor_frees_the_banned() {
    let (gate, now) = (gatekeeper(100, limits()), Instant::now());
    let (_, refusal) = hammer(&gate, ip("192.168.0.1"), now);
    assert!(matches!(refusal, AdmissionError::TooManyPerMinute { .. }));
    let kept = gate.admit(ip("192.168.0.2"), now).unwrap();
    for n in 0..3 * MAX_SOURCES as u32 {
        let flooding = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        assert!(gate.admit(flooding, now + Duration::from_millis(u64::from(n))).is_ok());
    }
    assert!(gate.counts(now).sources <= MAX_SOURCES);
    assert!(matches!(gate.admit(ip("192.168.0.1"), now + MINUTE), Err(AdmissionError::Banned { .. })));
    drop(kept);
    assert_eq!(gate.counts(now).connections, 0);
}

#[test]
fn when_all_are_banned_newcomers_share_one_entry_that_is_never_banned() {
    let (gate, now) = (gatekeeper(100, limits()), Instant::now());
    for n in 0..MAX_SOURCES as u32 {
        let from = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        // 10.9.0.0/16 is exempt, and out of this range.
        for _ in 0..MAX_ABUSE_PER_MINUTE {
            gate.report_abuse(from, now);
        }
    }
    assert_eq!(gate.counts(now).banned, MAX_SOURCES);
    let (admitted, refusal) = hammer(&gate, ip("192.168.0.1"), now);
    assert_eq!((admitted, refusal), (5, AdmissionError::TooManyPerMinute { limit: 5, ban: None }));
    assert!(matches!(gate.admit(ip("192.168.0.2"), now), Err(AdmissionError::TooManyPerMinute { .. })));
    assert!(gate.admit(ip("192.168.0.3"), now + 2 * MINUTE).is_ok());
    assert_eq!(gate.counts(now).sources, MAX_SOURCES);
}
