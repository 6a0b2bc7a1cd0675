//! One miner, one pool connection can be as slow, stuck or silent as it likes: the others notice
//! nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::certificates::Certificate;
use crate::common::pool::{Mood, Pool, ask, served_by};
use crate::common::{BarePool, Proxy, expect_end, tls_bridge, wait_for};
use sluice::tap::Conversation;

/// A pool and a proxy to it.
struct World {
    pool: Pool,
    proxy: Proxy,
}

impl World {
    fn new(path: &str, more: &str) -> World {
        let pool = Pool::start("pool", Mood::Answer);
        let proxy = Proxy::start(&format!(
            "[forward]\npath = \"{path}\"\n{more}{}[ratelimit]\nmax_connections_per_minute = 0\n",
            pool.upstream()
        ));
        World { pool, proxy }
    }

    fn both(more: &str) -> [World; 2] {
        [World::new("copy", more), World::new("splice", more)]
    }

    /// The session of the miner that this socket is.
    fn conversation(&self, miner: &TcpStream) -> Arc<Conversation> {
        let address = miner.local_addr().unwrap();
        let mut found = None;
        wait_for("the session", || {
            let all = self.proxy.running().conversations();
            found = all.into_iter().find(|known| known.miner() == address);
            found.is_some()
        });
        found.unwrap()
    }

    /// Five hundred round trips of one miner, and ten new miners.
    fn neighbours_go_on(&self) {
        let miner = self.proxy.connect();
        for number in 0..500 {
            let line = format!("{{\"id\":{number}}}");
            assert_eq!(ask(&miner, &line), format!("pool {line}\n"));
        }
        for _ in 0..10 {
            assert_eq!(served_by(&self.proxy.connect()), "pool");
        }
    }

    /// The same, while a connection is stuck whose bytes are counted so.
    fn neighbours_go_on_beside(&self, count: impl Fn() -> u64) {
        wait_for("a connection that is stuck all the time", || {
            let before = wait_stuck("a full connection", &count);
            self.neighbours_go_on();
            count() == before
        });
    }
}

/// Waits until a count has not moved for a while. On a busy machine it may move again.
fn wait_stuck(what: &str, count: impl Fn() -> u64) -> u64 {
    let (mut seen, mut times) = (0, 0);
    wait_for(what, || {
        std::thread::sleep(Duration::from_millis(10));
        let now = count();
        times = if now == seen { times + 1 } else { 0 };
        seen = now;
        now > 0 && times >= 20
    });
    seen
}

#[test]
fn a_miner_that_stops_reading_while_its_pool_floods_it_delays_nobody() {
    for world in World::both("") {
        let mut stuck = world.proxy.connect();
        stuck.write_all(b"flood\n").unwrap();
        let conversation = world.conversation(&stuck);
        let down = || conversation.down.bytes.load(Ordering::Relaxed);
        world.neighbours_go_on_beside(down);
        // And it has lost nothing: what comes is what was sent.
        let mut found = vec![0; 11 * 100_000];
        stuck.read_exact(&mut found).unwrap();
        assert!(found == b"pool flood\n".repeat(100_000));
    }
}

