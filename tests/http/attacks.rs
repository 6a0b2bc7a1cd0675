//! One visitor that means harm, against a server in a process of its own: after each attack it still
//! lives, holds no more than before, and serves the next visitor.

use std::io::Write;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::common::wait_for;
use crate::http::client::{Answered, ask, ask_bytes, connect, connect_from, gets_through, is_well};
use crate::http::process::Server;

/// Sends `piece` again and again until it is cut off, at most `limit` bytes: what was sent and answered.
fn send_until_cut(server: &Server, start: &[u8], piece: &[u8], limit: usize) -> (usize, Option<u16>) {
    let mut stream = connect(server.address());
    stream.write_all(start).unwrap();
    let mut sent = 0;
    while sent < limit && stream.write_all(piece).is_ok() {
        sent += piece.len();
    }
    (sent, Answered::read(&stream).map(|answered| answered.status))
}

#[test]
fn a_huge_content_length_ends_nothing() {
    let mut server = Server::start();
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        for length in ["99999999999", "18446744073709551615", "99999999999999999999999999"] {
            let text = format!("{method} / HTTP/1.1\nHost: pi\nContent-Length: {length}\n\n");
            let status = ask(server.address(), &text).status;
            assert_eq!(status, if method == "OPTIONS" { 405 } else { 413 }, "{text}");
        }
    }
    is_well(server.address());
    server.is_unharmed();
}

#[test]
fn endless_heads_cost_nothing() {
    let mut server = Server::start();
    is_well(server.address());
    let before = server.resources();
    let start = b"GET / HTTP/1.1\r\nHost: pi\r\nX: ";
    let (sent, status) = send_until_cut(&server, start, &[b'x'; 65_536], 256 << 20);
    // The system's own buffers take some.
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    assert!(matches!(status, None | Some(431)), "{status:?}");
    let (sent, status) = send_until_cut(&server, b"GET /", &[b'x'; 65_536], 256 << 20);
    assert!(sent < 64 << 20 && matches!(status, None | Some(414)), "{sent} {status:?}");
    let start = b"GET / HTTP/1.1\r\nHost: pi\r\n";
    let (sent, status) = send_until_cut(&server, start, &b"A: b\r\n".repeat(1000), 100_000 * 6);
    assert!(matches!(status, None | Some(431)), "{sent} {status:?}");
    // Small enough to be answered before anything is cut.
    let headers = "A: b\r\n".repeat(200);
    let text = format!("GET / HTTP/1.1\r\nHost: pi\r\n{headers}\r\n");
    assert_eq!(ask_bytes(server.address(), text.as_bytes()).status, 431);
    is_well(server.address());
    let after = server.resources();
    println!("before {before:?}, after {after:?}");
    assert!(after.kib < before.kib + 8 * 1024, "{before:?} {after:?}");
    server.is_unharmed();
}

#[test]
fn requests_that_are_reset_harm_nobody() {
    let mut server = Server::start();
    is_well(server.address());
    let before = server.resources();
    let begun = Instant::now();
    for n in 0..4000 {
        let mut stream = connect_from((n % 200) as u8, server.address());
        let path = if n % 2 == 0 { "/" } else { "/large" };
        let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: pi\r\n\r\n").as_bytes());
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    println!("4000 resets in {:?}", begun.elapsed());
    wait_for("a visit", || gets_through(server.address()));
    // Those of the inner server live on for some seconds; there are at most eight more.
    wait_for("the end of their threads and connections", || {
        let now = server.resources();
        now.threads <= before.threads + 8 && now.descriptors <= before.descriptors + 40
    });
    println!("before {before:?}, after {:?}", server.resources());
    server.is_unharmed();
}

#[test]
fn nonsense_of_all_kinds_harms_nobody() {
    let mut server = Server::start();
    let mut random = crate::common::random::Random::new(7);
    for round in 0..500 {
        let mut stream = connect(server.address());
        let length = 1 + round * 7 % 3000;
        let mut bytes: Vec<u8> = random.bytes(length);
        if round % 2 == 0 {
            bytes.splice(0..0, *b"GET /");
        }
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let answered = Answered::read(&stream);
        assert!(answered.as_ref().is_none_or(|answered| answered.status >= 400), "{answered:?}");
    }
    is_well(server.address());
    server.is_unharmed();
}
