//! TLS, trusted in each of the ways there are, and SOCKS5.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use sha2::{Digest, Sha256};

use super::common::certificates::Certificate;
use super::common::socks5_server::Socks5Server;
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
    let pin: String = Sha256::digest(&certificate.der).iter().map(|byte| format!("{byte:02x}")).collect();
    let (file, wrong) = (certificate.cert_file(), "00".repeat(32));
    let file = file.to_str().unwrap();
    // What each kind of trust ends with, and what is said of it.
    let cases: [(&[&str], i32, &str); 6] = [
        (&[], 2, "no connection: TLS failed"),
        (&["--insecure"], 0, "not verified"),
        (&["--pin-sha256", &pin], 0, ", TLS "),
        (&["--pin-sha256", &wrong], 2, "TLS failed"),
        (&["--ca-file", file], 0, ", TLS "),
        (&["--ca-file", "/nonexistent.pem"], 2, "/nonexistent.pem"),
    ];
    std::thread::scope(|scope| {
        for (trust, code, words) in cases {
            let args = [&[url.as_str(), "--address", ADDRESS], trust].concat();
            scope.spawn(move || run(&args).expect(code).has(words));
        }
    });
}

#[test]
fn a_proxy_resolves_the_name_and_its_password_is_never_shown() {
    let pool = pool(options());
    let proxy = Socks5Server::start(pool.addr(), Some(("me", "secret")));
    let socks5 = format!("socks5://me:secret@{}", proxy.address());
    let url = "stratum+tcp://pool.onion:3333";
    let said = run(&[url, "--address", ADDRESS, "--socks5", &socks5]).expect(0).has(", SOCKS5 ");
    assert!(!said.out.contains("secret") && !said.err.contains("secret"), "{} {}", said.out, said.err);
    assert_eq!(proxy.asked()[0].host, "pool.onion");
}
