//! From the miner up to the pool: the first of a session's two threads. It also receives the miner
//! (PROXY header, TLS) while the other one dials.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::TlsPort;
use super::acceptor::say;
use super::arrival;
use super::downward::Downward;
use super::ending::{End, linger};
use super::foreign::{Beginning, Foreign, judge, judge_at_last};
use super::opening::Sent;
use super::pump::{self, Patience, SpliceRefused};
use super::session::{Presence, Session};
use super::tap::Tap;
use crate::analyzer::Direction;
use crate::config::ForwardPath;
use crate::limits::Abuse;
use crate::net::options::is_timeout;
use crate::net::{Reader, Received, Stamp, Stream};
use crate::stop::Stopped;
use crate::thread::{SESSION_STACK, spawn};
use crate::upstream::Link;

/// The most that a PROXY header and a TLS handshake may take together.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);
/// How long first bytes that could become something foreign are held back.
const FOREIGN_WAIT: Duration = Duration::from_secs(1);

/// For those who opened the wrong port in a browser.
const HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Connection: close\r\nContent-Length: 58\r\n\r\nThis is a Stratum port for miners, not the status page.\r\n\r\n";

/// The upward thread's own things.
pub(super) struct Upward {
    presence: Arc<Presence>,
    socket: TcpStream,
    peer: SocketAddr,
    port: Arc<TlsPort>,
    expects_header: bool,
}

/// The first bytes of a miner.
enum First {
    Bytes(Received),
    Ended(End),
    Refused,
}

impl Upward {
    pub(super) fn new(
        presence: Arc<Presence>,
        socket: TcpStream,
        peer: SocketAddr,
        port: Arc<TlsPort>,
        expects_header: bool,
    ) -> Upward {
        Upward {
            presence,
            socket,
            peer,
            port,
            expects_header,
        }
    }

    /// The thread's body.
    pub(super) fn run(self) -> Result<(), Stopped> {
        let (presence, peer) = (self.presence.clone(), self.peer);
        let session = presence.session.clone();
        let _marked = Marked {
            session: session.clone(),
            direction: Direction::Up,
        };
        // Dialling begins now, not when the miner has spoken.
        let down = Downward::new(presence.clone());
        if let Err(error) = spawn(
            format!("{}-down", session.conversation.id),
            SESSION_STACK,
            move || down.run(),
        ) {
            say(
                &presence.services,
                self.peer,
                &format!("can't start a session: {error}"),
            );
            session.ending.mark_ended(Direction::Down);
            return Ok(());
        }
        let Some(miner) = self.arrive() else {
            session.close();
            return Ok(());
        };
        let mut forwarder = Forwarder::new(&presence, peer, miner);
        let end = forwarder.forward();
        let abort = || session.abort();
        if end == End::Finished && presence.services.draining.load(Ordering::Acquire) {
            forwarder.tap.paused();
            session.ending.wait(Direction::Up);
        } else {
            session
                .ending
                .end(Direction::Up, end, || session.progress(Direction::Down), abort);
        }
        if end == End::DestinationBroken {
            linger(&mut forwarder.reader, &mut forwarder.buffer);
        }
        Ok(())
    }

    /// Turns the accepted socket into the miner's stream.
    fn arrive(self) -> Option<Arc<Stream>> {
        let Upward {
            presence,
            socket,
            peer,
            port,
            expects_header,
        } = self;
        let (session, services) = (&presence.session, &presence.services);
        let deadline = session.accepted_at + ARRIVAL_LIMIT.min(services.config.listen.handshake_timeout);
        if expects_header {
            let source = match arrival::read_proxy_header(&socket, deadline) {
                Ok(source) => source.unwrap_or(peer),
                Err(error) => {
                    say(services, peer, &error.to_string());
                    return None;
                }
            };
            session.conversation.announce(source);
            match services.gatekeeper.admit(source.ip(), Instant::now()) {
                Ok(admission) => presence.admit(admission),
                Err(refusal) => {
                    say(services, source, &format!("refused: {refusal}"));
                    return None;
                }
            }
        }
        match arrival::establish(socket, &port, deadline) {
            Ok(stream) => {
                let stream = Arc::new(stream);
                session.opening.miner_arrived(stream.clone());
                Some(stream)
            }
            Err(error) => {
                say(services, session.conversation.miner(), &error.to_string());
                None
            }
        }
    }
}

