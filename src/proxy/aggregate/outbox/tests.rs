use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use super::*;
use crate::net::tls_stream::TlsStream;
use crate::tap::{Conversation, Direction, SessionId};

fn plain(limits: Limits) -> (Outbox, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, peer) = listener.accept().unwrap();
    let conversation = Arc::new(Conversation::new(SessionId(1), peer, Stamp::now()));
    let outbox = Outbox::new(Tap::new(None, conversation, Direction::Down), limits);
    outbox.open(Arc::new(Stream::Plain(near)));
    (outbox, far)
}

#[test]
fn a_panic_of_its_thread_ends_the_connection_and_nobody_waits_for_it() {
    let (outbox, mut far) = plain(Limits::default());
    let outbox = Arc::new(outbox);
    let running = outbox.clone();
    let thread = std::thread::spawn(move || running.run(Duration::ZERO, |_| panic!("on purpose")));
    assert!(thread.join().is_err());
    outbox.wait_over(Duration::from_secs(20));
    outbox.wait_for_room();
    assert!(!outbox.send("late", Stamp::now()));
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn replies_wait_for_a_peer_that_does_not_read_them() {
    let limits = Limits { max_queued_bytes: 64 * 1024, ..Limits::default() };
    let (outbox, mut far) = plain(limits);
    let outbox = Arc::new(outbox);
    outbox.wait_for_room();
    // The kernel takes some megabytes before anything waits here.
    while outbox.state.lock().queued <= limits.max_queued_bytes / 2 {
        assert!(outbox.send(vec![b'x'; 8 * 1024], Stamp::now()));
    }
    let (told, waited) = mpsc::channel();
    let waiting = outbox.clone();
    let waiter = std::thread::spawn(move || {
        waiting.wait_for_room();
        let _ = told.send(waiting.state.lock().queued);
    });
    assert!(waited.recv_timeout(Duration::from_millis(50)).is_err(), "there is no room");
    let sending = outbox.clone();
    let sender = std::thread::spawn(move || sending.run(Duration::from_secs(60), |_| ()));
    let reader = std::thread::spawn(move || while far.read(&mut [0; 65_536]).is_ok_and(|read| read > 0) {});
    let left = waited.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(left <= limits.max_queued_bytes / 2, "{left}");
    outbox.close();
    waiter.join().unwrap();
    reader.join().unwrap();
    let _ = sender.join().unwrap();
}

/// Sends more than the peer will ever read, and returns the reason that this ended.
fn overfed(limits: Limits, prepare: impl FnOnce(&TcpStream)) -> String {
    let (outbox, _far) = plain(limits);
    prepare(outbox.stream.get().unwrap().socket());
    let outbox = Arc::new(outbox);
    let running = outbox.clone();
    let thread = std::thread::spawn(move || running.run(Duration::from_secs(60), |_| ()));
    // The kernel takes some megabytes before anything waits here.
    while outbox.state.lock().queue.is_empty() && outbox.send(vec![b'x'; 65_536], Stamp::now()) {}
    assert!(thread.join().unwrap().is_err());
    outbox.failure().unwrap()
}

#[test]
fn the_reason_that_this_end_closed_is_known() {
    let short = Limits { write_timeout: Duration::from_millis(50), ..Limits::default() };
    assert_eq!(overfed(short, |_| ()), "it has taken nothing that was sent for 0.1 s");
    let sent = overfed(Limits::default(), |socket| {
        SockRef::from(socket).set_tcp_user_timeout(Some(Duration::from_millis(50))).unwrap();
    });
    assert!(sent.starts_with("it is unreachable"), "{sent}");
    // The peer's own end is no failure of ours.
    let (outbox, far) = plain(Limits::default());
    drop(far);
    assert_eq!(outbox.failure(), None);
}

/// A TLS session whose other end reads nothing, and whose socket takes nothing more.
fn full_tls(limits: Limits) -> (Arc<Outbox>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    // A fixed size: the kernel would let it grow.
    SockRef::from(&near).set_send_buffer_size(4096).unwrap();
    let (mut far, peer) = listener.accept().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut server = rustls::ServerConnection::new(Arc::new(server)).unwrap();
    let client = rustls::ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
    let shaking = std::thread::spawn(move || {
        while server.is_handshaking() {
            server.complete_io(&mut far).unwrap();
        }
        far
    });
    near.set_nodelay(true).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let tls = TlsStream::handshake(near.try_clone().unwrap(), client.into(), deadline).unwrap();
    let far = shaking.join().unwrap();
    near.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    while near.write_all(&[0; 1024]).is_ok() {}
    near.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    while near.write_all(&[0]).is_ok() {}
    let conversation = Arc::new(Conversation::new(SessionId(1), peer, Stamp::now()));
    let outbox = Outbox::new(Tap::new(None, conversation, Direction::Down), limits);
    outbox.open(Arc::new(Stream::Tls(Box::new(tls))));
    (Arc::new(outbox), far)
}

#[test]
fn no_sender_waits_while_a_connection_to_a_stuck_peer_is_closed() {
    let limits = Limits { write_timeout: Duration::from_millis(500), ..Limits::default() };
    // The kernel may make room after all, and the goodbye goes out at once: then it is tried again.
    for _ in 0..200 {
        let (outbox, _far) = full_tls(limits);
        let running = outbox.clone();
        let thread = std::thread::spawn(move || running.run(Duration::from_secs(60), |_| ()));
        outbox.finish();
        let (began, mut longest) = (Instant::now(), Duration::ZERO);
        while !thread.is_finished() {
            let asked = Instant::now();
            assert!(!outbox.send("job", Stamp::now()));
            longest = longest.max(asked.elapsed());
            std::thread::yield_now();
        }
        if began.elapsed() >= limits.write_timeout / 2 {
            assert!(longest < limits.write_timeout / 2, "somebody had to wait for {longest:?}");
            return;
        }
    }
    panic!("the goodbye always found room");
}
