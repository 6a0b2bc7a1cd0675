//! Sends that are retried, and sends that are given up.

use std::time::{Duration, Instant};

use sluice::notify::SendPacing;

use crate::common::refusing_address;
use crate::notify::server::{Answer, Server, ok, status};
use crate::notify::tools::{alert, pace, start, wait_health, webhook};

/// One alert to a server that always answers so: the requests it got, and the error.
fn failing(answer: impl Fn(usize) -> Answer + Send + Sync + 'static, pace: &SendPacing) -> (usize, String) {
    let server = Server::start(answer);
    let notifier = start(&webhook(&server.url("/s3cret")), pace);
    notifier.notify(&alert("pool"));
    let health = wait_health(&notifier, "giving up", |health| health.failed == 1);
    assert_eq!(health.sent, 0);
    (server.asked().len(), health.last_error.unwrap())
}

#[test]
fn what_may_pass_is_tried_five_times_and_then_told_with_the_next() {
    let server = Server::start(|n| if n < 5 { status(500) } else { ok() });
    let notifier = start(&webhook(&server.url("/")), &pace());
    notifier.notify(&alert("one"));
    let health = wait_health(&notifier, "giving up", |health| health.failed == 1);
    assert_eq!(health.last_error.as_deref(), Some("it answered 500"));
    assert_eq!(server.asked().len(), 5);
    notifier.notify(&alert("two"));
    let health = wait_health(&notifier, "the next", |health| health.sent == 1);
    assert_eq!(health.last_error, None);
    assert_eq!(server.asked()[5].json()["held_back"]["payout.mismatch"], 1);
}

#[test]
fn a_failure_that_passes_is_none() {
    let server = Server::start(|n| if n < 3 { status(503) } else { ok() });
    let notifier = start(&webhook(&server.url("/")), &pace());
    notifier.notify(&alert("one"));
    let health = wait_health(&notifier, "its arrival", |health| health.sent == 1);
    assert_eq!((health.failed, health.last_error, server.asked().len()), (0, None, 4));
}

#[test]
fn refusals_are_final() {
    for code in [400, 401, 403, 404, 410] {
        assert_eq!(failing(move |_| status(code), &pace()), (1, format!("it answered {code}")));
    }
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Server::start(|_| ok());
    let location = format!("Location: {}\r\n", elsewhere.url("/"));
    for code in [301, 302, 307, 308] {
        let answer = {
            let location = location.clone();
            move |_| Answer::Status(code, location.clone(), String::new())
        };
        let (asked, error) = failing(answer, &pace());
        assert_eq!((asked, error), (1, format!("it answered {code}, a redirect, which is not followed")));
    }
    assert_eq!(elsewhere.asked().len(), 0);
}

#[test]
fn retry_after_is_heeded_within_bounds() {
    let later = |asked: &'static str| {
        move |n| match n {
            0 => Answer::Status(429, format!("Retry-After: {asked}\r\n"), String::new()),
            _ => ok(),
        }
    };
    let patient = SendPacing { longest_pause: Duration::from_millis(1500), ..pace() };
    for (asked, least, most) in [
        ("1", 1000, 60_000),
        ("86400", 1500, 60_000),
        ("0", 0, 60_000),
        ("soon", 0, 60_000),
        ("-1", 0, 60_000),
    ] {
        let server = Server::start(later(asked));
        let notifier = start(&webhook(&server.url("/")), &patient);
        let began = Instant::now();
        notifier.notify(&alert("one"));
        wait_health(&notifier, "its arrival", |health| health.sent == 1);
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(least) && took < Duration::from_millis(most),
            "{asked}: {took:?}"
        );
    }
}

#[test]
fn telegrams_own_pause_and_reason_are_read() {
    let server = Server::start(|n| {
        let body = match n {
            0 => r#"{"ok":false,"error_code":429,"parameters":{"retry_after":1}}"#,
            _ => r#"{"ok":false,"error_code":400,"description":"Bad Request: no chat for 42:s3cret\u202e"}"#,
        };
        Answer::Status(if n == 0 { 429 } else { 400 }, String::new(), body.to_owned())
    });
    let section = format!(
        "[[notify]]\nkind = \"telegram\"\nurl = \"{}\"\ntoken = \"42:s3cret\"\nchat = \"1\"\n",
        server.url("")
    );
    let notifier = start(&section, &SendPacing { longest_pause: Duration::from_secs(1), ..pace() });
    let began = Instant::now();
    notifier.notify(&alert("one"));
    let health = wait_health(&notifier, "giving up", |health| health.failed == 1);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(health.last_error.as_deref(), Some("it answered 400: Bad Request: no chat for ***\\u{202e}"));
}

#[test]
fn strange_servers_are_survived() {
    let quick = SendPacing { request_limit: Duration::from_millis(200), ..pace() };
    for (answer, error) in [
        ((|_| Answer::Garbage) as fn(usize) -> Answer, "its answer is not valid HTTP"),
        (|_| Answer::HugeHeader, "its answer is not valid HTTP"),
        (|_| Answer::HugeBody(500), "it answered 500"),
        (|_| Answer::Never, "no answer in time"),
        (|_| Answer::Close, "connection: "),
    ] {
        let (asked, said) = failing(answer, &quick);
        assert_eq!(asked, 5, "{error}");
        assert!(said.starts_with(error), "{said} instead of {error}");
    }
    let server = Server::start(|_| Answer::HugeBody(200));
    let notifier = start(&webhook(&server.url("/")), &quick);
    notifier.notify(&alert("one"));
    wait_health(&notifier, "its arrival", |health| health.sent == 1);
}

#[test]
fn nobody_listening_is_tried_again() {
    let notifier = start(&webhook(&format!("http://{}/s3cret", refusing_address())), &pace());
    notifier.notify(&alert("one"));
    let health = wait_health(&notifier, "giving up", |health| health.failed == 1);
    let error = health.last_error.unwrap();
    assert!(error.contains("refused") && !error.contains("s3cret"), "{error}");
}

#[test]
fn https_never_becomes_plain_text() {
    // A server that speaks no TLS.
    let server = Server::start(|_| ok());
    let url = server.url("/s3cret").replace("http://", "https://");
    let notifier = start(&webhook(&url), &SendPacing { request_limit: Duration::from_secs(1), ..pace() });
    notifier.notify(&alert("one"));
    let health = wait_health(&notifier, "giving up", |health| health.failed == 1);
    assert!(!health.last_error.unwrap().contains("s3cret"));
    assert!(server.asked().iter().all(|asked| !asked.line.contains("s3cret")));
}
