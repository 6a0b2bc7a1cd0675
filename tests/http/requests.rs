//! One request at a time: what is understood, what is refused, and what every answer carries.

use std::io::Write;

use crate::common::expect;
use crate::http::client::{Answered, ask, ask_bytes, connect, get, is_well};
use crate::http::toy::{LARGE, Toy};

#[test]
fn an_ordinary_client_is_served() {
    let toy = Toy::start();
    let url = format!("http://{}/echo?x=a%20b&y", toy.address());
    let mut answer = ureq::get(&url).call().unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.body_mut().read_to_string().unwrap();
    assert!(text.contains("path: \"/echo\"") && text.contains("(\"x\", \"a b\")"), "{text}");
    assert!(text.contains(&format!("host: Some(\"{}\")", toy.address())), "{text}");
    // And once more: one request a connection is not a surprise to it.
    assert_eq!(ureq::get(&url).call().unwrap().status(), 200);
}

#[test]
fn every_answer_carries_the_headers() {
    let toy = Toy::with(Some("hunter2"), &[]);
    let open = Toy::start();
    let answers = [
        get(open.address(), "/"),
        get(open.address(), "/own"),
        get(open.address(), "/nothing"),
        get(open.address(), "/panic"),
        get(toy.address(), "/"),
        get(toy.address(), "/?token=hunter2"),
        ask(open.address(), "garbage\n\n"),
        ask(open.address(), "POST / HTTP/1.1\nHost: pi\nContent-Length: 0\n\n"),
    ];
    let statuses = answers.iter().map(|answered| answered.status);
    assert_eq!(statuses.collect::<Vec<_>>(), [200, 200, 404, 500, 401, 303, 400, 403]);
    for answered in &answers {
        for (name, value) in [
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ] {
            assert_eq!(answered.header(name), Some(value), "{answered:?}");
        }
        assert!(answered.header("Content-Type").is_some(), "{answered:?}");
        assert!(answered.header("Content-Security-Policy").unwrap().contains("default-src"), "{answered:?}");
        let length = answered.header("Content-Length").unwrap();
        assert_eq!(length, answered.body.len().to_string(), "{answered:?}");
        let head = answered.head.to_ascii_lowercase();
        for name in ["server:", "tiny", "access-control", "transfer-encoding", "x-sluice"] {
            assert!(!head.contains(name), "{answered:?}");
        }
    }
    let own = &answers[1];
    assert_eq!(own.header("Content-Security-Policy"), Some("default-src 'self'"));
    assert_eq!((own.header("X-Own"), own.header("Content-Type")), (Some("yes"), Some("application/json")));
}

#[test]
fn what_is_refused_and_how() {
    let toy = Toy::start();
    let long = "x".repeat(9000);
    let table = [
        ("GET /\n", 400),
        ("PRI * HTTP/2.0\n\nSM\n\n", 505),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}", 400),
        ("GET / HTTP/1.1\nHost: pi\nX: a\0b\n\n", 400),
        ("GET /\0 HTTP/1.1\nHost: pi\n\n", 400),
        ("GET /%00 HTTP/1.1\nHost: pi\n\n", 400),
        ("GET /%zz HTTP/1.1\nHost: pi\n\n", 400),
        ("GET /% HTTP/1.1\nHost: pi\n\n", 400),
        ("GET /%ff HTTP/1.1\nHost: pi\n\n", 400),
        ("GET /%0d%0aX:y HTTP/1.1\nHost: pi\n\n", 400),
        ("GET /../../etc/passwd HTTP/1.1\nHost: pi\n\n", 400),
        ("GET /%2e%2e/x HTTP/1.1\nHost: pi\n\n", 400),
        ("GET //evil.example/ HTTP/1.1\nHost: pi\n\n", 400),
        ("GET x HTTP/1.1\nHost: pi\n\n", 400),
        ("GET http://pi/ HTTP/1.1\nHost: pi\n\n", 200),
        ("GET http://evil.example/ HTTP/1.1\nHost: pi\n\n", 421),
        ("GET https://pi/ HTTP/1.1\nHost: pi\n\n", 400),
        ("GET / HTTP/1.1\n\n", 400),
        ("GET / HTTP/1.0\n\n", 200),
        ("GET / HTTP/1.1\nHost: pi\nHost: pi\n\n", 400),
        ("GET / HTTP/1.1\nHost: pi\n folded\n\n", 400),
        ("GET / HTTP/3.0\nHost: pi\n\n", 505),
        ("OPTIONS * HTTP/1.1\nHost: pi\n\n", 405),
        ("DELETE / HTTP/1.1\nHost: pi\n\n", 405),
        ("GET / HTTP/1.1\nHost: pi\nTransfer-Encoding: chunked\n\n0\n\n", 501),
        ("GET / HTTP/1.1\nHost: pi\nExpect: tea\n\n", 417),
        ("GET / HTTP/1.1\nHost: pi\nContent-Length: 3\n\nabc", 200),
        (&format!("GET /{} HTTP/1.1\nHost: pi\n\n", &long[..7000]), 404),
        (&format!("GET /{long} HTTP/1.1\nHost: pi\n\n"), 414),
        (&format!("GET / HTTP/1.1\nHost: pi\nX: {long}\n\n"), 431),
        (&format!("GET /?{} HTTP/1.1\nHost: pi\n\n", "a&".repeat(33)), 400),
    ];
    for (text, status) in table {
        let answered = ask(toy.address(), text);
        assert_eq!(answered.status, status, "{text:.80?}: {answered:?}");
    }
    assert_eq!(ask(toy.address(), "PUT / HTTP/1.1\nHost: pi\n\n").header("Allow"), Some("GET, HEAD, POST"));
    is_well(toy.address());
}

