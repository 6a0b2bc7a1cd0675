//! Which pool serves a miner: the first that works, within the miner's one connection; and back to
//! the preferred one when that is well again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use sluice::util::stop::Stop;

use crate::common::certificates::Certificate;
use crate::common::pool::{Mood, Pool, Port, ask, is_quiet, served_by};
use crate::common::socks5_server::Socks5Server;
use crate::common::{
    BarePool, DEADLINE, Proxy, Unroutable, expect, expect_end, half_close, upstream, wait_for,
};

const PATHS: [&str; 2] = ["copy", "splice"];

/// A failed pool is looked at again soon.
const QUICK: &str = "[failover]\nbackoff_min = \"50ms\"\nbackoff_max = \"100ms\"\n";

fn tls_upstream(address: SocketAddr, certificate: &Certificate) -> String {
    format!("[[upstream]]\nurl = \"stratum+ssl://{address}\"\nca_file = {:?}\n", certificate.cert_file())
}

fn socks5_upstream(proxy: SocketAddr) -> String {
    format!("[[upstream]]\nurl = \"stratum+tcp://pool.test:3333\"\nsocks5 = \"socks5://{proxy}\"\n")
}

/// The first pool is of no use: a miner is served by the second one in the same connection, which
/// hears all that the miner has said, once.
fn the_second_serves(first: &str) {
    for path in PATHS {
        let second = BarePool::start();
        let proxy = Proxy::start(&format!(
            "[failover]\nconnect_deadline = \"2s\"\nanswer_timeout = \"300ms\"\n\
             [forward]\npath = \"{path}\"\n{first}{}",
            second.upstream()
        ));
        let mut miner = proxy.connect();
        let said = b"{\"id\":1,\"method\":\"mining.configure\",\"params\":[[],{}]}\n\
            {\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n";
        miner.write_all(&said[..10]).unwrap();
        miner.write_all(&said[10..70]).unwrap();
        let mut pool = second.accept();
        miner.write_all(&said[70..]).unwrap();
        expect(&pool, said);
        pool.write_all(b"{\"id\":1,\"result\":{}}\n").unwrap();
        expect(&miner, b"{\"id\":1,\"result\":{}}\n");
        crate::common::round_trip(&miner, &pool, "{\"id\":3}\r\n");
        // Nothing comes twice, nothing comes late.
        half_close(&miner);
        expect_end(&pool);
        pool.write_all(b"last\n").unwrap();
        drop(pool);
        expect(&miner, b"last\n");
        expect_end(&miner);
        proxy.wait_sessions(0);
    }
}

#[test]
fn a_refusing_pool_is_passed_over() {
    let port = Port::reserve();
    the_second_serves(&upstream(port.address()));
}

#[test]
fn an_unroutable_pool_is_passed_over() {
    let nowhere = Unroutable::start();
    the_second_serves(&upstream(nowhere.address()));
}

#[test]
fn a_pool_that_closes_at_once_is_passed_over() {
    let first = Pool::start("first", Mood::Close);
    the_second_serves(&first.upstream());
    assert!(first.accepted() > 0);
}

#[test]
fn a_silent_pool_is_passed_over() {
    let first = Pool::start("first", Mood::Silent);
    the_second_serves(&first.upstream());
    assert!(first.received().contains("mining.configure"), "it was not asked");
}

