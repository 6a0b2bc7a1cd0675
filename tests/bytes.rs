//! Byte-exactness: what comes out is what went in, on every way through the proxy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::common::certificates::Certificate;
use crate::common::random::Random;
use crate::common::socks5_server::Socks5Server;
use crate::common::{
    BarePool, Proxy, accept_past_probes, capture, expect, expect_end, half_close, tls_bridge,
};

/// One way through the proxy, with both ends in the test's hands.
struct Way {
    name: String,
    proxy: Proxy,
    pool: BarePool,
    /// Set when the pool speaks TLS.
    pool_tls: Option<Arc<rustls::ServerConfig>>,
    /// Set when miners speak TLS.
    miner_tls: Option<Arc<rustls::ClientConfig>>,
    _kept: (Certificate, Option<Socks5Server>),
}

impl Way {
    fn new(path: &str, tls: bool, socks5: bool, miner_tls: bool, analysis: bool) -> Way {
        let pool = BarePool::start();
        let certificate = Certificate::new(&["pool.test", "127.0.0.1"]);
        let server = socks5.then(|| Socks5Server::start(pool.address(), Some(("user", "pass:word"))));
        let scheme = if tls { "ssl" } else { "tcp" };
        // Through SOCKS5 by a name that only the SOCKS5 server can resolve.
        let host = match socks5 {
            true => format!("pool.test:{}", pool.address().port()),
            false => pool.address().to_string(),
        };
        let mut text = format!("[forward]\npath = \"{path}\"\n[analysis]\nenabled = {analysis}\n");
        text += &format!("[[upstream]]\nurl = \"stratum+{scheme}://{host}\"\n");
        if tls {
            text += &format!("ca_file = {:?}\n", certificate.cert_file());
        }
        if let Some(server) = &server {
            text += &format!("socks5 = \"socks5://user:pass%3Aword@{}\"\n", server.address());
        }
        if miner_tls {
            text += &format!(
                "[listen]\nstratum = []\ntls = {{ cert = {:?}, key = {:?}, listen = [\"127.0.0.1:0\"] }}\n",
                certificate.cert_file(),
                certificate.key_file()
            );
        }
        Way {
            name: format!("{path}, tls {tls}, socks5 {socks5}, miner tls {miner_tls}, analysis {analysis}"),
            proxy: Proxy::start(&text),
            pool,
            pool_tls: tls.then(|| certificate.server()),
            miner_tls: miner_tls.then(|| certificate.client()),
            _kept: (certificate, server),
        }
    }

    /// Both ends of a new session.
    fn open(&self) -> (TcpStream, TcpStream) {
        (self.connect(), self.accept())
    }

    fn connect(&self) -> TcpStream {
        let miner = self.proxy.connect();
        match &self.miner_tls {
            Some(config) => tls_bridge::client(config.clone(), "127.0.0.1", miner),
            None => miner,
        }
    }

    fn accept(&self) -> TcpStream {
        let pool = self.pool.accept();
        match &self.pool_tls {
            Some(config) => tls_bridge::server(config.clone(), pool),
            None => pool,
        }
    }

    /// The pool's end of a session whose miner has spoken. Probes are turned away.
    fn accept_miner(&self) -> TcpStream {
        accept_past_probes(|| self.accept())
    }
}

fn all_ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for path in ["copy", "splice"] {
        for analysis in [true, false] {
            ways.push(Way::new(path, false, false, false, analysis));
        }
        ways.push(Way::new(path, false, true, false, true));
        ways.push(Way::new(path, true, false, false, true));
        ways.push(Way::new(path, true, true, false, true));
        ways.push(Way::new(path, true, true, true, true));
    }
    ways
}

/// Sends `data` in random chunks and then closes this direction.
fn send_in_chunks(mut to: &TcpStream, data: &[u8], random: &mut Random) {
    let mut rest = data;
    while !rest.is_empty() {
        // From 1 byte to 1 MiB, small ones as likely as large ones.
        let most = 1 << random.below(21);
        let length = (random.below(most) + 1).min(rest.len());
        to.write_all(&rest[..length]).unwrap();
        rest = &rest[length..];
    }
    half_close(to);
}

fn assert_same(name: &str, found: &[u8], sent: &[u8]) {
    let differs = found.iter().zip(sent).position(|(a, b)| a != b);
    assert_eq!((found.len(), differs), (sent.len(), None), "{name}");
}

/// Both directions at once, each closed by its sender when it has sent all.
fn exchange(way: &Way, length: usize, seed: u64) {
    let mut random = Random::new(seed);
    let (miner, pool) = way.open();
    let mut up = random.bytes(length);
    // Whatever follows; a first byte of 0x16 or `G` would rightly be looked at twice.
    up[0] = b'{';
    let down = random.bytes(length);
    let mut chunks = (Random::new(seed + 1), Random::new(seed + 2));
    std::thread::scope(|scope| {
        scope.spawn(|| send_in_chunks(&miner, &up, &mut chunks.0));
        scope.spawn(|| send_in_chunks(&pool, &down, &mut chunks.1));
        let at_pool = scope.spawn(|| read_all(&pool));
        let at_miner = read_all(&miner);
        assert_same(&format!("{}: pool to miner", way.name), &at_miner, &down);
        assert_same(&format!("{}: miner to pool", way.name), &at_pool.join().unwrap(), &up);
    });
}

