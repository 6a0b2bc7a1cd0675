use std::fs;
use std::os::unix::fs::PermissionsExt;

use crossbeam_channel::{RecvTimeoutError, unbounded};

use super::super::head::RequestHead;
use super::super::{HttpAnswer, Method, QueryParams};
use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn start(handler: impl Fn(&super::super::GatedRequest) -> HttpAnswer + Send + Sync + 'static) -> TinyHttp {
    TinyHttp::start(Arc::new(handler)).unwrap()
}

fn pass(inner: &TinyHttp, text: &str, deadline: Instant) -> Result<HttpAnswer, GateRefusal> {
    let text = text.replace('\n', "\r\n");
    let (head, at) = RequestHead::parse(text.as_bytes()).unwrap().unwrap();
    let request = relay::encode(&head, &text.as_bytes()[at..], false, &inner.key);
    inner.relay_request(&request, text.starts_with("GET"), deadline, &|_| true)
}

fn get(inner: &TinyHttp, path: &str) -> Result<HttpAnswer, GateRefusal> {
    pass(inner, &format!("GET {path} HTTP/1.1\nHost: pi:8080\n\n"), soon())
}

#[test]
fn the_handler_sees_what_the_gate_let_through() {
    let (sender, seen) = unbounded();
    let inner = start(move |request| {
        sender.send(request.clone()).unwrap();
        HttpAnswer::text(202, "x".repeat(100_000)).with_header("X-Own", "yes")
    });
    let body = "b".repeat(4096);
    let text =
        format!("POST /a%20b%2Fc?x=%26&token=t&y HTTP/1.1\nHost: Pi:8080\nContent-Length: 4096\n\n{body}");
    let reply = pass(&inner, &text, soon()).unwrap();
    assert_eq!((reply.status, reply.body.len()), (202, 100_000));
    assert!(reply.headers.contains(&(String::from("X-Own"), String::from("yes"))));
    let request = seen.recv().unwrap();
    assert_eq!((request.method, request.path.as_str()), (Method::Post, "/a b/c"));
    assert_eq!(request.query, QueryParams::from([("x", "&"), ("y", "")]));
    assert_eq!(request.host.as_deref(), Some("Pi:8080"));
    assert_eq!(request.body, body.as_bytes());
}

#[test]
fn the_directory_is_private_and_removed() {
    let inner = start(|_| HttpAnswer::not_found());
    let path = inner.directory.0.clone();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    inner.shut_down();
    assert!(!path.exists());
    assert_eq!(get(&inner, "/"), Err(GateRefusal::Unavailable));
}

#[test]
fn without_the_key_nothing_is_answered() {
    let inner = start(|_| HttpAnswer::text(200, "secret"));
    let request = b"GET / HTTP/1.0\r\nX-Sluice-Key: 0\r\n\r\n";
    let reply = inner.relay_request(request, true, soon(), &|_| true).unwrap();
    assert_eq!(reply.status, 400);
}

