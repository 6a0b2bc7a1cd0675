//! Admission: strangers on the Stratum port, PROXY headers, TLS, time-outs and limits.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::common::binary::Sluice;
use crate::common::certificates::Certificate;
use crate::common::pool::{Mood, Pool, ask, is_quiet, served_by};
use crate::common::{
    BarePool, DEADLINE, Proxy, expect, expect_end, half_close, holds_for, tls_bridge, wait_for,
};

const PATHS: [&str; 2] = ["copy", "splice"];

const AUTHORIZE: &str = "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"user\",\"x\"]}";

/// The first bytes of a real TLS 1.3 client.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: miner.local:3334\r\nAccept: */*\r\n\r\n";
const PROXY_V1: &[u8] = b"PROXY TCP4 192.168.7.9 10.0.0.1 40000 3334\r\n";

/// Version 2 of [`PROXY_V1`], with a TLV behind the addresses.
fn proxy_v2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    header.extend(16_u16.to_be_bytes());
    header.extend([192, 168, 7, 9, 10, 0, 0, 1]);
    header.extend(40_000_u16.to_be_bytes());
    header.extend(3334_u16.to_be_bytes());
    header.extend([0x04, 0, 1, 0xff]);
    header
}

fn listen(more: &str) -> String {
    format!("[listen]\nstratum = [\"127.0.0.1:0\"]\n{more}\n")
}

/// A proxy in front of a pool that notes what it hears.
fn world(more: &str) -> (Pool, Proxy) {
    let pool = Pool::start("pool", Mood::Answer);
    let proxy = Proxy::to(&[pool.address()], more);
    (pool, proxy)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => all,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => all,
        Err(error) => panic!("{error}"),
    }
}

/// Says it, in one write and in many, and sees that the connection ends and that the pool heard
/// nothing of it. Returns what was answered.
fn refused(more: &str, said: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    for path in PATHS {
        for pieces in [said.len(), 1] {
            let (pool, proxy) = world(&format!("{more}[forward]\npath = \"{path}\"\n"));
            let mut stranger = proxy.connect();
            for piece in said.chunks(pieces) {
                // It may be thrown out before it has said all.
                if stranger.write_all(piece).is_err() {
                    break;
                }
            }
            answer = read_all(&stranger);
            drop(stranger);
            proxy.wait_sessions(0);
            // A miner is still welcome, and is all that the pool has heard.
            assert_eq!(ask(&proxy.connect(), "{}"), "pool {}\n");
            assert_eq!(pool.received(), "{}\n", "{path}");
        }
    }
    answer
}

#[test]
fn tls_on_the_plain_port_is_closed() {
    assert_eq!(refused("", CLIENT_HELLO), b"");
}

#[test]
fn a_lone_first_byte_of_tls_is_closed() {
    assert_eq!(refused("", b"\x16"), b"");
}

#[test]
fn a_browser_gets_an_answer_it_understands() {
    let (pool, proxy) = world("");
    let mut browser = proxy.connect();
    browser.write_all(HTTP).unwrap();
    let answer = String::from_utf8(read_all(&browser)).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    assert_eq!(length, Some(body.len().to_string().as_str()), "{body:?}");
    drop(browser);
    proxy.wait_sessions(0);
    assert_eq!(pool.received(), "");
}

#[test]
fn an_http_request_is_closed_however_it_comes() {
    refused("", HTTP);
    refused("", b"POST /status HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc");
}

#[test]
fn a_proxy_header_is_refused_where_it_is_off() {
    assert_eq!(refused("", PROXY_V1), b"");
    assert_eq!(refused("", &proxy_v2()), b"");
}

#[test]
fn a_proxy_header_is_refused_from_an_address_not_in_the_list() {
    let more = listen("proxy_protocol = [\"10.0.0.0/8\", \"::1\"]");
    assert_eq!(refused(&more, PROXY_V1), b"");
    assert_eq!(refused(&more, &proxy_v2()), b"");
}

/// As random as the key that a Stratum V2 miner begins with, and the same each time.
fn v2_key() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    // Its first byte is no text, so that it is waited for when it comes in pieces.
    std::iter::once(0xe7).chain(std::iter::repeat_with(&mut next)).take(64).collect()
}