fn read_all(mut from: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn random_bytes_in_random_chunks_both_ways_at_once() {
    for (number, way) in all_ways().iter().enumerate() {
        for length in [1, 2, 1000, 300_000] {
            exchange(way, length, number as u64);
        }
        way.proxy.wait_sessions(0);
    }
}

#[test]
fn sixty_four_mebibytes_plain() {
    for path in ["copy", "splice"] {
        exchange(&Way::new(path, false, false, false, true), 64 << 20, 64);
    }
}

#[test]
fn sixty_four_mebibytes_by_tls_through_socks5() {
    exchange(&Way::new("copy", true, true, false, true), 64 << 20, 65);
}

#[test]
fn half_close_by_the_miner_leaves_the_other_direction_open() {
    for way in all_ways() {
        let (mut miner, mut pool) = way.open();
        miner.write_all(b"{\"last words\":1}").unwrap();
        half_close(&miner);
        assert_eq!(read_all(&pool), b"{\"last words\":1}", "{}", way.name);
        for _ in 0..3 {
            pool.write_all(b"answer\n").unwrap();
            expect(&miner, b"answer\n");
        }
        half_close(&pool);
        expect_end(&miner);
        way.proxy.wait_sessions(0);
    }
}

#[test]
fn half_close_by_the_pool_leaves_the_other_direction_open() {
    for way in all_ways() {
        let (mut miner, mut pool) = way.open();
        miner.write_all(b"{}\n").unwrap();
        expect(&pool, b"{}\n");
        pool.write_all(b"no newline at the end").unwrap();
        half_close(&pool);
        assert_eq!(read_all(&miner), b"no newline at the end", "{}", way.name);
        for _ in 0..3 {
            miner.write_all(b"still here\r\n").unwrap();
            expect(&pool, b"still here\r\n");
        }
        half_close(&miner);
        expect_end(&pool);
        way.proxy.wait_sessions(0);
    }
}

#[test]
fn line_ends_zero_bytes_and_invalid_text_pass_as_they_are() {
    for way in all_ways() {
        let (mut miner, mut pool) = way.open();
        for text in [
            &b"{\"id\":1}\r\n"[..],
            b"\n\n\r\n",
            b"\0",
            b"a\0b\n",
            b"\xff\xfe\xc0\x80",
            b"\xef\xbb\xbf{}\n",
            b"{\"no\":\"final newline\"}",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01",
        ] {
            miner.write_all(text).unwrap();
            expect(&pool, text);
            pool.write_all(text).unwrap();
            expect(&miner, text);
        }
    }
}

#[test]
fn early_bytes_of_a_pool_that_speaks_first_pass() {
    for way in all_ways() {
        let (mut miner, mut pool) = way.open();
        pool.write_all(b"welcome\n").unwrap();
        expect(&miner, b"welcome\n");
        miner.write_all(b"{}").unwrap();
        expect(&pool, b"{}");
    }
}

#[test]
fn bytes_that_were_read_are_delivered_when_the_sender_closes_at_once() {
    // Sessions that end without an answer or a job, one after the other, cause probes of the pool.
    for way in all_ways() {
        for _ in 0..20 {
            let mut miner = way.connect();
            miner.write_all(b"{}\n").unwrap();
            let mut pool = way.accept_miner();
            expect(&pool, b"{}\n");
            pool.write_all(b"the last job\n").unwrap();
            drop(pool);
            expect(&miner, b"the last job\n");
            expect_end(&miner);
        }
        for _ in 0..20 {
            let mut miner = way.connect();
            miner.write_all(b"{\"method\":\"mining.submit\"}\n").unwrap();
            drop(miner);
            let mut pool = way.accept_miner();
            assert_eq!(read_all(&pool), b"{\"method\":\"mining.submit\"}\n", "{}", way.name);
            pool.write_all(b"too late\n").unwrap();
        }
        way.proxy.wait_sessions(0);
    }
}

#[test]
fn every_capture_passes_unchanged_as_miner_and_pool() {
    for path in ["copy", "splice"] {
        let way = Way::new(path, false, false, false, true);
        let mut conversations = 0;
        for file in capture::files() {
            for conversation in capture::read(&file) {
                let (miner, pool) = way.open();
                for piece in &conversation.pieces {
                    let (mut from, to) = match piece.from {
                        capture::From::Miner => (&miner, &pool),
                        capture::From::Pool => (&pool, &miner),
                    };
                    from.write_all(&piece.bytes).unwrap();
                    expect(to, &piece.bytes);
                }
                half_close(&miner);
                expect_end(&pool);
                half_close(&pool);
                expect_end(&miner);
                conversations += 1;
            }
        }
        assert!(conversations > 8, "{conversations}");
    }
}
