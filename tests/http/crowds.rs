//! Many visitors at once: who stays too long makes room, and threads and memory stay bounded.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::common::{expect_end, wait_for};
use crate::http::client::{Answered, connect, connect_from, gets_through, is_well};
use crate::http::process::Server;
use crate::http::toy::{LARGE, Toy};

/// 128 visitors' threads, eight of the inner server's, and those that are leaving.
const MOST_THREADS: usize = 150;

#[test]
fn four_hundred_that_never_finish_their_request() {
    let mut server = Server::start();
    is_well(server.address());
    let before = server.resources();
    let mut crowd = Vec::new();
    for n in 0..400 {
        let mut stream = connect_from((n % 20) as u8, server.address());
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: pi\r\nX-");
        crowd.push(stream);
    }
    let begun = Instant::now();
    wait_for("a visit", || gets_through(server.address()));
    let took = begun.elapsed();
    // The visitor may have been quicker than the last of the crowd.
    let mut full = server.resources();
    wait_for("the crowd", || {
        full = server.resources();
        full.threads > before.threads + 32
    });
    println!("alone {before:?}, full {full:?}, a visit after {took:?}");
    // A request may take 5 s.
    assert!(took < Duration::from_millis(4500), "{took:?}");
    assert!(full.threads < MOST_THREADS, "{full:?}");
    assert!(full.kib < before.kib + 16 * 1024, "{before:?} {full:?}");
    drop(crowd);
    wait_for("the end of their threads", || server.resources().threads <= before.threads + 8);
    server.is_unharmed();
}

#[test]
fn one_address_gets_sixteen_connections_and_the_seventeenth_is_refused_at_once() {
    let visit = |toy: &Toy| {
        let mut stream = connect(toy.address());
        stream.write_all(b"GET / HTTP/1.1\r\nHost: pi\r\n\r\n").unwrap();
        Answered::read(&stream)
    };
    // A busy machine may have accepted the sixteen so late that the first of them has to make room.
    let sixteen_and_a_refusal = || {
        let toy = Toy::start();
        let sixteen: Vec<TcpStream> = (0..16).map(|_| connect(toy.address())).collect();
        let (begun, mut refused) = (Instant::now(), None);
        while refused.is_none() && begun.elapsed() < Duration::from_millis(900) {
            refused = visit(&toy).filter(|answered| answered.status == 503);
        }
        Some((toy, sixteen, refused?))
    };
    let (toy, _sixteen, refused) =
        std::iter::repeat_with(sixteen_and_a_refusal).take(20).flatten().next().expect("nobody was refused");
    assert_eq!(refused.header("Retry-After"), Some("1"));
    // Another address is another matter.
    assert!(gets_through(toy.address()));
    // A second later the first of the sixteen makes room.
    wait_for("room", || visit(&toy).is_some_and(|answered| answered.status == 200));
}

/// Asks for the large answer and takes nothing of it.
fn slow_reader(number: u8, server: &Server) -> TcpStream {
    let stream = connect_from(number, server.address());
    SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
    let _ = (&stream).write_all(b"GET /large HTTP/1.1\r\nHost: pi\r\n\r\n");
    stream
}

#[test]
fn five_hundred_that_do_not_take_their_answer() {
    let mut server = Server::start();
    is_well(server.address());
    let before = server.resources();
    let begun = Instant::now();
    let mut crowd = Vec::new();
    let (mut most, mut longest) = (before, Duration::ZERO);
    for n in 0..500 {
        crowd.push(slow_reader((n % 50) as u8, &server));
        let now = server.resources();
        most.threads = most.threads.max(now.threads);
        most.kib = most.kib.max(now.kib);
        if n % 100 == 99 {
            let asked = Instant::now();
            wait_for("a visit", || gets_through(server.address()));
            longest = longest.max(asked.elapsed());
        }
    }
    println!("{:?}: alone {before:?}, at most {most:?}, a visit took {longest:?}", begun.elapsed());
    assert!(longest < Duration::from_millis(4500), "{longest:?}");
    assert!(most.threads < MOST_THREADS, "{most:?}");
    assert!(most.kib > before.kib + LARGE / 1024, "no answer was held: {most:?}");
    // What may be held, and what is on its way through the inner server.
    assert!(most.kib < before.kib + 96 * 1024, "{before:?} {most:?}");
    wait_for("the end of their threads", || server.resources().threads <= before.threads + 8);
    server.is_unharmed();
}

/// All of them at once, because each takes its time.
#[test]
fn visitors_that_take_too_long_are_disconnected() {
    let server = Server::start();
    is_well(server.address());
    let before = server.resources().descriptors;
    let begun = Instant::now();
    let reader = slow_reader(1, &server);
    let silent: Vec<TcpStream> = (0..20).map(|n| connect_from(n % 4, server.address())).collect();
    let slow = connect_from(5, server.address());
    (&slow).write_all(b"GET / HTTP/1.1\r\nX-A: b\r\n").unwrap();
    let toy = Toy::with(Some("hunter2"), &[]);
    let mut half = connect(toy.address());
    let head = "POST / HTTP/1.1\r\nHost: pi\r\nX-Sluice-Token: hunter2\r\nContent-Length: 2\r\n\r\nx";
    half.write_all(head.as_bytes()).unwrap();
    // Half a head and half a body are told, silence is not.
    assert_eq!(Answered::read(&slow).unwrap().status, 408);
    assert_eq!(Answered::read(&half).unwrap().status, 408);
    for stream in &silent {
        expect_end(stream);
    }
    assert!((4..30).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    wait_for("the end of the reader", || server.says("did not take the answer"));
    assert!((9..60).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    wait_for("its descriptor", || server.resources().descriptors <= before);
    drop(reader);
}

/// Not a bound, a figure: `cargo test --release --test http -- --ignored --nocapture speed`.
#[test]
#[ignore = "prints a figure"]
fn speed() {
    let toy = Toy::start();
    let count = 2000;
    let begun = Instant::now();
    for _ in 0..count {
        is_well(toy.address());
    }
    println!("{:?} a request, one after another", begun.elapsed() / count);
}
