//! Two thousand miners at the same time through one proxy. In a process of its own: it needs
//! thousands of descriptors.

use std::io::Write;
use std::net::TcpStream;

use crate::common::binary::Sluice;
use crate::common::own_process::in_own_process;
use crate::common::resources;
use crate::common::{DEADLINE, EchoPool, expect, wait_for};

const MINERS: usize = 2_000;

/// Threads without a miner: main, signals, listener, analyzer, probe, log.
const OWN_THREADS: usize = 16;
/// Log, listener, standard streams and the like.
const OWN_DESCRIPTORS: usize = 64;

/// Every miner says something, then every miner gets its answer: all are on their way at once.
fn round(miners: &[TcpStream], number: usize) {
    let line = |place: usize| format!("{{\"id\":{place},\"method\":\"round {number}\"}}\n");
    for (place, mut miner) in miners.iter().enumerate() {
        miner.write_all(line(place).as_bytes()).unwrap();
    }
    for (place, miner) in miners.iter().enumerate() {
        expect(miner, line(place).as_bytes());
    }
}

#[test]
fn two_thousand_miners_at_once() {
    in_own_process(|| {
        // Theirs and the pool's ends.
        let limit = sluice::net::process::raise_fd_limit().unwrap();
        assert!(limit > 2 * MINERS as u64 + 100, "only {limit} descriptors: ulimit -Hn");
        let pool = EchoPool::start();
        let sluice = Sluice::run(&format!(
            "[listen]\nstratum = [\"127.0.0.1:0\"]\nmax_miners = {MINERS}\n[http]\nlisten = \"\"\n\
         [ratelimit]\nmax_connections_per_minute = 0\nmax_connections_per_ip = 0\n{}",
            pool.upstream()
        ));
        let address = sluice.address();
        let process = sluice.id().to_string();
        let alone = resources::of(&process);
        assert!(alone.threads <= OWN_THREADS, "{alone:?}");

        let mut miners = Vec::with_capacity(MINERS);
        for _ in 0..MINERS {
            let miner = TcpStream::connect(address).unwrap();
            miner.set_read_timeout(Some(DEADLINE)).unwrap();
            miner.set_nodelay(true).unwrap();
            miners.push(miner);
        }
        round(&miners, 1);
        round(&miners, 2);

        let full = resources::of(&process);
        println!("alone {alone:?}, full {full:?}");
        assert_eq!(full.threads, alone.threads + 2 * MINERS, "two a miner");
        assert!(full.descriptors < 20_000, "{full:?}");
        assert!(full.descriptors >= 2 * MINERS, "they were not all open: {full:?}");
        assert!(full.descriptors <= 2 * MINERS + OWN_DESCRIPTORS, "{full:?}");
        // One more is refused; nobody else notices.
        crate::common::expect_end(&TcpStream::connect(address).unwrap());
        round(&miners, 3);

        drop(miners);
        wait_for("the end of every session", || {
            let now = resources::of(&process);
            // The file of events is opened with the first of them.
            now.threads <= alone.threads && now.descriptors <= alone.descriptors + 1
        });
        sluice.signal("TERM");
        let (status, log) = sluice.wait();
        assert_eq!(status.code(), Some(0), "{log}");
    });
}
