//! Pools that accept connections and hang up: what is known and said of them, and of a list without any pool.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sluice::analyzer::{ExternalUpdate, PoolReach};
use sluice::config::{Config, Overrides};
use sluice::reference::References;
use sluice::status::snapshot::{ProgramInfo, SnapshotSources, StatusSnapshots};
use sluice::util::stop::Stop;

use super::QUICK;
use crate::common::pool::{Mood, Pool};
use crate::common::{DEADLINE, Proxy, expect_end, upstream, wait_for};

/// Reads what a connection says first, and ends it by a reset.
fn resetting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 10]);
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    address
}

fn trouble(proxy: &Proxy) -> Option<String> {
    proxy.running().stats().upstreams[0].trouble.clone().map(|(why, _)| why)
}

fn knock(proxy: &Proxy) {
    let mut miner = proxy.connect();
    let _ = miner.write_all(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    expect_end(&miner);
}

#[test]
fn an_only_pool_that_closes_at_once_is_shown_as_failed_with_the_reason() {
    let pool = Pool::start("closing", Mood::Close);
    let proxy = Proxy::to(&[pool.address()], &format!("{QUICK}connect_deadline = \"1s\"\n"));
    knock(&proxy);
    wait_for("its failure", || trouble(&proxy).is_some());
    let why = trouble(&proxy).unwrap_or_default();
    assert!(why.contains("without an answer"), "{why}");
    assert!(!proxy.running().is_up(0));
    pool.set_mood(Mood::Answer);
    wait_for("its return", || proxy.running().is_up(0));
}

#[test]
fn a_pool_that_resets_connections_has_not_been_silent() {
    let proxy = Proxy::to(&[resetting()], &format!("{QUICK}connect_deadline = \"1s\"\n"));
    knock(&proxy);
    wait_for("its failure", || trouble(&proxy).is_some());
    for _ in 0..20 {
        let why = trouble(&proxy).unwrap_or_default();
        assert!(why.contains("without an answer"), "{why}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_rules_are_told_when_no_pool_can_be_used() {
    let pool = Pool::start("closing", Mood::Close);
    let text = format!("{QUICK}connect_deadline = \"1s\"\n{}", pool.upstream());
    let proxy = Proxy::start(&text);
    let config =
        Config::parse(&format!("[listen]\nstratum = [\"127.0.0.1:0\"]\n{text}"), &Overrides::default())
            .unwrap();
    let (to_rules, news) = sluice::analyzer::external_updates();
    let sources = SnapshotSources {
        proxy: proxy.running().clone(),
        analyzer: None,
        pool_stats: None,
        notifier: None,
        config: Arc::new(ArcSwap::from_pointee(config.clone())),
        references: References::default(),
        to_rules: Some(to_rules),
    };
    let _sights =
        StatusSnapshots::start(sources, ProgramInfo::new(&config, vec![proxy.address()]), &Stop::new())
            .unwrap();
    let next = || match news.recv_timeout(DEADLINE).unwrap() {
        ExternalUpdate::Pools(pools) => pools.iter().any(PoolReach::is_usable),
        other => panic!("{other:?}"),
    };
    assert!(next());
    knock(&proxy);
    // The miner's use of the pool is told, too.
    while next() {}
    pool.set_mood(Mood::Answer);
    while !next() {}
}

/// The first pool's name leads here: to the address that is listened on, or to that of the machine's own name.
#[test]
fn a_pool_that_turns_out_to_be_sluice_itself_is_no_pool() {
    for (listening, pool) in [("127.0.0.1", [127, 0, 0, 1]), ("0.0.0.0", [127, 0, 1, 1])] {
        // Below the ports that the kernel gives to other tests.
        let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
        let mut ports = first..32_000;
        let port = ports.find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok()).unwrap();
        let second = super::JobPool::start(true);
        let proxy = Proxy::start(&format!(
            "[listen]\nstratum = [\"{listening}:{port}\"]\n{QUICK}{}{}",
            upstream((pool, port).into()),
            second.upstream()
        ));
        super::JobMiner::join(([127, 0, 0, 1], port).into(), "w.one").expect_job();
        wait_for("its failure", || trouble(&proxy).is_some_and(|why| why.contains("Sluice's own")));
    }
}
