//! Header injection: a line's end in a header's value begins another header, or the body (CVE-2026-66753, of the
//! inner server). Whatever a visitor writes, and whatever a handler makes of it, an answer's head has the lines
//! that are meant.

use std::io::Write;
use std::sync::Arc;

use sluice::config::{HttpConfig, Secret};
use sluice::status::server::{GatedRequest, HttpAnswer, HttpServer};
use sluice::util::stop::Stop;

use crate::http::client::{Answered, connect_from};

const TOKEN: &str = "hunter2";
/// Every header that an answer may have here.
const MEANT: [&str; 17] = [
    "Allow",
    "Cache-Control",
    "Connection",
    "Content-Length",
    "Content-Security-Policy",
    "Content-Type",
    "Cross-Origin-Resource-Policy",
    "Date",
    "Location",
    "Referrer-Policy",
    "Retry-After",
    "Set-Cookie",
    "WWW-Authenticate",
    "X-Body",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-Target",
];

/// A handler that puts all it is given into headers, as none of ours does.
fn start() -> HttpServer {
    let http = HttpConfig {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        token: Some(Secret::new(TOKEN)),
        hosts: vec![],
        public_url: None,
    };
    let handler = |request: &GatedRequest| {
        let query: Vec<_> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let target = format!("{}{}{:?}", request.path, query.join("&"), request.host);
        HttpAnswer::text(200, "echo")
            .with_header("X-Target", target)
            .with_header("X-Body", String::from_utf8_lossy(&request.body).into_owned())
    };
    HttpServer::start(&http, Arc::new(handler), &Stop::new()).unwrap().unwrap()
}

/// Sends `text` from one of many addresses: wrong tokens of one are answered ten times a minute only.
fn ask(server: &HttpServer, number: &mut u8, text: &str) -> Answered {
    *number = *number % 250 + 1;
    let mut stream = connect_from(*number, server.address());
    // It may be refused before all is sent.
    let _ = stream.write_all(text.as_bytes());
    let answered = Answered::read(&stream).unwrap_or_else(|| panic!("no answer to {text:?}"));
    assert_ne!(answered.status, 429, "{text:?}");
    answered
}

/// Fails unless the head's lines are those that are meant.
fn check(answered: &Answered, what: &str) {
    let head = answered.head.strip_suffix("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap();
    assert!(first.starts_with("HTTP/1.1 "), "{what}: {head}");
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{what}: {line:?}"));
        assert!(MEANT.contains(&name), "{what}: {line:?}");
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{what}: {line:?}");
    }
    assert!(!head.contains("stolen") || !head.contains("\nSet-Cookie: stolen"), "{what}: {head}");
    let length = answered.header("Content-Length").unwrap();
    assert_eq!(length, answered.body.len().to_string(), "{what}");
}

/// Line ends in the ways in which they may be written, decoded twice or cut to a byte.
const LINE_ENDS: [&str; 18] = [
    "%0d%0a",
    "%0D%0A",
    "%0a",
    "%0d",
    "%0a%0d",
    "%0d%0a%20",
    "%0d%0a%0d%0a",
    "%00%0d%0a",
    "%250d%250a",
    "%25%30%64%25%30%61",
    "%E5%98%8D%E5%98%8A",
    "%C4%8D%C4%8A",
    "%C2%85",
    "%E2%80%A8",
    "%0b",
    "%u000d%u000a",
    "\\r\\n",
    "%5cr%5cn",
];

#[test]
fn no_line_end_in_a_target_begins_a_header() {
    for end in LINE_ENDS {
        let (server, mut number) = (start(), 0);
        let injected = format!("x{end}Set-Cookie:%20stolen=1{end}Injected:%20yes");
        for target in [
            format!("/{injected}"),
            format!("/?{injected}"),
            format!("/?q={injected}"),
            format!("/?{injected}=q"),
            format!("/{injected}?token={TOKEN}"),
            format!("/?token={TOKEN}&q={injected}"),
            format!("/?q={injected}&token={TOKEN}"),
            format!("/?token={TOKEN}{end}Injected:%20yes"),
            format!("/?token={injected}"),
            format!("http://pi/{injected}?token={TOKEN}"),
            format!("http://pi{injected}/?token={TOKEN}"),
            format!("/#{injected}"),
        ] {
            for header in ["", "X-Sluice-Token: hunter2\r\n", "Accept: text/html\r\n"] {
                let text = format!("GET {target} HTTP/1.1\r\nHost: pi\r\n{header}\r\n");
                check(&ask(&server, &mut number, &text), &text);
            }
        }
    }
}

#[test]
fn a_line_break_in_a_header_or_a_body_injects_no_header() {
    let (server, mut number) = (start(), 0);
    for end in
        ["\n", "\r", "\r\n ", "\r\n\t", "\0", "\u{b}", "\u{85}", "%0d%0a", "\\r\\n", "\u{560d}\u{560a}"]
    {
        let injected = format!("x{end}Injected: yes");
        for lines in [
            format!("Host: {injected}"),
            format!("Host: pi{end}"),
            format!("Host: pi\r\nCookie: sluice_token={injected}"),
            format!("Host: pi\r\nCookie: {injected}=1"),
            format!("Host: pi\r\nX-Sluice-Token: {injected}"),
            format!("Host: pi\r\nX-Sluice-Token: {TOKEN}{end}Injected: yes"),
            format!("Host: pi\r\nAuthorization: Bearer {injected}"),
            format!("Host: pi\r\nAccept: {injected}"),
            format!("Host: pi\r\nOrigin: {injected}\r\nX-Sluice-Token: {TOKEN}"),
            format!("Host: pi\r\nX-Sluice-Host: {injected}\r\nX-Sluice-Token: {TOKEN}"),
            format!("Host: pi\r\nX-Sluice-Key: {injected}\r\nX-Sluice-Token: {TOKEN}"),
        ] {
            let text = format!("GET /?token={TOKEN} HTTP/1.1\r\n{lines}\r\n\r\n");
            check(&ask(&server, &mut number, &text), &text);
        }
        let body = format!("{injected}\r\nInjected: yes\r\n\r\n<b>stolen</b>");
        let text = format!(
            "POST / HTTP/1.1\r\nHost: pi\r\nX-Sluice-Token: {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answered = ask(&server, &mut number, &text);
        check(&answered, &text);
        assert_eq!((answered.status, answered.text().as_str()), (200, "echo"), "{text}");
        assert_eq!(answered.header("X-Body"), None, "a value that is no one line is left out");
    }
}
