//! Request smuggling: a request whose end two servers see at different places carries another one past the
//! first (CVE-2026-66752, of the inner server). Whatever a visitor writes, one connection is one request for the
//! handler, and its body is as long as the one Content-Length says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sluice::config::{HttpConfig, Secret};
use sluice::status::server::{GatedRequest, HttpAnswer, HttpServer};
use sluice::util::stop::Stop;

use crate::http::client::{Answered, ask_bytes};

const TOKEN: &str = "hunter2";
/// The request that is to be smuggled.
const INNER: &str = "GET /smuggled HTTP/1.1\r\nHost: pi\r\nX-Sluice-Token: hunter2\r\n\r\n";

/// A server whose handler notes what reaches it.
struct Watched {
    _server: HttpServer,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<GatedRequest>>>,
}

impl Watched {
    fn start() -> Watched {
        let http = HttpConfig {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            token: Some(Secret::new(TOKEN)),
            hosts: vec![],
            public_url: None,
        };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let handler = move |request: &GatedRequest| {
            noted.lock().unwrap().push(request.clone());
            HttpAnswer::text(200, request.path.clone())
        };
        let server = HttpServer::start(&http, Arc::new(handler), &Stop::new()).unwrap().unwrap();
        Watched { address: server.address(), _server: server, seen }
    }

    /// Sends a request with these further header lines and this body: what was answered, and what reached the
    /// handler.
    fn send(&self, method: &str, lines: &str, body: &str) -> (Answered, Vec<GatedRequest>) {
        let start = format!("{method} /first HTTP/1.1\r\nHost: pi\r\nX-Sluice-Token: {TOKEN}\r\n");
        let answered = ask_bytes(self.address, format!("{start}{lines}\r\n\r\n{body}").as_bytes());
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let all = format!("{}{}", answered.head, answered.text());
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{lines:?}: {all}");
        assert!(
            seen.len() <= 1 && seen.iter().all(|request| request.path == "/first"),
            "{lines:?}: {seen:?}"
        );
        (answered, seen)
    }
}

#[test]
fn a_transfer_encoding_is_refused_however_it_is_written() {
    let server = Watched::start();
    let chunked = format!("0\r\n\r\n{INNER}");
    for encoding in [
        "Transfer-Encoding: chunked",
        "transfer-encoding: CHUNKED",
        "tRANSFER-eNCODING:chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding:    chunked   ",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding:\r\n\tchunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\r\r\nTransfer-Encoding: chunked",
        "\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: \u{c}chunked",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding\0: chunked",
        "Transfer-Encoding: \u{a0}chunked",
        "Transfer-Encoding",
        "TE: trailers\r\nTransfer-Encoding: chunked",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    ] {
        for method in ["POST", "GET"] {
            let length = format!("Content-Length: {}", chunked.len());
            for lines in
                [format!("{length}\r\n{encoding}"), format!("{encoding}\r\n{length}"), encoding.to_owned()]
            {
                let (answered, seen) = server.send(method, &lines, &chunked);
                // A line feed alone ends the head where it makes an empty line.
                let is_cut_short =
                    encoding.starts_with('\n') && lines.contains("\r\n\n") | lines.starts_with('\n');
                assert!(is_cut_short || answered.status >= 400, "{method} {lines:?}: {answered:?}");
                assert!(is_cut_short || seen.is_empty(), "{method} {lines:?}: {seen:?}");
            }
        }
    }
}

#[test]
fn a_body_is_as_long_as_one_plain_number_says() {
    let server = Watched::start();
    let length = INNER.len();
    for lines in [
        format!("Content-Length: {length}\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\r\nContent-Length: 0"),
        format!("Content-Length: 0\r\ncontent-length: {length}"),
        format!("Content-Length: {length}, {length}"),
        format!("Content-Length: {length},"),
        format!("Content-Length: +{length}"),
        "Content-Length: -1".to_owned(),
        "Content-Length: -0".to_owned(),
        format!("Content-Length: {length} 0"),
        format!("Content-Length: 0x{length:x}"),
        "Content-Length: 1e1".to_owned(),
        format!("Content-Length: {length}.0"),
        "Content-Length:".to_owned(),
        format!("Content-Length : {length}"),
        format!("Content-Length\t: {length}"),
        format!(" Content-Length: {length}"),
        format!("Content-Length:\r\n {length}"),
        format!("Content-Length: 0\r\n {length}"),
        format!("Content-Length: {length}\0"),
        format!("Content-Length: \u{b}{length}"),
        format!("Content-Length: \u{a0}{length}"),
        "Content-Length: \u{663}".to_owned(),
        format!("Content-Length: {length}\r\nContent-Length : 0"),
        format!("Content-Length: {}", u128::from(u64::MAX) + 1 + length as u128),
        format!("Content-Length: {}", u128::from(u32::MAX) + 1 + length as u128),
    ] {
        let (answered, seen) = server.send("POST", &lines, INNER);
        assert!((400..=431).contains(&answered.status), "{lines:?}: {answered:?}");
        assert!(seen.is_empty(), "{lines:?}: {seen:?}");
    }
    // What is read at all is read the same way everywhere.
    for (lines, taken) in [
        (format!("Content-Length: {length}"), length),
        (format!("Content-Length:{length}"), length),
        (format!("content-length:   {length}\t "), length),
        (format!("Content-Length: 000{length}"), length),
        ("Content-Length: 0".to_owned(), 0),
        ("Content-Length: 5".to_owned(), 5),
        (format!("Content-Length: {length}\r\nTransfer_Encoding: chunked"), length),
        (format!("Content-Length: {length}\r\nX-Transfer-Encoding: chunked"), length),
        (format!("Content-Length: {length}\r\nContent-Length2: 0"), length),
        (format!("X: y\nContent-Length: {length}"), length),
    ] {
        let (answered, seen) = server.send("POST", &lines, INNER);
        assert_eq!((answered.status, answered.text().as_str()), (200, "/first"), "{lines:?}");
        assert_eq!(seen[0].body, INNER.as_bytes()[..taken], "{lines:?}");
    }
}

#[test]
fn a_request_without_a_body_has_none_whatever_follows() {
    let server = Watched::start();
    for method in ["GET", "HEAD"] {
        for lines in
            ["Accept: */*".to_owned(), format!("Content-Length: {}", INNER.len()), "X: y\n".to_owned()]
        {
            let (answered, seen) = server.send(method, &lines, &INNER.repeat(3));
            assert_eq!((answered.status, seen.len()), (200, 1), "{lines:?}");
            assert!(seen[0].body.is_empty(), "{lines:?}");
        }
    }
}