#[test]
fn a_pool_with_anothers_certificate_is_passed_over() {
    let certificate = Certificate::new(&["another.test"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let first = Pool::on(listener, "first", Mood::Answer, Some(certificate.server()));
    the_second_serves(&tls_upstream(first.address(), &certificate));
    assert!(first.accepted() > 0);
    assert_eq!(first.received(), "", "a stranger heard the miner");
}

#[test]
fn a_pool_that_never_shakes_hands_is_passed_over() {
    let certificate = Certificate::new(&["127.0.0.1"]);
    let first = Pool::start("first", Mood::Silent);
    the_second_serves(&tls_upstream(first.address(), &certificate));
    assert!(first.accepted() > 0);
}

#[test]
fn a_silent_socks5_proxy_is_passed_over() {
    let first = Pool::start("first", Mood::Silent);
    the_second_serves(&socks5_upstream(first.address()));
    assert!(first.accepted() > 0);
}

#[test]
fn a_refusing_socks5_proxy_is_passed_over() {
    let port = Port::reserve();
    let server = Socks5Server::start(port.address(), None);
    the_second_serves(&socks5_upstream(server.address()));
    assert_eq!(server.asked()[0].host, "pool.test");
}

#[test]
fn a_socks5_proxy_that_wants_another_password_is_passed_over() {
    let target = Pool::start("target", Mood::Answer);
    let server = Socks5Server::start(target.address(), Some(("user", "password")));
    the_second_serves(&socks5_upstream(server.address()));
    assert_eq!(target.accepted(), 0);
}

#[test]
fn a_pool_killed_in_mid_session_ends_it_and_the_next_is_served_by_the_second() {
    for path in PATHS {
        let (first, second) = (Pool::start("first", Mood::Answer), Pool::start("second", Mood::Answer));
        let proxy =
            Proxy::to(&[first.address(), second.address()], &format!("[forward]\npath = \"{path}\"\n"));
        let miner = proxy.connect();
        assert_eq!(served_by(&miner), "first");
        first.kill();
        expect_end(&miner);
        let next = proxy.connect();
        assert_eq!(served_by(&next), "second");
    }
}

#[test]
fn a_pool_silent_in_mid_session_counts_as_failed() {
    for path in PATHS {
        let (first, second) = (Pool::start("first", Mood::Answer), Pool::start("second", Mood::Answer));
        let proxy = Proxy::start(&format!(
            "[failover]\nsilence_timeout = \"1s\"\nbackoff_min = \"1m\"\nbackoff_max = \"1m\"\n\
             [forward]\npath = \"{path}\"\n{}{}",
            first.upstream(),
            second.upstream()
        ));
        let mut miner = proxy.connect();
        assert_eq!(served_by(&miner), "first");
        first.set_mood(Mood::Silent);
        miner.write_all(b"{\"method\":\"mining.submit\"}\n").unwrap();
        expect_end(&miner);
        assert!(first.received().contains("mining.submit"));
        let (next, before) = (proxy.connect(), first.accepted());
        assert_eq!(served_by(&next), "second");
        assert_eq!(first.accepted(), before, "it was asked again");
    }
}

/// A miner of its own address, so that it can be told from the others.
fn miner_from(last: u8, proxy: &Proxy) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
    socket.connect(&proxy.address().into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
fn miners_return_to_the_preferred_pool_one_at_a_time() {
    for path in PATHS {
        let (port, second) = (Port::reserve(), Pool::start("second", Mood::Answer));
        let proxy = Proxy::to(
            &[port.address(), second.address()],
            &format!("{QUICK}failback_after = \"300ms\"\n[forward]\npath = \"{path}\"\n"),
        );
        let mut staying: Vec<(u8, TcpStream)> = (2..5).map(|last| (last, miner_from(last, &proxy))).collect();
        for (_, miner) in &staying {
            assert_eq!(served_by(miner), "second");
        }
        let first = Pool::on(port.open(), "first", Mood::Answer, None);
        let mut returned = Vec::new();
        while !staying.is_empty() {
            let is_closed = |(_, miner): &(u8, TcpStream)| !is_quiet(miner);
            wait_for("a move", || staying.iter().any(is_closed));
            // As long as this one is not back, no other is moved; those who stay are served.
            let until = Instant::now() + Duration::from_millis(400);
            while Instant::now() < until {
                assert_eq!(staying.iter().filter(|miner| is_closed(miner)).count(), 1);
                std::thread::sleep(Duration::from_millis(20));
            }
            let index = staying.iter().position(is_closed).unwrap();
            let (last, moved) = staying.remove(index);
            expect_end(&moved);
            drop(moved);
            for (_, miner) in &staying {
                if is_quiet(miner) {
                    assert_eq!(ask(miner, "{\"id\":7}"), "second {\"id\":7}\n");
                }
            }
            let back = miner_from(last, &proxy);
            assert_eq!(served_by(&back), "first");
            returned.push(back);
        }
        // There they stay.
        for miner in &returned {
            assert_eq!(ask(miner, "{\"id\":8}"), "first {\"id\":8}\n");
        }
        drop(first);
    }
}

#[test]
fn a_miner_that_ignores_its_end_does_not_keep_the_others_from_returning() {
    let (port, second) = (Port::reserve(), Pool::start("second", Mood::Answer));
    let proxy =
        Proxy::to(&[port.address(), second.address()], &format!("{QUICK}failback_after = \"100ms\"\n"));
    let (deaf, other) = (miner_from(2, &proxy), miner_from(3, &proxy));
    assert_eq!((served_by(&deaf), served_by(&other)), ("second".into(), "second".into()));
    let _first = Pool::on(port.open(), "first", Mood::Answer, None);
    wait_for("the first move", || !is_quiet(&deaf));
    // It neither closes nor comes back; after the time it has for that, the next one is moved.
    expect_end(&other);
}

#[test]
fn a_miner_that_always_has_a_share_in_flight_is_moved_when_its_answers_are_in() {
    let (port, second) = (Port::reserve(), BarePool::start());
    let proxy =
        Proxy::to(&[port.address(), second.address()], &format!("{QUICK}failback_after = \"200ms\"\n"));
    let submit = |id: usize| format!("{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[]}}\n");
    let answer = |id: usize| format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n");
    let mut miner = proxy.connect();
    miner.write_all(submit(1).as_bytes()).unwrap();
    let mut at_pool = second.accept();
    expect(&at_pool, submit(1).as_bytes());
    let _first = Pool::on(port.open(), "first", Mood::Answer, None);
    at_pool.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    // Each share is sent before the one before it is answered, until nothing more is read.
    let mut open = 1;
    loop {
        let _ = miner.write_all(submit(open + 1).as_bytes());
        let mut arrived = vec![0; submit(open + 1).len()];
        match at_pool.read_exact(&mut arrived) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("left while share {open} was in flight: {error}"),
        }
        at_pool.write_all(answer(open).as_bytes()).unwrap();
        expect(&miner, answer(open).as_bytes());
        open += 1;
    }
    at_pool.write_all(answer(open).as_bytes()).unwrap();
    expect(&miner, answer(open).as_bytes());
    expect_end(&miner);
}

#[test]
fn a_pool_that_had_been_silent_is_not_returned_to_before_it_answers() {
    let (first, second) = (Pool::start("first", Mood::Silent), Pool::start("second", Mood::Answer));
    let proxy = Proxy::to(
        &[first.address(), second.address()],
        &format!("{QUICK}answer_timeout = \"200ms\"\nfailback_after = \"100ms\"\n"),
    );
    let miner = proxy.connect();
    assert_eq!(served_by(&miner), "second");
    // It accepts the probe, which is more than a dead pool does, but says nothing.
    wait_for("a probe that asks", || first.received().contains("sluice/"));
    let until = Instant::now() + Duration::from_millis(800);
    while Instant::now() < until {
        assert!(is_quiet(&miner), "moved to a silent pool");
        assert_eq!(served_by(&proxy.connect()), "second");
        std::thread::sleep(Duration::from_millis(20));
    }
    first.set_mood(Mood::Answer);
    expect_end(&miner);
    assert_eq!(served_by(&proxy.connect()), "first");
}

#[test]
fn without_any_pool_the_miner_is_closed_at_the_deadline_not_before() {
    let port = Port::reserve();
    let proxy = Proxy::to(&[port.address()], &format!("{QUICK}connect_deadline = \"1s\"\n"));
    let begun = Instant::now();
    let mut miner = proxy.connect();
    miner.write_all(b"{\"id\":1}\n").unwrap();
    expect_end(&miner);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    proxy.wait_sessions(0);
}

#[test]
fn one_pool_that_closes_and_one_that_refuses_are_tried_until_the_deadline() {
    let (closing, port) = (Pool::start("closing", Mood::Close), Port::reserve());
    let proxy =
        Proxy::to(&[closing.address(), port.address()], &format!("{QUICK}connect_deadline = \"1s\"\n"));
    let begun = Instant::now();
    let mut miner = proxy.connect();
    miner.write_all(b"{\"id\":1}\n").unwrap();
    expect_end(&miner);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn a_miner_that_no_pool_wants_is_not_left_hanging() {
    let (first, second) = (Pool::start("first", Mood::Picky), Pool::start("second", Mood::Picky));
    let port = Port::reserve();
    // Probes find the first one well, again and again; the miner does not.
    for other in [second.address(), port.address()] {
        let proxy = Proxy::to(&[first.address(), other], &format!("{QUICK}connect_deadline = \"1s\"\n"));
        let mut miner = proxy.connect();
        miner.write_all(b"{\"id\":1,\"method\":\"nonsense\"}\n").unwrap();
        expect_end(&miner);
        drop(miner);
        proxy.wait_sessions(0);
    }
}

#[test]
fn a_pool_that_comes_up_in_time_serves_the_waiting_miner() {
    for path in PATHS {
        let port = Port::reserve();
        let proxy = Proxy::to(
            &[port.address()],
            &format!("{QUICK}connect_deadline = \"15s\"\n[forward]\npath = \"{path}\"\n"),
        );
        let mut miner = proxy.connect();
        miner.write_all(b"{\"id\":1,\"meth").unwrap();
        // Long enough for several tries: the pool is known to be dead.
        std::thread::sleep(Duration::from_millis(300));
        assert!(is_quiet(&miner));
        let pool = Pool::on(port.open(), "late", Mood::Answer, None);
        miner.write_all(b"od\":2}\n").unwrap();
        assert_eq!(crate::common::read_line(&miner), "late {\"id\":1,\"method\":2}\n");
        assert_eq!(pool.received(), "{\"id\":1,\"method\":2}\n");
    }
}

#[test]
fn a_dead_preferred_pool_is_not_dialled_for_every_miner() {
    let (first, second) = (Pool::start("first", Mood::Close), Pool::start("second", Mood::Answer));
    let proxy = Proxy::to(
        &[first.address(), second.address()],
        "[failover]\nbackoff_min = \"5m\"\nbackoff_max = \"5m\"\n",
    );
    assert_eq!(served_by(&proxy.connect()), "second");
    // One miner's bad luck is confirmed by a probe; then nobody goes there any more.
    wait_for("the probe", || !proxy.running().is_up(0));
    let so_far = first.accepted();
    assert!(so_far >= 2, "{so_far}");
    for _ in 0..30 {
        assert_eq!(served_by(&proxy.connect()), "second");
    }
    assert_eq!(first.accepted(), so_far);
}

#[test]
fn a_connection_that_asks_nothing_makes_no_pool_look_dead() {
    let (first, second) = (Pool::start("first", Mood::Answer), Pool::start("second", Mood::Answer));
    let proxy = Proxy::to(
        &[first.address(), second.address()],
        "[failover]\nbackoff_min = \"5m\"\nbackoff_max = \"5m\"\n",
    );
    // What a health check or a port scan does. The pool closes in answer, which is no failure.
    for number in 1..=3 {
        let scanner = proxy.connect();
        wait_for("the connection to the pool", || first.accepted() == number);
        drop(scanner);
        proxy.wait_sessions(0);
    }
    assert_eq!(served_by(&proxy.connect()), "first");
}

#[test]
fn a_miner_that_leaves_before_the_answer_makes_no_pool_look_dead() {
    let (first, second) = (BarePool::start(), Pool::start("second", Mood::Answer));
    let proxy = Proxy::to(
        &[first.address(), second.address()],
        "[failover]\nbackoff_min = \"5m\"\nbackoff_max = \"5m\"\n",
    );
    let mut miner = proxy.connect();
    let pool = first.accept();
    miner.write_all(b"{\"id\":1}\n").unwrap();
    expect(&pool, b"{\"id\":1}\n");
    drop(miner);
    // The pool, which had no time to answer, closes because the miner did.
    expect_end(&pool);
    drop(pool);
    proxy.wait_sessions(0);
    let miner = proxy.connect();
    let pool = first.accept();
    crate::common::round_trip(&miner, &pool, "{\"id\":2}\n");
}

/// With two pools and at most six connections a minute.
fn rated(first: &Pool, second: &Pool) -> Proxy {
    Proxy::to(
        &[first.address(), second.address()],
        "[ratelimit]\nmax_connections_per_minute = 6\n[failover]\nsilence_timeout = \"1s\"\n",
    )
}

#[test]
fn a_reconnect_wave_after_a_pool_was_killed_is_no_abuse() {
    let (first, second) = (Pool::start("first", Mood::Answer), Pool::start("second", Mood::Answer));
    let proxy = rated(&first, &second);
    let miners: Vec<TcpStream> = (0..5).map(|_| proxy.connect()).collect();
    for miner in &miners {
        assert_eq!(served_by(miner), "first");
    }
    first.kill();
    for miner in &miners {
        expect_end(miner);
    }
    drop(miners);
    for _ in 0..10 {
        assert_eq!(served_by(&proxy.connect()), "second");
    }
}

#[test]
fn a_reconnect_wave_after_a_pool_fell_silent_is_no_abuse() {
    let (first, second) = (Pool::start("first", Mood::Answer), Pool::start("second", Mood::Answer));
    let proxy = rated(&first, &second);
    let miners: Vec<TcpStream> = (0..5).map(|_| proxy.connect()).collect();
    for miner in &miners {
        assert_eq!(served_by(miner), "first");
    }
    first.set_mood(Mood::Silent);
    for miner in &miners {
        expect_end(miner);
    }
    drop(miners);
    for _ in 0..10 {
        assert_eq!(served_by(&proxy.connect()), "second");
    }
}

/// One pool with warm connections, plain or TLS.
struct Warm {
    pool: Pool,
    proxy: Proxy,
    _certificate: Certificate,
}

impl Warm {
    fn start(tls: bool, path: &str) -> Warm {
        let certificate = Certificate::new(&["127.0.0.1"]);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool::on(listener, "pool", Mood::Answer, tls.then(|| certificate.server()));
        let upstream = match tls {
            true => tls_upstream(pool.address(), &certificate),
            false => pool.upstream(),
        };
        let proxy = Proxy::start(&format!("[forward]\npath = \"{path}\"\n{upstream}warm = 2\n"));
        wait_for("two connections before any miner", || pool.accepted() == 2);
        Warm { pool, proxy, _certificate: certificate }
    }
}

#[test]
fn a_warm_connection_serves_the_next_miner_without_a_dial() {
    for tls in [false, true] {
        for path in PATHS {
            let warm = Warm::start(tls, path);
            // Whoever had to dial would be refused.
            warm.pool.stop_listening();
            let miner = warm.proxy.connect();
            assert_eq!(served_by(&miner), "pool");
            for number in 0..10 {
                let line = format!("{{\"id\":{number}}}");
                assert_eq!(ask(&miner, &line), format!("pool {line}\n"));
            }
        }
    }
}

#[test]
fn the_stock_is_filled_up_again() {
    let warm = Warm::start(false, "copy");
    let miners: Vec<TcpStream> = (0..5).map(|_| warm.proxy.connect()).collect();
    for miner in &miners {
        assert_eq!(served_by(miner), "pool");
    }
    wait_for("the stock", || warm.pool.accepted() == 2 + miners.len());
}

#[test]
fn a_warm_connection_that_the_pool_has_closed_is_not_handed_out() {
    let warm = Warm::start(false, "copy");
    warm.pool.drop_connections();
    assert_eq!(served_by(&warm.proxy.connect()), "pool");
}

#[test]
fn a_warm_tls_connection_that_the_pool_has_closed_is_not_handed_out() {
    let warm = Warm::start(true, "copy");
    warm.pool.drop_connections();
    assert_eq!(served_by(&warm.proxy.connect()), "pool");
}

#[test]
fn every_address_of_a_name_is_tried() {
    let known: Vec<SocketAddr> = ("localhost", 1).to_socket_addrs().unwrap().collect();
    let mut shown = 0;
    for (here, elsewhere) in [("127.0.0.1:0", "[::1]"), ("[::1]:0", "127.0.0.1")] {
        let Ok(port) = Port::reserve_at(here.parse().unwrap()) else {
            continue;
        };
        let address = port.address();
        // Nobody listens at the other address: it stays reserved.
        let other = format!("{elsewhere}:{}", address.port());
        let Ok(_other) = Port::reserve_at(other.parse().unwrap()) else {
            continue;
        };
        if !known.iter().any(|one| one.ip() == address.ip()) {
            // This machine's name service does not know it by that name.
            continue;
        }
        let _pool = Pool::on(port.open(), "here", Mood::Answer, None);
        let url = format!("[[upstream]]\nurl = \"stratum+tcp://localhost:{}\"\n", address.port());
        assert_eq!(served_by(&Proxy::start(&url).connect()), "here");
        shown += 1;
    }
    assert!(shown > 0);
}

#[test]
fn both_families_are_dialled_whichever_comes_first() {
    for (here, elsewhere) in [("127.0.0.1:0", "[::1]:0"), ("[::1]:0", "127.0.0.1:0")] {
        let (port, dead) = (
            Port::reserve_at(here.parse().unwrap()).unwrap(),
            Port::reserve_at(elsewhere.parse().unwrap()).unwrap(),
        );
        let (address, dead_address) = (port.address(), dead.address());
        let _listener = port.open();
        let by = Instant::now() + DEADLINE;
        for order in [[dead_address, address], [address, dead_address]] {
            let stream = sluice::net::dial::connect_any(&order, by, &Stop::new()).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
        }
    }
}
