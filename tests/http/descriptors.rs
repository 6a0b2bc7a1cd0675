//! The inner server dies, of too few descriptors or by any other way, and another takes its place.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;

use crate::common::wait_for;
use crate::http::client::{Answered, connect_from, gets_through, is_well};
use crate::http::process::Server;

fn sockets(server: &Server) -> Vec<PathBuf> {
    let private = fs::read_dir(server.directory.path()).unwrap().flatten();
    private.flat_map(|entry| fs::read_dir(entry.path()).unwrap().flatten()).map(|each| each.path()).collect()
}

#[test]
fn without_its_socket_it_is_started_again() {
    let mut server = Server::start();
    for round in 1..=3 {
        is_well(server.address());
        for socket in sockets(&server) {
            fs::remove_file(socket).unwrap();
        }
        is_well(server.address());
        wait_for("the log's line", || server.count("was restarted") == round);
        assert_eq!(sockets(&server).len(), 1);
    }
    server.is_unharmed();
}

#[test]
fn when_descriptors_run_out_it_comes_back() {
    let server = Server::start_with("ulimit -n 48;");
    is_well(server.address());
    let before = server.resources();
    let mut idle: Vec<TcpStream> = Vec::new();
    for _ in 0..2 {
        // More than it has descriptors for.
        idle.extend((0..56).map(|n| connect_from(n % 8, server.address())));
        wait_for("the end of the descriptors", || server.says("can't accept connections"));
        // Each step leaves it one more, so that at some a visitor gets in and no further.
        while idle.pop().is_some() {
            let visitor = connect_from(100, server.address());
            (&visitor).write_all(b"GET / HTTP/1.1\r\nHost: pi\r\n\r\n").unwrap();
            if idle.len() % 4 == 0 {
                let answered = Answered::read(&visitor);
                assert!(
                    answered.as_ref().is_none_or(|each| [200, 503].contains(&each.status)),
                    "{answered:?}"
                );
            }
        }
        wait_for("a visit", || gets_through(server.address()));
    }
    is_well(server.address());
    wait_for("the end of their threads", || server.resources().threads <= before.threads + 8);
    println!("errors {}, restarted {}", server.count("ERROR"), server.count("was restarted"));
    // One for the port, one for what is behind it, and tiny_http's own; not one for each visitor.
    assert!(server.count("ERROR the page") <= 2, "{}", server.log());
    assert!(server.count("ERROR") <= 2 + server.count("was restarted"), "{}", server.log());
    let (well, log) = server.end();
    assert!(well, "{log}");
}
