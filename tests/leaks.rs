//! Ten thousand connections leave nothing behind: no thread, no descriptor, no session, no memory.
//! In a process of its own, as it counts what the whole process holds.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::common::own_process::in_own_process;
use crate::common::resources::{self, Resources};
use crate::common::{DEADLINE, Proxy, upstream};

const CLIENTS: usize = 8;
const WARM_UP: usize = 1_000;
const MEASURED: usize = 10_000;
/// On the other path; its pipes would show much sooner.
const MEASURED_SPLICE: usize = 3_000;

/// Memory that the allocator and the kernel may keep: threads of other sizes, arenas. A leak
/// of 1 KiB a connection would be 10 MiB.
const MEMORY_GROWTH_KIB: usize = 6 * 1024;

const LINE: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n";
const KILL: &[u8] = b"{\"id\":2,\"method\":\"kill\"}\n";

/// Answers each line with itself; a line that says `kill` is answered by a reset.
fn pool() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = move || {
                let (mut stream, mut buffer) = (stream, [0; 512]);
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if buffer[..length].windows(4).any(|word| word == b"kill") {
                        reset(&stream);
                        return;
                    }
                    if stream.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            };
            std::thread::Builder::new().stack_size(64 * 1024).spawn(serve).unwrap();
        }
    });
    address
}

/// The close that follows is an RST.
fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// One connection that ends in one of the ways there are.
fn connect_and_end(number: usize, address: SocketAddr) {
    let mut miner = TcpStream::connect(address).unwrap();
    miner.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut buffer = [0; 512];
    match number % 10 {
        // Never a word.
        0 => {}
        1 => reset(&miner),
        // Foreign: closed, with or without an answer.
        2 | 3 => {
            let said: &[u8] = if number % 10 == 2 { b"GET / HTTP/1.1\r\n\r\n" } else { b"\x16\x03\x01\x02" };
            miner.write_all(said).unwrap();
            while let Ok(1..) = miner.read(&mut buffer) {}
        }
        // Said, and gone before the answer.
        4 => miner.write_all(LINE).unwrap(),
        way => {
            miner.write_all(LINE).unwrap();
            let mut answer = vec![0; LINE.len()];
            miner.read_exact(&mut answer).unwrap();
            match way {
                5 | 6 => reset(&miner),
                // Half-closed: the pool's end comes back.
                7 => {
                    miner.shutdown(Shutdown::Write).unwrap();
                    assert_eq!(miner.read(&mut buffer).unwrap(), 0);
                }
                // The pool's side is killed.
                8 => {
                    miner.write_all(KILL).unwrap();
                    while let Ok(1..) = miner.read(&mut buffer) {}
                }
                // Politely.
                _ => {}
            }
        }
    }
}

fn connect_many(count: usize, address: SocketAddr) {
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for number in (client..count).step_by(CLIENTS) {
                    connect_and_end(number, address);
                }
            });
        }
    });
}

/// Resources held once everything has come to rest: nothing has changed for a while, and there is no
/// more than `at_most`. When that does not come, what is held at the deadline.
fn at_rest(proxy: &Proxy, at_most: Option<Resources>) -> Resources {
    proxy.wait_sessions(0);
    let mut held = resources::of("self");
    let (mut steady, deadline) = (0, Instant::now() + DEADLINE);
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
        let now = resources::of("self");
        let same = (now.threads, now.descriptors) == (held.threads, held.descriptors);
        steady = if same { steady + 1 } else { 0 };
        held = now;
        let is_down =
            at_most.is_none_or(|most| now.threads <= most.threads && now.descriptors <= most.descriptors);
        if steady >= 40 && is_down {
            break;
        }
    }
    held
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    in_own_process(|| {
        for (path, count) in [("copy", MEASURED), ("splice", MEASURED_SPLICE)] {
            let proxy = Proxy::start(&format!(
                "[listen]\nstratum = [\"127.0.0.1:0\"]\n[forward]\npath = \"{path}\"\n\
             [ratelimit]\nmax_connections_per_minute = 0\nmax_connections_per_ip = 0\nban = \"0s\"\n{}",
                upstream(pool())
            ));
            connect_many(WARM_UP, proxy.address());
            let before = at_rest(&proxy, None);
            connect_many(count, proxy.address());
            let after = at_rest(&proxy, Some(before));
            println!("{path}: before {before:?}, after {after:?}");
            assert!(after.threads <= before.threads, "{before:?} {after:?}");
            assert!(after.descriptors <= before.descriptors, "{before:?} {after:?}");
            assert!(after.kib <= before.kib + MEMORY_GROWTH_KIB, "{before:?} {after:?}");
            assert!(proxy.running().conversations().is_empty());
        }
    });
}
