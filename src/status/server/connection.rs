//! One visitor's connection: it reads, checks, relays and answers one request, each step with a timeout.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Method;
use super::answer::HttpAnswer;
use super::gate::GateShared;
use super::head::{self, HeadError, MAX_BODY, RequestHead};
use super::refusal::GateRefusal;
use super::relay;
use super::timed;
use super::visitors::VisitorSlot;

/// The timeout for the whole head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout for the whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout for the relay and the handler.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout for sending the whole answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bodies up to this many bytes are sent with their head in one write.
const MAX_SINGLE_WRITE: usize = 16 << 10;

/// Bounds on reading what a visitor still sends after the answer. Unread bytes would reset the
/// connection, and the visitor would lose the answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_DRAINED_BYTES: usize = 1 << 20;

/// Serves one connection to its end.
pub(super) fn serve(shared: &GateShared, slot: &VisitorSlot, socket: &TcpStream, peer: SocketAddr) {
    let mut head_only = false;
    let answer = match answer(shared, slot, socket, peer, &mut head_only) {
        Ok(answer) => answer,
        Err(HeadError::Rejected(refusal)) => refusal.answer(),
        Err(HeadError::Closed(error)) => {
            log::debug!("http {peer}: closed without a request: {error}");
            return;
        }
    };
    if answer.status >= 400 {
        log::debug!("http {peer}: answered {}", answer.status);
    }
    match send(socket, &answer, head_only) {
        Ok(()) => drain(socket),
        Err(error) => log::debug!("http {peer}: did not take the answer: {error}"),
    }
}

/// Reads a request and obtains its answer. Sets `head_only` if the visitor wants no body.
fn answer(
    shared: &GateShared,
    slot: &VisitorSlot,
    socket: &TcpStream,
    peer: SocketAddr,
    head_only: &mut bool,
) -> Result<HttpAnswer, HeadError> {
    let (head, body) = head::read(socket, Instant::now() + HEAD_TIMEOUT)?;
    *head_only = head.head_only;
    let is_login = shared.access.is_login(&head);
    if !is_login {
        if let Err(answer) = shared.access.check(&head, peer.ip(), Instant::now()) {
            return Ok(answer);
        }
    }
    let body = read_body(socket, &head, body).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => HeadError::Rejected(GateRefusal::RequestTimeout),
        _ => HeadError::Closed(error),
    })?;
    if is_login {
        return Ok(shared.access.log_in(&head, &body, peer.ip(), Instant::now()));
    }
    let deadline = Instant::now() + HANDLER_TIMEOUT;
    let may_change = shared.access.may_change(&head, peer.ip());
    let request = relay::encode(&head, &body, may_change, &shared.inner.key);
    let is_repeatable = head.method == Method::Get;
    let reserve = |bytes| slot.reserve(bytes, deadline);
    Ok(shared.inner.relay_request(&request, is_repeatable, deadline, &reserve)?)
}

fn send(socket: &TcpStream, answer: &HttpAnswer, head_only: bool) -> io::Result<()> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    let mut head = answer.head();
    let body = if head_only { &[][..] } else { &answer.body };
    // A small answer goes in one packet; a large one is not copied.
    if body.len() <= MAX_SINGLE_WRITE {
        head.extend_from_slice(body);
        return timed::write_all(socket, &head, deadline);
    }
    timed::write_all(socket, &head, deadline)?;
    timed::write_all(socket, body, deadline)
}

/// Reads the rest of the body; `body` is the part that came with the head.
fn read_body(socket: &TcpStream, head: &RequestHead, mut body: Vec<u8>) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + BODY_TIMEOUT;
    if head.expects_continue && body.len() < head.length {
        timed::write_all(socket, b"HTTP/1.1 100 Continue\r\n\r\n", deadline)?;
    }
    let mut buffer = [0; MAX_BODY];
    while body.len() < head.length {
        let missing = head.length - body.len();
        match timed::read(socket, &mut buffer[..missing.min(MAX_BODY)], deadline)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => body.extend_from_slice(&buffer[..count]),
        }
    }
    // Bytes after the body would be a second request, which this connection does not serve.
    body.truncate(head.length);
    Ok(body)
}

fn drain(socket: &TcpStream) {
    // On an error the visitor has left already.
    if socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    let mut buffer = [0; 4096];
    let mut drained = 0;
    while drained < MAX_DRAINED_BYTES {
        match timed::read(socket, &mut buffer, deadline) {
            Ok(0) | Err(_) => return,
            Ok(count) => drained += count,
        }
    }
}
