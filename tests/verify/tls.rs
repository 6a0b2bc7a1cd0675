//! TLS, trusted in each of the ways there are, and SOCKS5.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use sha2::{Digest, Sha256};

use super::common::certificates::Certificate;
use super::common::tls_bridge;
use super::{ADDRESS, options, pool, run};

/// Where the pool can be reached by TLS.
fn tls_front(certificate: &Certificate, pool: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = certificate.server();
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let plain = tls_bridge::server(config.clone(), socket);
            let pool = TcpStream::connect(pool).unwrap();
            let (mut up, mut down) = (plain.try_clone().unwrap(), pool.try_clone().unwrap());
            let (mut plain, mut pool) = (plain, pool);
            std::thread::spawn(move || {
                let _ = io::copy(&mut up, &mut pool);
                let _ = pool.shutdown(std::net::Shutdown::Write);
            });
            std::thread::spawn(move || {
                let _ = io::copy(&mut down, &mut plain);
                let _ = plain.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    format!("stratum+ssl://{address}")
}

#[test]
fn a_certificate_is_judged_as_told() {
    let pool = pool(options());
    let certificate = Certificate::new(&["127.0.0.1"]);
    let url = tls_front(&certificate, pool.addr());
    run(&[&url, "--address", ADDRESS]).expect(2).has("no connection: TLS failed");
    run(&[&url, "--address", ADDRESS, "--insecure"]).expect(0).has(", TLS ").has("not verified");
    let pin: String = Sha256::digest(&certificate.der).iter().map(|byte| format!("{byte:02x}")).collect();
    run(&[&url, "--address", ADDRESS, "--pin-sha256", &pin]).expect(0);
    run(&[&url, "--address", ADDRESS, "--pin-sha256", &"00".repeat(32)]).expect(2);
    let file = certificate.cert_file();
    run(&[&url, "--address", ADDRESS, "--ca-file", file.to_str().unwrap()]).expect(0);
    run(&[&url, "--address", ADDRESS, "--ca-file", "/nonexistent.pem"]).expect(2).has("/nonexistent.pem");
}