#[test]
fn head_is_get_without_the_body() {
    let toy = Toy::start();
    for path in ["/", "/large", "/nothing"] {
        let head = ask(toy.address(), &format!("HEAD {path} HTTP/1.1\nHost: pi\n\n"));
        let whole = get(toy.address(), path);
        assert_eq!(head.status, whole.status);
        assert_eq!(head.header("Content-Length"), Some(whole.body.len().to_string().as_str()));
        assert_eq!(head.body, b"");
    }
}

#[test]
fn a_large_answer_comes_whole_and_a_huge_one_not_at_all() {
    let toy = Toy::start();
    let answered = get(toy.address(), "/large");
    assert_eq!((answered.status, answered.body.len()), (200, LARGE));
    assert_eq!(get(toy.address(), "/huge").status, 500);
    is_well(toy.address());
}

#[test]
fn a_panic_in_the_handler_is_that_visitors_500() {
    let toy = Toy::start();
    for _ in 0..5 {
        assert_eq!(get(toy.address(), "/panic").status, 500);
        is_well(toy.address());
    }
}

#[test]
fn byte_by_byte_is_a_request_too() {
    let toy = Toy::start();
    let mut stream = connect(toy.address());
    for byte in b"GET / HTTP/1.1\r\nHost: pi\r\nCookie: a=b\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(Answered::read(&stream).unwrap().text(), "hello");
}

#[test]
fn of_a_pipeline_the_first_is_answered() {
    let toy = Toy::start();
    let one = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", toy.address());
    let answered = ask_bytes(toy.address(), one.repeat(50).as_bytes());
    assert_eq!((answered.status, answered.text().as_str()), (200, "hello"));
}

const HEADER: &str = "X-Sluice-Token: hunter2";

#[test]
fn a_body_of_four_kib_is_taken() {
    let toy = Toy::with(Some("hunter2"), &[]);
    let post = |length: usize| {
        let body = "b".repeat(length);
        ask(
            toy.address(),
            &format!("POST /echo HTTP/1.1\nHost: pi\n{HEADER}\nContent-Length: {length}\n\n{body}"),
        )
    };
    assert!(post(0).text().contains("method: Post") && post(0).text().contains("body: []"));
    assert!(post(3).text().contains("body: [98, 98, 98]"));
    assert_eq!(post(4096).status, 200);
    assert_eq!(post(4097).status, 413);
    assert_eq!(post(1 << 20).status, 413);
    for (lines, status) in [
        ("", 411),
        ("Content-Length: 1\nContent-Length: 1\n", 400),
        ("Content-Length: 1\nContent-Length: 2\n", 400),
        ("Content-Length: 1, 1\n", 400),
        ("Content-Length: -1\n", 400),
        ("Content-Length: 1\nTransfer-Encoding: chunked\n", 400),
        ("Transfer-Encoding: chunked\n", 501),
    ] {
        let answered = ask(toy.address(), &format!("POST / HTTP/1.1\nHost: pi\n{HEADER}\n{lines}\nx"));
        assert_eq!(answered.status, status, "{lines:?}");
    }
    is_well_with_token(&toy);
}

#[test]
fn a_visitor_that_waits_to_send_its_body_is_told_to() {
    let toy = Toy::with(Some("hunter2"), &[]);
    let head = |token: &str| {
        format!(
            "POST /echo HTTP/1.1\r\nHost: pi\r\nExpect: 100-continue\r\n{token}\r\nContent-Length: 2\r\n\r\n"
        )
    };
    let mut stream = connect(toy.address());
    stream.write_all(head(HEADER).as_bytes()).unwrap();
    expect(&stream, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ab").unwrap();
    assert!(Answered::read(&stream).unwrap().text().contains("body: [97, 98]"));
    // One who may not send it is told so instead.
    let mut stream = connect(toy.address());
    stream.write_all(head("X-Sluice-Token: wrong").as_bytes()).unwrap();
    assert_eq!(Answered::read(&stream).unwrap().status, 401);
}

fn is_well_with_token(toy: &Toy) {
    let answered = ask(toy.address(), &format!("GET / HTTP/1.1\nHost: pi\n{HEADER}\n\n"));
    assert_eq!(answered.text(), "hello");
}