/// A cleaner of temporary files may delete it.
#[test]
fn a_deleted_directory_is_created_again() {
    let inner = start(|_| HttpAnswer::text(200, "here"));
    let path = inner.directory.0.clone();
    fs::remove_dir_all(&path).unwrap();
    let deadline = soon();
    while get(&inner, "/").map(|reply| reply.body) != Ok(b"here".to_vec()) {
        assert!(Instant::now() < deadline, "it stays away");
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

/// Four ways to lose the server. After each, another one answers the next request.
#[test]
fn a_server_that_died_is_replaced() {
    let inner = start(|_| HttpAnswer::text(200, "here"));
    let instance = || inner.state.lock().instance.clone().unwrap();
    let kill: [&dyn Fn(&Instance); 4] = [
        // Its socket's name is gone.
        &|_| fs::remove_file(inner.directory.0.join("0")).unwrap(),
        // A worker sees that the server accepts no more requests.
        &|instance| instance.server.upgrade().unwrap().unblock(),
        &|instance| instance.work.end(),
        // Both at once.
        &|instance| instance.retire(),
    ];
    for (round, kill) in kill.iter().enumerate() {
        let before = instance();
        kill(&before);
        assert_eq!(get(&inner, "/").unwrap().body, b"here", "round {round}");
        // An unblocked worker may take one more request before it notices.
        let deadline = soon();
        while Arc::ptr_eq(&before, &instance()) {
            assert!(Instant::now() < deadline, "round {round}: still the same");
            assert_eq!(get(&inner, "/").unwrap().body, b"here", "round {round}");
        }
        let end = before.alive.recv_timeout(Duration::from_secs(20));
        assert_eq!(end, Err(RecvTimeoutError::Disconnected), "round {round}: it lives on");
    }
    // No visitor noticed, so nothing was logged.
    assert!(inner.failures.is_first(Instant::now()), "a failure was logged");
}

#[test]
fn a_panic_is_answered_with_500() {
    let inner = start(|request| {
        assert!(request.path != "/panic", "on purpose");
        HttpAnswer::text(200, "here")
    });
    for _ in 0..10 {
        assert_eq!(get(&inner, "/panic").unwrap().status, 500);
    }
    assert_eq!(get(&inner, "/").unwrap().status, 200);
    assert_eq!(inner.state.lock().number, 1, "not replaced for that");
}

#[test]
fn invalid_answers_of_a_handler() {
    let inner = start(|request| match request.path.as_str() {
        "/large" => HttpAnswer::new(200, "text/plain", vec![b'x'; relay::MAX_ANSWER + 1]),
        "/largest" => HttpAnswer::new(200, "text/plain", vec![b'x'; relay::MAX_ANSWER]),
        "/status" => HttpAnswer::text(99, "x"),
        _ => HttpAnswer::text(200, "x").with_header("Content-Length", "99").with_header("X-A", "b\r\nX-C: d"),
    });
    assert_eq!(get(&inner, "/large"), Err(GateRefusal::AnswerTooLarge));
    assert_eq!(get(&inner, "/largest").unwrap().body.len(), relay::MAX_ANSWER);
    assert_eq!(get(&inner, "/status").unwrap().status, 500);
    let reply = get(&inner, "/").unwrap();
    assert_eq!(reply.body, b"x");
    assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("X-")), "{reply:?}");
}

/// A handler that never returns delays neither other requests for ever nor the shutdown.
#[test]
fn a_stuck_handler_does_not_delay_the_shutdown() {
    let (release, stuck) = unbounded::<()>();
    let inner = start(move |_| {
        let _ = stuck.recv();
        HttpAnswer::text(200, "")
    });
    let short = || Instant::now() + Duration::from_millis(50);
    for _ in 0..=WORKER_COUNT {
        assert_eq!(pass(&inner, "GET / HTTP/1.1\nHost: a\n\n", short()), Err(GateRefusal::HandlerTimeout));
    }
    let work = inner.state.lock().instance.as_ref().unwrap().work.clone();
    // A worker may have to wait for a CPU before it takes its request.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !work.is_stuck(Duration::from_millis(1)) {
        assert!(Instant::now() < deadline, "no worker is stuck");
        std::thread::yield_now();
    }
    assert!(!work.is_stuck(STUCK_AFTER));
    let begun = Instant::now();
    inner.shut_down();
    assert!(begun.elapsed() < Duration::from_secs(1));
    drop(release);
}

#[test]
fn at_most_eight_requests_are_in_flight() {
    let (release, stuck) = unbounded::<()>();
    let inner = Arc::new(start(move |_| {
        let _ = stuck.recv();
        HttpAnswer::text(200, "")
    }));
    let threads: Vec<_> = (0..3 * MAX_CONCURRENT)
        .map(|_| {
            let inner = inner.clone();
            std::thread::spawn(move || get(&inner, "/").map(|reply| reply.status))
        })
        .collect();
    let deadline = soon();
    while inner.state.lock().in_flight < MAX_CONCURRENT {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    drop(release);
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(200));
    }
    assert_eq!(inner.state.lock().in_flight, 0);
}
