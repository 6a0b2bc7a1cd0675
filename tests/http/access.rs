//! Access: the ways to present the token, and the accepted host names.

use crate::http::client::{Answered, ask, get};
use crate::http::toy::Toy;

const TOKEN: &str = "correct-horse-battery";

fn with(toy: &Toy, path: &str, header: &str) -> Answered {
    ask(toy.address(), &format!("GET {path} HTTP/1.1\nHost: pi\n{header}\n"))
}

#[test]
fn from_the_address_bar_to_the_page() {
    let toy = Toy::with(Some(TOKEN), &[]);
    let refused = with(&toy, "/", "Accept: text/html,*/*\n");
    assert_eq!((refused.status, refused.header("Content-Type")), (401, Some("text/html; charset=utf-8")));
    assert!(refused.text().contains("name=\"token\""));
    assert!(refused.header("Content-Security-Policy").unwrap().contains("form-action 'self'"));

    let sent_on = with(&toy, &format!("/echo?a=1&token={TOKEN}&b=2"), "");
    assert_eq!((sent_on.status, sent_on.header("Location")), (303, Some("/echo?a=1&b=2")));
    let cookie = sent_on.header("Set-Cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert!(!cookie.contains(TOKEN));

    let page = with(&toy, "/echo?a=1&b=2", &format!("Cookie: other=1; {cookie}\n"));
    assert_eq!(page.status, 200);
    assert!(!page.text().contains(TOKEN) && !page.text().contains("token"), "{page:?}");
    // What the cookie stands for is the token, not any token.
    let other = Toy::with(Some("another"), &[]);
    assert_eq!(with(&other, "/", &format!("Cookie: {cookie}\n")).status, 401);
}

#[test]
fn a_program_uses_a_header() {
    let toy = Toy::with(Some(TOKEN), &[]);
    assert_eq!(with(&toy, "/", &format!("Authorization: Bearer {TOKEN}\n")).text(), "hello");
    assert_eq!(with(&toy, "/", &format!("X-Sluice-Token: {TOKEN}\n")).text(), "hello");
    let refused = with(&toy, "/", "");
    assert_eq!((refused.status, refused.header("Content-Type")), (401, Some("text/plain; charset=utf-8")));
    assert!(refused.header("WWW-Authenticate").unwrap().starts_with("Bearer"));
    // A probe needs none, and gets nothing else by that.
    assert_eq!(with(&toy, "/healthz", "").text(), "ok");
    assert_eq!(with(&toy, "/readyz", "").status, 404);
    for path in ["/healthz/", "/healthz/echo", "/HEALTHZ", "/echo?x=/healthz", "/%2fhealthz"] {
        assert_ne!(with(&toy, path, "").status, 200, "{path}");
    }
}

#[test]
fn guessing_is_over_after_ten() {
    let toy = Toy::with(Some(TOKEN), &[]);
    let statuses: Vec<u16> =
        (0..13).map(|n| with(&toy, "/", &format!("X-Sluice-Token: {n}\n")).status).collect();
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 3]);
    let right = with(&toy, "/", &format!("X-Sluice-Token: {TOKEN}\n"));
    assert_eq!((right.status, right.header("Retry-After")), (429, Some("60")));
    assert_eq!(with(&toy, "/healthz", "").status, 200);
}

#[test]
fn nothing_can_be_changed_without_the_header() {
    let toy = Toy::with(Some(TOKEN), &[]);
    let sent_on = with(&toy, &format!("/?token={TOKEN}"), "");
    let cookie = sent_on.header("Set-Cookie").unwrap().split(';').next().unwrap();
    let post = |toy: &Toy, path: &str, header: &str| {
        ask(toy.address(), &format!("POST {path} HTTP/1.1\nHost: pi\nContent-Length: 0\n{header}\n"))
    };
    assert_eq!(post(&toy, "/echo", &format!("Cookie: {cookie}\n")).status, 401);
    assert_eq!(post(&toy, &format!("/echo?token={TOKEN}"), "").status, 401);
    assert_eq!(post(&toy, "/echo", &format!("X-Sluice-Token: {TOKEN}\n")).status, 200);
    let open = post(&Toy::start(), "/echo", &format!("X-Sluice-Token: {TOKEN}\n"));
    assert_eq!(open.status, 403);
    assert!(open.text().contains("http.token"));
}

#[test]
fn only_names_of_this_house_are_answered() {
    let toy = Toy::with(None, &["miner.example.org"]);
    let status = |host: &str| ask(toy.address(), &format!("GET / HTTP/1.1\nHost: {host}\n\n")).status;
    for host in [
        "127.0.0.1",
        "192.168.1.2:8080",
        "[::1]:8080",
        "localhost:8080",
        "x.localhost",
        "umbrel",
        "pi.local",
        "pi.lan",
        "pi.home",
        "pi.internal",
        "pi.home.arpa",
        "pi.fritz.box",
        "miner.example.org",
        "Miner.Example.Org:443",
    ] {
        assert_eq!(status(host), 200, "{host}");
    }
    for host in
        ["evil.example", "evil.example:8080", "127.0.0.1.nip.io", "x.miner.example.org", "example.org"]
    {
        assert_eq!(status(host), 421, "{host}");
    }
    for host in ["", "a b", "pi:x", "[::1", "pi/"] {
        assert_eq!(status(host), 400, "{host}");
    }
    let refused = ask(toy.address(), "GET /healthz HTTP/1.1\nHost: evil.example\n\n");
    assert!(refused.text().contains("http.hosts"), "{refused:?}");
}

#[test]
fn the_secret_is_in_no_answer_and_no_debug_text() {
    let toy = Toy::with(Some(TOKEN), &[]);
    assert!(!format!("{:?}", toy.server).contains(TOKEN));
    let header = format!("X-Sluice-Token: {TOKEN}\n");
    let bearer = format!("Authorization: Bearer {TOKEN}\n");
    let query = format!("/echo?token={TOKEN}");
    let answers = [
        with(&toy, "/echo", &header),
        with(&toy, "/echo", &bearer),
        with(&toy, &query, &header),
        with(&toy, &query, ""),
        with(&toy, &format!("{query}&token={TOKEN}"), ""),
        with(&toy, &format!("/healthz?token={TOKEN}"), ""),
        with(&toy, "/", "Accept: text/html\n"),
        ask(toy.address(), &format!("GET {query} HTTP/1.1\nHost: evil.example\n\n")),
        get(toy.address(), &format!("/nothing?token={TOKEN}x")),
    ];
    for answered in answers {
        let all = format!("{}{}", answered.head, answered.text());
        assert!(!all.contains(TOKEN), "{all}");
    }
}