/// A SetupConnection message in the clear.
const V2_SETUP: &[u8] = b"\0\0\0\x1b\0\0\0\x02\0\x02\0\0\0\0\0\x09localhost\x06\x0d\0\0\0\0\0";

#[test]
fn a_stratum_v2_miner_is_closed_and_the_log_says_what_to_set() {
    assert_eq!(refused("", &v2_key()), b"");
    assert_eq!(refused("", V2_SETUP), b"");
    let pool = BarePool::start();
    for (said, words) in [(&v2_key()[..], "seems to speak Stratum V2"), (V2_SETUP, "it speaks Stratum V2")] {
        let sluice = Sluice::run(&format!("{}{}", listen(""), pool.upstream()));
        let mut miner = sluice.connect();
        miner.write_all(said).unwrap();
        let line = sluice.wait_line(words);
        assert!(line.contains("127.0.0.1:") && line.contains("set the miner to Stratum V1"), "{line}");
    }
}

#[test]
fn other_binary_bytes_are_not_called_stratum_v2() {
    let longer = [&v2_key()[..], b"more"].concat();
    let (pool, proxy) = world("");
    let mut miner = proxy.connect();
    miner.write_all(&longer).unwrap();
    miner.write_all(b"\n").unwrap();
    wait_for("the pool to hear it", || pool.received().len() > longer.len() / 2);
}

#[test]
fn an_ipv4_miner_in_ipv6_clothes_is_an_ipv4_miner() {
    let more = "proxy_protocol = true\nallow = [\"127.0.0.0/8\", \"10.0.0.0/8\"]";
    let mapped = |address: &str| format!("PROXY TCP6 ::ffff:{address} ::1 40000 3334\r\n");
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    binary.extend(std::net::Ipv4Addr::new(10, 1, 2, 3).to_ipv6_mapped().octets());
    binary.extend([0; 16]);
    binary.extend(40_000_u16.to_be_bytes());
    binary.extend(3334_u16.to_be_bytes());
    for header in [mapped("10.1.2.3").into_bytes(), binary] {
        let (_pool, proxy) = world(&listen(more));
        let mut balancer = proxy.connect();
        balancer.write_all(&header).unwrap();
        assert_eq!(served_by(&balancer), "pool");
        assert_eq!(proxy.running().conversations()[0].miner().to_string(), "10.1.2.3:40000");
    }
    // Neither list nor limit is got round by the other form.
    let (pool, proxy) = world(&format!("[ratelimit]\nmax_connections_per_ip = 1\n{}", listen(more)));
    let mut stranger = proxy.connect();
    stranger.write_all(format!("{}{{}}\n", mapped("8.8.8.8")).as_bytes()).unwrap();
    assert_eq!(read_all(&stranger), b"");
    let mut first = proxy.connect();
    first.write_all(b"PROXY TCP4 10.1.2.3 10.0.0.1 40000 3334\r\n").unwrap();
    assert_eq!(served_by(&first), "pool");
    let mut second = proxy.connect();
    second.write_all(format!("{}{{}}\n", mapped("10.1.2.3")).as_bytes()).unwrap();
    assert_eq!(read_all(&second), b"");
    assert!(!pool.received().contains("{}"));
}

#[test]
fn a_proxy_header_names_the_miner_and_leaves_its_bytes_alone() {
    let says = b"{\"id\":1,\"method\":\"mining.subscribe\"}\n";
    for setting in ["true", "[\"127.0.0.0/8\"]"] {
        for header in [PROXY_V1.to_vec(), proxy_v2()] {
            let glued = [&header, &says[..]].concat();
            for pieces in [glued.len(), header.len(), header.len() + 5, 1] {
                let pool = BarePool::start();
                let proxy = Proxy::start(&format!(
                    "{}{}",
                    listen(&format!("proxy_protocol = {setting}")),
                    pool.upstream()
                ));
                let mut balancer = proxy.connect();
                for piece in glued.chunks(pieces) {
                    balancer.write_all(piece).unwrap();
                }
                let at_pool = pool.accept();
                expect(&at_pool, says);
                (&at_pool).write_all(b"answer\n").unwrap();
                expect(&balancer, b"answer\n");
                let miner = proxy.running().conversations()[0].miner();
                assert_eq!(miner.to_string(), "192.168.7.9:40000");
                half_close(&balancer);
                expect_end(&at_pool);
            }
        }
    }
}

