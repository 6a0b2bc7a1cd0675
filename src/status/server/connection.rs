//! One visitor's connection: it reads, checks, relays and answers one request, each step with a timeout.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::gate::GateShared;
use super::head::{self, HeadError, MAX_BODY, RequestHead, Verb};
use super::refusal::GateRefusal;
use super::relay;
use super::reply::HttpReply;
use super::timed;
use super::tiny_http::RelayFailure;
use super::visitors::VisitorSlot;
use crate::limits::AddressKey;

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

struct VisitorReply {
    reply: HttpReply,
    head_only: bool,
}

/// Serves one connection to its end.
pub(super) fn serve(shared: &GateShared, slot: &VisitorSlot, socket: &TcpStream, peer: SocketAddr) {
    let outcome = match answer(shared, slot, socket, peer) {
        Ok(outcome) => outcome,
        Err(error) => {
            log::debug!("http {peer}: closed without a request: {error}");
            return;
        }
    };
    if outcome.reply.status >= 400 {
        log::debug!("http {peer}: answered {}", outcome.reply.status);
    }
    match send(socket, &outcome) {
        Ok(()) => drain(socket),
        Err(error) => log::debug!("http {peer}: did not take the answer: {error}"),
    }
}

/// Reads a request and obtains its reply. The error means that the visitor left without a request.
fn answer(
    shared: &GateShared,
    slot: &VisitorSlot,
    socket: &TcpStream,
    peer: SocketAddr,
) -> io::Result<VisitorReply> {
    let (head, body) = match head::read(socket, Instant::now() + HEAD_TIMEOUT) {
        Ok(read) => read,
        Err(HeadError::Rejected(refusal)) => return Ok(refused(refusal, false)),
        Err(HeadError::Closed(error)) => return Err(error),
    };
    let head_only = head.verb == Verb::Head;
    if let Err(answer) = shared.access.check(&head, AddressKey::from(peer.ip()), Instant::now()) {
        return Ok(VisitorReply { reply: answer.into(), head_only });
    }
    let body = match read_body(socket, &head, body) {
        Ok(body) => body,
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            return Ok(refused(GateRefusal::RequestTimeout, head_only));
        }
        Err(error) => return Err(error),
    };
    let deadline = Instant::now() + HANDLER_TIMEOUT;
    let request = relay::encode(&head, &body, shared.inner.key());
    let is_repeatable = head.verb != Verb::Post;
    let passed =
        shared.inner.relay_request(&request, is_repeatable, deadline, &|bytes| slot.reserve(bytes, deadline));
    Ok(match passed {
        Ok(reply) => VisitorReply { reply, head_only },
        Err(RelayFailure::NoMemory) => refused(GateRefusal::Full, head_only),
        Err(RelayFailure::TooLarge) => refused(GateRefusal::AnswerTooLarge, head_only),
        Err(RelayFailure::TimedOut) => refused(GateRefusal::HandlerTimeout, head_only),
        Err(RelayFailure::Unavailable) => refused(GateRefusal::Unavailable, head_only),
    })
}

fn send(socket: &TcpStream, outcome: &VisitorReply) -> io::Result<()> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    let mut head = outcome.reply.head();
    let body = if outcome.head_only { &[][..] } else { &outcome.reply.body };
    // A small answer goes in one packet; a large one is not copied.
    if body.len() <= MAX_SINGLE_WRITE {
        head.extend_from_slice(body);
        return timed::write_all(socket, &head, deadline);
    }
    timed::write_all(socket, &head, deadline)?;
    timed::write_all(socket, body, deadline)
}

fn refused(refusal: GateRefusal, head_only: bool) -> VisitorReply {
    VisitorReply { reply: refusal.answer().into(), head_only }
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
