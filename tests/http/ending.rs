//! How it begins and ends.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use sluice::config::HttpConfig;
use sluice::status::server::{HttpAnswer, HttpServer};
use sluice::util::stop::Stop;

use crate::common::{expect_end, wait_for};
use crate::http::client::{Answered, connect, connect_from, gets_through, is_well};
use crate::http::process::Server;
use crate::http::toy::{Toy, handler};

#[test]
fn off_is_none_and_a_port_in_use_is_named() {
    let off = HttpConfig { listen: None, ..HttpConfig::default() };
    assert!(HttpServer::start(&off, handler(), &Stop::new()).unwrap().is_none());
    let toy = Toy::start();
    let taken = HttpConfig { listen: Some(toy.address()), ..HttpConfig::default() };
    let error = HttpServer::start(&taken, handler(), &Stop::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&toy.address().to_string()), "{error}");
}

#[test]
fn it_ends_soon_whoever_is_there() {
    let mut toy = Toy::start();
    let address = toy.address();
    let idle: Vec<TcpStream> = (0..20).map(|n| connect_from(n % 4, address)).collect();
    let mut slow = connect(address);
    slow.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let mut greedy = connect(address);
    greedy.write_all(b"GET /large HTTP/1.1\r\nHost: pi\r\n\r\n").unwrap();
    greedy.read_exact(&mut [0; 1000]).unwrap();
    is_well(address);
    let begun = Instant::now();
    toy.server.take().unwrap().shut_down();
    // A request may take 5 s.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(TcpStream::connect(address).is_err());
    for stream in &idle {
        expect_end(stream);
    }
}

#[test]
fn an_answer_on_its_way_still_arrives() {
    let (entered, inside) = unbounded();
    let (release, held) = unbounded::<()>();
    let handler = Arc::new(move |_: &sluice::status::server::GatedRequest| {
        entered.send(()).unwrap();
        let _ = held.recv();
        HttpAnswer::text(200, "in time")
    });
    let http = HttpConfig { listen: Some("127.0.0.1:0".parse().unwrap()), ..HttpConfig::default() };
    let server = HttpServer::start(&http, handler, &Stop::new()).unwrap().unwrap();
    let mut stream = connect(server.address());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: pi\r\n\r\n").unwrap();
    inside.recv().unwrap();
    let address = server.address();
    let end = std::thread::spawn(move || server.shut_down());
    wait_for("the end of the port", || TcpStream::connect(address).is_err());
    drop(release);
    assert_eq!(Answered::read(&stream).unwrap().text(), "in time");
    end.join().unwrap();
}

#[test]
fn a_handler_that_never_ends_does_not_hold_it_up() {
    let (entered, inside) = unbounded();
    let (_release, held) = unbounded::<()>();
    let handler = Arc::new(move |_: &sluice::status::server::GatedRequest| {
        entered.send(()).unwrap();
        let _ = held.recv();
        HttpAnswer::text(200, "")
    });
    let http = HttpConfig { listen: Some("127.0.0.1:0".parse().unwrap()), ..HttpConfig::default() };
    let server = HttpServer::start(&http, handler, &Stop::new()).unwrap().unwrap();
    let mut stream = connect(server.address());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: pi\r\n\r\n").unwrap();
    inside.recv().unwrap();
    let begun = Instant::now();
    server.shut_down();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn once_the_program_stops_nobody_new_is_served() {
    let toy = Toy::start();
    is_well(toy.address());
    toy.stop.stop();
    assert!(!gets_through(toy.address()));
    wait_for("the end of the port", || TcpStream::connect(toy.address()).is_err());
}

#[test]
fn nothing_is_left_behind() {
    let server = Server::start();
    is_well(server.address());
    let directory = server.directory.path().to_owned();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    let (well, log) = server.end_with(&|| {
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "the private socket is still there");
    });
    assert!(well && log.contains("ended after"), "{log}");
}
