//! The ways to a pool: TLS and SOCKS5.

use std::io::Write;
use std::net::SocketAddr;

use sluice::config::{ReferenceConfig, Secret, Socks5, UpstreamConfig, UpstreamTls};
use sluice::sim::{PoolOptions, SimPool};

use crate::common::BarePool;
use crate::common::certificates::Certificate;
use crate::common::socks5_server::Socks5Server;
use crate::common::tls_bridge;
use crate::reference::pool::{job, open};
use crate::reference::{WatchedReference, hurried};

fn at(address: SocketAddr, tls: Option<UpstreamTls>) -> UpstreamConfig {
    UpstreamConfig { tls, ..UpstreamConfig::new(address.ip().to_string(), address.port()) }
}

fn watch(upstream: UpstreamConfig) -> WatchedReference {
    WatchedReference::with(&[ReferenceConfig::Pool { upstream: Box::new(upstream), user: None }], &hurried())
}

#[test]
fn tls_is_judged_and_used() {
    let (bare, certificate) = (BarePool::start(), Certificate::new(&["127.0.0.1"]));
    let trusted = UpstreamTls { ca_file: Some(certificate.cert_file()), ..UpstreamTls::default() };
    let reference = watch(at(bare.address(), Some(trusted)));
    let mut plain = tls_bridge::server(certificate.server(), bare.accept());
    open(&plain);
    plain.write_all(job(970_000, 0x66).as_bytes()).unwrap();
    assert_eq!(reference.wait(1)[0].height.0, 970_000);
    drop((plain, reference));

    let bare = BarePool::start();
    let reference = watch(at(bare.address(), Some(UpstreamTls::default())));
    let _plain = tls_bridge::server(certificate.server(), bare.accept());
    reference.fails("TLS failed");
}

#[test]
fn a_socks5_proxy_is_told_the_name() {
    let pool = SimPool::start(PoolOptions::default()).unwrap();
    let proxy = Socks5Server::start(pool.addr(), Some(("me", "s3cret")));
    let socks5 = Socks5 {
        host: proxy.address().ip().to_string(),
        port: proxy.address().port(),
        user: Some(String::from("me")),
        password: Some(Secret::new("s3cret")),
    };
    let upstream = UpstreamConfig { socks5: Some(socks5), ..UpstreamConfig::new("pool.onion", 3333) };
    let reference = watch(upstream);
    assert_eq!(&*reference.wait(1)[0].source, "pool.onion:3333");
    assert_eq!(proxy.asked()[0].host, "pool.onion");
    assert!(!format!("{:?}", reference.view()).contains("s3cret"));
}