#[test]
fn where_a_proxy_header_is_asked_for_a_miner_without_one_is_closed() {
    let (pool, proxy) = world(&listen("proxy_protocol = true\nhandshake_timeout = \"1s\""));
    for said in [&b"{\"id\":1}\n"[..], CLIENT_HELLO, HTTP, b"PROXY TCP4 nonsense\r\n{}\n", b"PRO", b""] {
        let mut miner = proxy.connect();
        miner.write_all(said).unwrap();
        assert_eq!(read_all(&miner), b"", "{}", said.escape_ascii());
    }
    assert_eq!(pool.received(), "");
}

#[test]
fn the_announced_address_is_judged() {
    let (pool, proxy) = world(&listen("proxy_protocol = true"));
    let mut balancer = proxy.connect();
    balancer.write_all(b"PROXY TCP4 8.8.8.8 10.0.0.1 40000 3334\r\n{\"id\":1}\n").unwrap();
    assert_eq!(read_all(&balancer), b"");
    assert_eq!(pool.received(), "");
    // The balancer's own health check speaks for itself.
    let mut check = proxy.connect();
    check.write_all(b"PROXY UNKNOWN\r\n").unwrap();
    assert_eq!(served_by(&check), "pool");
}

fn tls_world(more: &str) -> (Certificate, Pool, Proxy) {
    let certificate = Certificate::new(&["127.0.0.1"]);
    let (pool, proxy) = world(&format!(
        "{more}[listen]\nstratum = []\ntls = {{ cert = {:?}, key = {:?}, listen = [\"127.0.0.1:0\"] }}\n",
        certificate.cert_file(),
        certificate.key_file()
    ));
    (certificate, pool, proxy)
}

#[test]
fn a_tls_miner_is_served_and_a_plain_one_on_that_port_is_closed() {
    for path in PATHS {
        let (certificate, pool, proxy) = tls_world(&format!("[forward]\npath = \"{path}\"\n"));
        let mut plain = proxy.connect();
        plain.write_all(b"{\"id\":1,\"method\":\"mining.subscribe\"}\n").unwrap();
        // It may get a TLS alert; then the end.
        read_all(&plain);
        assert_eq!(pool.received(), "");
        let miner = tls_bridge::client(certificate.client(), "127.0.0.1", proxy.connect());
        assert_eq!(served_by(&miner), "pool");
        assert_eq!(ask(&miner, "{\"id\":9}"), "pool {\"id\":9}\n");
    }
}

#[test]
fn a_proxy_header_stands_before_the_tls_handshake() {
    let certificate = Certificate::new(&["127.0.0.1"]);
    let text = format!(
        "[listen]\nstratum = []\nproxy_protocol = true\n\
         tls = {{ cert = {:?}, key = {:?}, listen = [\"127.0.0.1:0\"] }}\n",
        certificate.cert_file(),
        certificate.key_file()
    );
    let (_pool, proxy) = world(&text);
    for header in [PROXY_V1.to_vec(), proxy_v2()] {
        let mut balancer = proxy.connect();
        balancer.write_all(&header).unwrap();
        let miner = tls_bridge::client(certificate.client(), "127.0.0.1", balancer);
        assert_eq!(served_by(&miner), "pool");
        assert_eq!(proxy.running().conversations()[0].miner().to_string(), "192.168.7.9:40000");
        drop(miner);
        proxy.wait_sessions(0);
    }
}

