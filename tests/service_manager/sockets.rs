//! Sockets that the service manager has opened: which ones are taken, and which are a fault.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::common::binary::Sluice;
use crate::common::{BarePool, DEADLINE, expect, upstream, wait_for};

const SUBSCRIBE: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n";

fn listener() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn config(miners: SocketAddr, page: SocketAddr, pool: &BarePool) -> String {
    format!("[listen]\nstratum = [\"{miners}\"]\n[http]\nlisten = \"{page}\"\n{}", pool.upstream())
}

/// The flags of a descriptor of the program, as the kernel shows them.
fn flags(sluice: &Sluice, descriptor: u32) -> u32 {
    let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{descriptor}", sluice.id())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    u32::from_str_radix(flags.trim(), 8).unwrap()
}

#[test]
fn miners_and_page_are_served_on_inherited_sockets_and_nobody_is_refused_in_between() {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let ((miners, to_miners), (page, to_page)) = (listener(), listener());
    let pool = BarePool::start();
    let text = config(to_miners, to_page, &pool);
    // One that comes before the program is served by the first one.
    let mut early = connect(to_miners);
    for _ in 0..2 {
        early.write_all(SUBSCRIBE).unwrap();
        let sluice =
            Sluice::run_with_sockets(&[&page, &miners], &[("LISTEN_FDNAMES", "a.socket:b.socket")], &text);
        assert_eq!(sluice.address(), to_miners);
        let at_pool = pool.accept();
        expect(&at_pool, SUBSCRIBE);
        assert!(ureq::get(format!("http://{to_page}/healthz")).call().is_ok());
        for descriptor in [3, 4] {
            assert_ne!(
                flags(&sluice, descriptor) & CLOSE_ON_EXEC,
                0,
                "a program that it starts would inherit it"
            );
        }
        sluice.signal("TERM");
        let (status, log) = sluice.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("still being closed"), "{log}");
        // The ports still take connections, for the next one.
        drop(connect(to_page));
        early = connect(to_miners);
    }
}

#[test]
fn an_address_without_a_socket_is_opened_as_ever() {
    let ((page, to_page), pool) = (listener(), BarePool::start());
    let text = config("127.0.0.1:0".parse().unwrap(), to_page, &pool);
    let sluice = Sluice::run_with_sockets(&[&page], &[], &text);
    drop(connect(sluice.address()));
    assert!(ureq::get(format!("http://{to_page}/healthz")).call().is_ok());
    sluice.signal("TERM");
    let own = sluice.address();
    assert_eq!(sluice.wait().0.code(), Some(0));
    wait_for("the end of its own port", || TcpStream::connect(own).is_err());
    drop(connect(to_page));
}

#[test]
fn a_socket_that_no_address_is_configured_for_is_a_fault_of_the_configuration() {
    let ((other, to_other), (_unused, to_miners)) = (listener(), listener());
    let text = format!("[listen]\nstratum = [\"{to_miners}\"]\n{}", upstream(to_miners));
    let sluice = Sluice::run_with_sockets(&[&other], &[("LISTEN_FDNAMES", "sluice.socket")], &text);
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(2), "{log}");
    for part in ["sluice.socket", &to_other.to_string(), &to_miners.to_string(), "ListenStream="] {
        assert!(log.contains(part), "no {part} in {log}");
    }
}

#[test]
fn sockets_of_another_process_are_left_alone() {
    let ((miners, to_miners), pool) = (listener(), BarePool::start());
    let text = config("127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap(), &pool);
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg("LISTEN_PID=1 LISTEN_FDS=3 exec \"$0\" \"$@\"").arg(env!("CARGO_BIN_EXE_sluice"));
    let sluice = Sluice::run_by(shell, &text);
    assert_ne!(sluice.address(), to_miners);
    drop(miners);
}