/// Carries the miner's bytes.
struct Forwarder<'a> {
    presence: &'a Presence,
    peer: SocketAddr,
    reader: Reader,
    buffer: Vec<u8>,
    tap: Tap,
}

impl<'a> Forwarder<'a> {
    fn new(presence: &'a Presence, peer: SocketAddr, miner: Arc<Stream>) -> Forwarder<'a> {
        let (session, services) = (&presence.session, &presence.services);
        let tap = Tap::new(
            services.to_analyzer.clone(),
            session.conversation.clone(),
            Direction::Up,
        );
        let buffer = vec![0; services.config.forward.buffer];
        Forwarder {
            presence,
            peer,
            reader: Reader::new(miner),
            buffer,
            tap,
        }
    }

    fn forward(&mut self) -> End {
        let first = match self.first_bytes() {
            First::Bytes(received) => received,
            First::Ended(end) => {
                self.presence.session.opening.finish();
                return end;
            }
            First::Refused => {
                self.presence.session.close();
                return End::SourceBroken;
            }
        };
        let end = match self.open(first) {
            Ok(link) => self.pump(&link),
            Err(end) => end,
        };
        // The pool reads everything, and then the end. At the end of the program it does not: some
        // pools close at a half-close without answering what is in flight.
        if !(end == End::Finished && self.presence.services.draining.load(Ordering::Acquire)) {
            self.presence.session.opening.finish();
        }
        end
    }

    /// Waits for the first bytes and looks whether they are a miner's.
    fn first_bytes(&mut self) -> First {
        let mut held = 0;
        let mut readable_at = None;
        loop {
            let timeout = if held == 0 {
                self.time_to_wait()
            } else {
                Some(FOREIGN_WAIT)
            };
            let read = match self.reader.stream().set_read_timeout(timeout) {
                Ok(()) => self.reader.recv(&mut self.buffer[held..]),
                Err(error) => Err(error),
            };
            let beginning = match read {
                Ok(received) if received.length > 0 => {
                    held += received.length;
                    readable_at.get_or_insert(received.readable_at);
                    judge(&self.buffer[..held])
                }
                Err(error) if is_timeout(&error) && held == 0 => match patience(self.presence) {
                    Patience::Wait => continue,
                    Patience::End => return First::Ended(End::SourceBroken),
                },
                Ok(_) if held == 0 => return First::Ended(End::Finished),
                Err(error) if !is_timeout(&error) => return First::Ended(End::SourceBroken),
                // Closed, or nothing more for a while: what was read is delivered; the end is read again.
                Ok(_) | Err(_) => judge_at_last(&self.buffer[..held]),
            };
            match beginning {
                Beginning::Foreign(foreign) => {
                    self.refuse(foreign);
                    return First::Refused;
                }
                Beginning::Stratum => {
                    let readable_at = readable_at.unwrap_or_else(Stamp::now);
                    return First::Bytes(Received {
                        length: held,
                        readable_at,
                    });
                }
                Beginning::Undecided => {}
            }
        }
    }

    fn refuse(&self, foreign: Foreign) {
        let services = &self.presence.services;
        let miner = self.presence.session.conversation.miner();
        say(services, miner, &format!("refused: {foreign}"));
        let abuse = match foreign {
            Foreign::Tls => Abuse::TlsOnPlainPort,
            Foreign::Http => Abuse::Http,
            Foreign::ProxyHeader => Abuse::Garbage,
        };
        if let Some(ban) = services
            .gatekeeper
            .report_abuse(miner.ip(), abuse, Instant::now())
        {
            say(services, self.peer, &format!("banned for {ban:.0?}"));
        }
        if foreign == Foreign::Http {
            let stream = self.reader.stream();
            let _ = stream.send_all(HTTP_ANSWER);
            stream.finish();
        }
    }

    /// Sends what the miner says until it is settled which pool it is; then returns the link.
    fn open(&mut self, mut received: Received) -> Result<Arc<Link>, End> {
        let opening = &self.presence.session.opening;
        // Waiting for the pool is not forwarding, and does not count as its delay.
        let linked_at = opening.wait_for_link().ok_or(End::DestinationBroken)?;
        loop {
            let bytes = &self.buffer[..received.length];
            let settled = match opening.send(bytes) {
                Sent::Kept => None,
                Sent::Over => return Err(End::DestinationBroken),
                Sent::Settled(link) => {
                    if link.stream.send_all(bytes).is_err() {
                        return Err(End::DestinationBroken);
                    }
                    Some(link)
                }
            };
            self.tap
                .forwarded(bytes, received.readable_at.max(linked_at), Stamp::now());
            if let Some(link) = settled {
                return Ok(link);
            }
            received = loop {
                // A failing setsockopt shows in the read as well.
                let _ = self.reader.stream().set_read_timeout(self.time_to_wait());
                match self.reader.recv(&mut self.buffer) {
                    Ok(received) if received.length > 0 => break received,
                    Ok(_) => return Err(End::Finished),
                    Err(error) if is_timeout(&error) => match patience(self.presence) {
                        Patience::Wait => {}
                        Patience::End => return Err(End::SourceBroken),
                    },
                    Err(_) => return Err(End::SourceBroken),
                }
            };
        }
    }

    fn pump(&mut self, link: &Link) -> End {
        let presence = self.presence;
        let miner = self.reader.stream().clone();
        let on_timeout = || {
            let patience = patience(presence);
            if patience == Patience::Wait {
                let _ = miner.set_read_timeout(time_to_wait(presence));
            }
            patience
        };
        let forward = &presence.services.config.forward;
        if forward.path == ForwardPath::Splice {
            match pump::splice(&miner, &link.stream, forward.buffer, &mut self.tap, on_timeout) {
                Ok(end) => return end,
                Err(refused) => splice_refused(presence, &refused),
            }
        }
        pump::copy(
            &mut self.reader,
            &link.stream,
            &mut self.buffer,
            &mut self.tap,
            on_timeout,
        )
    }

    fn time_to_wait(&self) -> Option<Duration> {
        time_to_wait(self.presence)
    }
}

/// How long the miner's next bytes may take.
fn time_to_wait(presence: &Presence) -> Option<Duration> {
    let listen = &presence.services.config.listen;
    if is_authorized(presence) {
        listen.idle_timeout
    } else {
        let left = listen
            .handshake_timeout
            .saturating_sub(presence.session.accepted_at.elapsed());
        // Zero would mean "for ever".
        Some(left.max(Duration::from_millis(1)))
    }
}

/// The miner has said nothing for as long as it may.
fn patience(presence: &Presence) -> Patience {
    let conversation = &presence.session.conversation;
    let listen = &presence.services.config.listen;
    let (limit, why) = if is_authorized(presence) {
        (
            listen.idle_timeout,
            "sent nothing for the whole of listen.idle_timeout",
        )
    } else {
        (
            Some(listen.handshake_timeout),
            "did not authorize within listen.handshake_timeout",
        )
    };
    let since_open = presence.session.accepted_at.elapsed();
    let quiet_for = match conversation.up.last_at() {
        Some(last) if is_authorized(presence) => Stamp::now().since(last).unwrap_or_default(),
        _ => since_open,
    };
    match limit {
        Some(limit) if quiet_for >= limit => {
            say(
                &presence.services,
                conversation.miner(),
                &format!("closed: it {why} ({limit:?})"),
            );
            Patience::End
        }
        _ => Patience::Wait,
    }
}

/// Whether the handshake is over, as far as anybody can tell: the analyzer sees it; where it sees
/// nothing, or not all, a conversation both sides take part in has to do.
fn is_authorized(presence: &Presence) -> bool {
    let conversation = &presence.session.conversation;
    let blind =
        presence.services.to_analyzer.is_none() || conversation.dropped_copies.load(Ordering::Relaxed) > 0;
    conversation.authorized.load(Ordering::Relaxed)
        || (blind && conversation.up.last_at().is_some() && conversation.down.last_at().is_some())
}

/// Says once, for all sessions, that the splice path is not taken.
pub(super) fn splice_refused(presence: &Presence, refused: &SpliceRefused) {
    if !presence.services.splice_refused.swap(true, Ordering::Relaxed) {
        match refused {
            SpliceRefused::Tls => {
                log::warn!(
                    "forward.path = \"splice\" needs plain TCP on both sides; sessions with TLS are copied"
                );
            }
            SpliceRefused::Pipe(error) => {
                log::warn!("forward.path = \"splice\": no more pipes ({error}); further sessions are copied");
            }
        }
    }
}

/// Whatever ends a thread, a panic too, the other one learns of it.
pub(super) struct Marked {
    pub(super) session: Arc<Session>,
    pub(super) direction: Direction,
}

impl Drop for Marked {
    fn drop(&mut self) {
        self.session.ending.mark_ended(self.direction);
        if std::thread::panicking() {
            self.session.abort();
        }
    }
}