#[test]
fn a_miner_that_is_not_authorized_in_time_is_closed() {
    for path in PATHS {
        let text = format!("{}[forward]\npath = \"{path}\"\n", listen("handshake_timeout = \"1s\""));
        let (_pool, proxy) = world(&text);
        let begun = Instant::now();
        let (silent, subscribed, authorized) = (proxy.connect(), proxy.connect(), proxy.connect());
        assert_eq!(served_by(&subscribed), "pool");
        assert_eq!(ask(&authorized, AUTHORIZE), format!("pool {AUTHORIZE}\n"));
        expect_end(&silent);
        expect_end(&subscribed);
        assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
        drop((silent, subscribed));
        proxy.wait_sessions(1);
        // It is served for as long as it likes; the others' time is over by now.
        let until = begun + Duration::from_millis(1700);
        while Instant::now() < until {
            assert!(is_quiet(&authorized));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(served_by(&authorized), "pool");
    }
}

#[test]
fn without_the_analyzer_an_answered_miner_counts_as_authorized() {
    let text = format!("{}[analysis]\nenabled = false\n", listen("handshake_timeout = \"1s\""));
    let (_pool, proxy) = world(&text);
    let (answered, silent) = (proxy.connect(), proxy.connect());
    assert_eq!(served_by(&answered), "pool");
    expect_end(&silent);
    // The other's time is over as well, and looked at as often as the silent one's.
    holds_for(Duration::from_millis(1200), "it stays so", || is_quiet(&answered));
    assert_eq!(served_by(&answered), "pool");
}

/// Goes on saying something until it is closed or the time is up; whether it was closed.
fn talk_until_closed(mut miner: &TcpStream, time: Duration) -> bool {
    let until = Instant::now() + time;
    miner.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    while Instant::now() < until {
        if miner.write_all(b"{\"id\":3,\"method\":\"mining.suggest_difficulty\"}\n").is_err() {
            return true;
        }
        match miner.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => std::thread::sleep(Duration::from_millis(50)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
    }
    false
}

#[test]
fn talking_is_not_authorizing() {
    for path in PATHS {
        let text = format!("{}[forward]\npath = \"{path}\"\n", listen("handshake_timeout = \"1s\""));
        let (_pool, proxy) = world(&text);
        assert!(talk_until_closed(&proxy.connect(), DEADLINE), "{path}");
    }
}

#[test]
fn an_idle_miner_is_closed_after_its_idle_timeout_and_a_busy_one_is_not() {
    for path in PATHS {
        let text = format!("{}[forward]\npath = \"{path}\"\n", listen("idle_timeout = \"1s\""));
        let (_pool, proxy) = world(&text);
        let (idle, busy) = (proxy.connect(), proxy.connect());
        for miner in [&idle, &busy] {
            assert_eq!(ask(miner, AUTHORIZE), format!("pool {AUTHORIZE}\n"));
        }
        let begun = Instant::now();
        let mut closed_after = None;
        while begun.elapsed() < DEADLINE && closed_after.is_none() {
            assert_eq!(ask(&busy, "{}"), "pool {}\n");
            closed_after = (!is_quiet(&idle)).then(|| begun.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
        let closed_after = closed_after.expect("the idle miner was left alone");
        assert!(closed_after >= Duration::from_millis(900), "{closed_after:?}");
        expect_end(&idle);
        assert_eq!(ask(&busy, "{}"), "pool {}\n");
    }
}

#[test]
fn the_allow_list_decides_and_a_stranger_costs_no_connection_to_the_pool() {
    let (pool, proxy) = world(&listen("allow = [\"10.0.0.0/8\"]"));
    for _ in 0..3 {
        let mut stranger = proxy.connect();
        let _ = stranger.write_all(b"{}\n");
        assert_eq!(read_all(&stranger), b"");
    }
    assert_eq!(proxy.running().sessions(), 0);
    assert_eq!(pool.accepted(), 0);
}

#[test]
fn one_miner_more_than_max_miners_is_refused_until_one_leaves() {
    let (_pool, proxy) = world(&listen("max_miners = 2"));
    full_until_one_leaves(&proxy);
}

#[test]
fn an_address_has_as_many_connections_as_it_may_and_gets_its_place_back() {
    let (_pool, proxy) = world("[ratelimit]\nmax_connections_per_ip = 2\n");
    full_until_one_leaves(&proxy);
}

/// Two miners may be there, a third may not; a place is free when one has left.
fn full_until_one_leaves(proxy: &Proxy) {
    let served = || {
        let miner = proxy.connect();
        assert_eq!(served_by(&miner), "pool");
        miner
    };
    let mut miners = vec![served(), served()];
    for _ in 0..3 {
        assert_eq!(read_all(&proxy.connect()), b"");
        drop(miners.remove(0));
        proxy.wait_sessions(1);
        miners.push(served());
    }
}

#[test]
fn too_many_connections_in_a_minute_are_a_ban() {
    let (pool, proxy) = world("[ratelimit]\nmax_connections_per_minute = 5\nban = \"1s\"\n");
    let staying = proxy.connect();
    assert_eq!(served_by(&staying), "pool");
    for _ in 0..4 {
        assert_eq!(served_by(&proxy.connect()), "pool");
    }
    let before = pool.accepted();
    assert_eq!(read_all(&proxy.connect()), b"");
    assert_eq!(read_all(&proxy.connect()), b"", "it is banned now");
    assert_eq!(pool.accepted(), before);
    // Whoever is in stays in, another address is not meant, and the ban ends.
    assert_eq!(served_by(&staying), "pool");
    wait_for("the end of the ban", || {
        let mut miner = proxy.connect();
        miner.write_all(b"{}\n").is_ok() && !read_line_or_end(&miner).is_empty()
    });
}

/// The next bytes, or nothing at the end.
fn read_line_or_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut buffer = [0; 64];
    let length = stream.read(&mut buffer).unwrap_or(0);
    buffer[..length].to_vec()
}

#[test]
fn every_listener_serves_ipv6_too() {
    let certificate = Certificate::new(&["127.0.0.1", "::1"]);
    let (_pool, proxy) = world(&format!(
        "[listen]\nstratum = [\"127.0.0.1:0\", \"[::1]:0\", \"127.0.0.2:0\"]\n\
         tls = {{ cert = {:?}, key = {:?}, listen = [\"127.0.0.1:0\", \"[::1]:0\"] }}\n",
        certificate.cert_file(),
        certificate.key_file()
    ));
    let addresses = proxy.app().addresses();
    let ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(ips, ["127.0.0.1", "::1", "127.0.0.2", "127.0.0.1", "::1"]);
    let mut miners = Vec::new();
    for (place, address) in addresses.iter().enumerate() {
        let miner = connect(*address);
        let miner = match place {
            0..3 => miner,
            _ => tls_bridge::client(certificate.client(), &address.ip().to_string(), miner),
        };
        assert_eq!(served_by(&miner), "pool", "{address}");
        miners.push(miner);
    }
    assert_eq!(proxy.running().sessions(), addresses.len());
    let all = proxy.running().conversations();
    assert_eq!(all.iter().filter(|one| one.miner().is_ipv6()).count(), 2);
    // An answer is counted after it was sent.
    wait_for("every answer's count", || all.iter().all(|one| one.down.bytes.load(Ordering::Relaxed) > 0));
}

#[test]
fn each_kind_of_stranger_gets_one_clear_line_in_the_log() {
    for (said, clear) in [
        (CLIENT_HELLO, "it speaks TLS to a plain port"),
        (HTTP, "it sent an HTTP request to a Stratum port"),
        (PROXY_V1, "it sent a PROXY header, which listen.proxy_protocol does not allow"),
    ] {
        let pool = Pool::start("pool", Mood::Answer);
        let sluice = Sluice::run(&format!("{}[http]\nlisten = \"\"\n{}", listen(""), pool.upstream()));
        let mut ends = Vec::new();
        for _ in 0..5 {
            let mut stranger = sluice.connect();
            stranger.write_all(said).unwrap();
            read_all(&stranger);
            ends.push(stranger.local_addr().unwrap());
        }
        assert_eq!(served_by(&sluice.connect()), "pool");
        sluice.signal("TERM");
        let (status, log) = sluice.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        let about: Vec<&str> = log.lines().filter(|line| line.contains(clear)).collect();
        // The first is named, the rest counted: a scanner can't fill the log.
        assert_eq!(about.len(), 1, "{log}");
        assert!(about[0].contains(&ends[0].to_string()), "{about:?}");
        let warnings = log.lines().filter(|line| line.contains("127.0.0.1:") && line.contains("WARN"));
        assert_eq!(warnings.count(), 1, "{log}");
        assert_eq!(pool.received().lines().count(), 1, "{}", pool.received());
    }
}