#[test]
fn a_miner_that_sends_byte_by_byte_delays_nobody() {
    for world in World::both("") {
        let (slow, ended) = (world.proxy.connect(), AtomicBool::new(false));
        let line = b"{\"id\":1,\"method\":\"mining.subscribe\"}";
        let sent = std::thread::scope(|scope| {
            let slowly = scope.spawn(|| {
                let (mut sent, mut slow) = (0, &slow);
                while !ended.load(Ordering::Relaxed) {
                    slow.write_all(&line[sent % line.len()..][..1]).unwrap();
                    sent += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                slow.write_all(b"\n").unwrap();
                sent
            });
            world.neighbours_go_on();
            ended.store(true, Ordering::Relaxed);
            slowly.join().unwrap()
        });
        let said: Vec<u8> = line.iter().copied().cycle().take(sent).collect();
        let expected = [&b"pool "[..], &said, b"\n"].concat();
        crate::common::expect(&slow, &expected);
    }
}

#[test]
fn miners_that_never_send_delay_nobody() {
    for world in World::both("") {
        let silent: Vec<TcpStream> = (0..50).map(|_| world.proxy.connect()).collect();
        world.proxy.wait_sessions(50);
        world.neighbours_go_on();
        // They are still welcome to begin.
        for miner in &silent {
            assert_eq!(served_by(miner), "pool");
        }
    }
}

#[test]
fn a_pool_that_stalls_for_one_miner_delays_no_other() {
    for world in World::both("") {
        let mut stuck = world.proxy.connect();
        assert_eq!(served_by(&stuck), "pool");
        stuck.write_all(b"stall\n").unwrap();
        stuck.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        // Until nothing more fits into any buffer on the way.
        while stuck.write_all(&[b'x'; 65_536]).is_ok() {}
        let conversation = world.conversation(&stuck);
        let up = || conversation.up.bytes.load(Ordering::Relaxed);
        world.neighbours_go_on_beside(up);
    }
}

#[test]
fn a_pool_that_accepts_and_never_answers_delays_no_other_miner() {
    for path in ["copy", "splice"] {
        let silent = Pool::start("silent", Mood::Silent);
        let good = Pool::start("good", Mood::Answer);
        // All of them wait for the silent one, side by side.
        let proxy = Proxy::to(
            &[silent.address(), good.address()],
            &format!("[failover]\nanswer_timeout = \"1s\"\n[forward]\npath = \"{path}\"\n"),
        );
        let miners: Vec<TcpStream> = (0..20).map(|_| proxy.connect()).collect();
        silent_for_all(&proxy, &silent, miners.len());
        for mut miner in &miners {
            miner.write_all(b"{\"id\":1}\n").unwrap();
        }
        for miner in &miners {
            assert_eq!(crate::common::read_line(miner), "good {\"id\":1}\n");
        }
    }
}

/// Waits until every miner has its connection to the silent pool.
fn silent_for_all(proxy: &Proxy, silent: &Pool, miners: usize) {
    proxy.wait_sessions(miners);
    wait_for("all connections to the silent pool", || silent.accepted() == miners);
}

#[test]
fn a_tls_handshake_that_never_comes_blocks_no_accept() {
    let certificate = Certificate::new(&["127.0.0.1"]);
    for world in World::both(&format!(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n\
         tls = {{ cert = {:?}, key = {:?}, listen = [\"127.0.0.1:0\"] }}\n",
        certificate.cert_file(),
        certificate.key_file()
    )) {
        let tls_address = world.proxy.app().addresses()[1];
        let mut silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(tls_address).unwrap()).collect();
        // Half of them begin a record and never end it.
        for socket in silent.iter_mut().take(20) {
            socket.write_all(b"\x16\x03\x01").unwrap();
        }
        world.proxy.wait_sessions(40);
        for _ in 0..5 {
            let socket = TcpStream::connect(tls_address).unwrap();
            let miner = tls_bridge::client(certificate.client(), "127.0.0.1", socket);
            assert_eq!(served_by(&miner), "pool");
        }
        world.neighbours_go_on();
        assert!(world.proxy.running().sessions() >= 40, "they were not waiting");
    }
}

#[test]
fn a_full_analyzer_queue_drops_copies_and_no_bytes() {
    for world in World::both("[analysis]\nqueue = 16\n") {
        let mut flooded = world.proxy.connect();
        flooded.write_all(b"flood\n").unwrap();
        let conversation = world.conversation(&flooded);
        let dropped = || conversation.dropped_copies.load(Ordering::Relaxed);
        let expected = b"pool flood\n".repeat(4096);
        let mut found = vec![0; expected.len()];
        let mut rounds = 0;
        // Every byte is there, before, while and after copies are dropped.
        while dropped() == 0 || rounds < 200 {
            flooded.read_exact(&mut found).unwrap();
            assert!(found == expected, "in round {rounds}");
            rounds += 1;
            assert!(rounds < 100_000, "no copy was dropped");
        }
        world.neighbours_go_on();
        // In this order, as both still grow. A few more copies go the other way.
        let dropped = dropped();
        // Copies have at most 4 KiB.
        let (down, up) = (&conversation.down, &conversation.up);
        let copies = down.chunks.load(Ordering::Relaxed) + down.bytes.load(Ordering::Relaxed) / 4096;
        let copies = copies + up.chunks.load(Ordering::Relaxed);
        assert!(dropped <= copies, "{dropped} of {copies}");
    }
}

/// Both ends of one session, by each way through the proxy.
fn sessions() -> Vec<(Proxy, TcpStream, TcpStream, Certificate)> {
    let mut sessions = Vec::new();
    for (path, tls) in [("copy", false), ("splice", false), ("copy", true)] {
        let (pool, certificate) = (BarePool::start(), Certificate::new(&["127.0.0.1"]));
        let (cert, key) = (certificate.cert_file(), certificate.key_file());
        let text = match tls {
            false => pool.upstream(),
            true => format!(
                "[listen]\nstratum = []\n\
                 tls = {{ cert = {cert:?}, key = {key:?}, listen = [\"127.0.0.1:0\"] }}\n\
                 [[upstream]]\nurl = \"stratum+ssl://{}\"\nca_file = {cert:?}\n",
                pool.address()
            ),
        };
        let proxy = Proxy::start(&format!("[forward]\npath = \"{path}\"\n{text}"));
        let (mut miner, mut at_pool) = (proxy.connect(), None);
        if tls {
            miner = tls_bridge::client(certificate.client(), "127.0.0.1", miner);
            at_pool = Some(tls_bridge::server(certificate.server(), pool.accept()));
        }
        let at_pool = at_pool.unwrap_or_else(|| pool.accept());
        crate::common::round_trip(&miner, &at_pool, "{\"id\":0}\n");
        sessions.push((proxy, miner, at_pool, certificate));
    }
    sessions
}

/// Writes until nothing more fits into any buffer on the way.
fn fill(mut stream: &TcpStream) {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while stream.write_all(&[b'\n'; 65_536]).is_ok() {}
}

#[test]
fn a_miner_that_does_not_read_still_has_its_shares_forwarded() {
    for (_proxy, mut miner, at_pool, _) in sessions() {
        fill(&at_pool);
        for number in 0..100 {
            let line = format!("{{\"id\":{number},\"method\":\"mining.submit\"}}\n");
            miner.write_all(line.as_bytes()).unwrap();
            crate::common::expect(&at_pool, line.as_bytes());
        }
    }
}

#[test]
fn a_pool_that_does_not_read_still_has_its_jobs_forwarded() {
    for (_proxy, miner, mut at_pool, _) in sessions() {
        fill(&miner);
        for number in 0..100 {
            let line = format!("{{\"id\":null,\"method\":\"mining.notify\",\"n\":{number}}}\n");
            at_pool.write_all(line.as_bytes()).unwrap();
            crate::common::expect(&miner, line.as_bytes());
        }
    }
}

#[test]
fn a_pool_killed_under_a_stuck_miner_ends_that_session_only() {
    for world in World::both("") {
        let mut stuck = world.proxy.connect();
        stuck.write_all(b"flood\n").unwrap();
        let conversation = world.conversation(&stuck);
        let down = || conversation.down.bytes.load(Ordering::Relaxed);
        wait_stuck("a full connection", down);
        world.pool.kill();
        // What had been read is delivered before the end.
        let mut all = Vec::new();
        let _ = stuck.read_to_end(&mut all);
        assert!(all.len() as u64 >= down(), "{} of {}", all.len(), down());
        drop(stuck);
        world.proxy.wait_sessions(0);
    }
}

#[test]
fn a_miner_refused_by_its_address_delays_nobody() {
    let world = World::new("copy", "[listen]\nstratum = [\"127.0.0.1:0\"]\nallow = [\"127.0.0.1\"]\n");
    let stranger = |last: u8| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let from = std::net::SocketAddr::from(([127, 0, 0, last], 0));
        socket.bind(&from.into()).unwrap();
        socket.connect(&world.proxy.address().into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(crate::common::DEADLINE)).unwrap();
        stream
    };
    for last in 2..100 {
        expect_end(&stranger(last));
    }
    world.neighbours_go_on();
}
