//! Restarts while miners mine. The test holds the listening socket, as systemd does, and passes it to each new process.

use std::collections::HashMap;
use std::net::TcpListener;

use super::manager::{mine, pool};
use crate::common::binary::Sluice;
use crate::common::recorded::rows;
use crate::common::{upstream, wait_for};
use sluice::sim::SimMiner;

const MINERS: usize = 50;
const RESTARTS: usize = 10;

/// Every share that the pool has accepted was answered to its miner, and is recorded once; no connection was refused.
/// Both modes in turn, on the same records.
#[test]
fn ten_restarts_with_fifty_miners_lose_no_accepted_share() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (pool, data_dir) = (pool(), tempfile::tempdir().unwrap());
    let miners: Vec<SimMiner> = (0..MINERS).map(|number| mine(address, &format!("rig{number}"))).collect();
    for round in 0..=RESTARTS {
        let mode = ["passthrough", "aggregate"][round % 2];
        let text = format!(
            "mode = \"{mode}\"\ndata_dir = {:?}\n[listen]\nstratum = [\"{address}\"]\n\
             [ratelimit]\nmax_connections_per_minute = 0\nmax_connections_per_ip = 0\n\
             [vardiff]\nenabled = false\n{}",
            data_dir.path(),
            upstream(pool.addr())
        );
        let accepted = || miners.iter().map(|miner| miner.stats().accepted).sum::<u64>();
        let before = accepted();
        let sluice = Sluice::run_with_sockets(&[&socket], &[], &text);
        wait_for("miners that mine", || {
            miners.iter().all(|miner| miner.stats().authorized) && accepted() >= before + MINERS as u64
        });
        sluice.signal("TERM");
        let (status, log) = sluice.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        for miner in &miners {
            let error = miner.stats().last_error.unwrap_or_default();
            assert!(!error.starts_with("no connection"), "{error}");
        }
    }
    let accepted_by_miners: u64 = miners.iter().map(|miner| miner.stats().accepted).sum();
    miners.iter().for_each(SimMiner::stop);
    let stats = pool.stats();
    println!("{} accepted, {} rejected", stats.accepted(), stats.rejected());
    assert_eq!(accepted_by_miners, stats.accepted());
    let mut recorded: HashMap<String, usize> = HashMap::new();
    for row in rows(data_dir.path()).into_iter().filter(|row| row["result"] == "accepted") {
        *recorded.entry(row["hash"].clone()).or_default() += 1;
    }
    let mut at_pool: HashMap<String, usize> = HashMap::new();
    for share in &stats.accepted_shares {
        *at_pool.entry(share.hash.to_string()).or_default() += 1;
    }
    assert_eq!(at_pool.values().sum::<usize>() as u64, stats.accepted(), "too many to compare");
    assert_eq!(recorded, at_pool);
}
