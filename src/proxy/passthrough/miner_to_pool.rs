//! From the miner up to the pool: the first of a session's two threads. It also receives the miner
//! (PROXY header, TLS) while the other one dials.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::first_answer::Sent;
use super::half_close::DirectionEnd;
use super::handshake_scan::{LoginFinder, ScanResult};
use super::miner_timeouts::MinerWatch;
use super::pool_to_miner::Downward;
use super::pump::{self, SpliceRefused};
use super::session::{PassthroughSession, SessionGuard};
use crate::config::ForwardPath;
use crate::net::options::is_timeout;
use crate::net::{Received, Stamp, Stream, StreamReader};
use crate::proxy::{FirstBytes, IncomingConnection, LogTopic, OnTimeout, Watch, first_bytes, linger, say};
use crate::stratum::Login;
use crate::tap::Tap;
use crate::tap::{Conversation, Direction};
use crate::upstream::{PoolConnection, PoolFailure, UpstreamId};
use crate::util::os_error::describe;
use crate::util::stop::Stopped;
use crate::util::thread::{SESSION_STACK, spawn};

/// A pool that owes its first answer for so long to a miner that leaves is looked at.
const WORTH_A_PROBE: Duration = Duration::from_millis(900);

/// The upward thread's own things.
pub(super) struct Upward {
    presence: Arc<SessionGuard>,
    visitor: IncomingConnection,
}

impl Upward {
    pub(super) fn new(presence: Arc<SessionGuard>, visitor: IncomingConnection) -> Upward {
        Upward { presence, visitor }
    }

    /// The thread's body.
    pub(super) fn run(self) -> Result<(), Stopped> {
        let presence = self.presence.clone();
        let session = presence.session.clone();
        let _marked = FinishGuard { session: session.clone(), direction: Direction::Up };
        // Dialling begins now, not when the miner has spoken.
        let down = Downward::new(presence.clone());
        if let Err(error) =
            spawn(format!("{}-down", session.conversation.id), SESSION_STACK, move || down.run())
        {
            say(
                &presence.services.reception,
                self.visitor.peer(),
                LogTopic::NoThread,
                &format_args!("can't start a session: {}", describe(&error)),
            );
            session.ending.mark_ended(Direction::Down);
            return Ok(());
        }
        let Some(miner) = self.arrive() else {
            session.close();
            return Ok(());
        };
        let mut forwarder = Forwarder::new(&presence, miner);
        let end = forwarder.forward();
        // However it ended: at the program's end nobody waits for more of this miner's shares.
        forwarder.tap.miner_paused();
        let abort = || session.abort();
        if end == DirectionEnd::Finished && session.is_paused() {
            session.ending.wait(Direction::Up);
            // What it has sent meanwhile must not make the kernel take its last answers back.
            linger(&mut forwarder.reader);
        } else {
            session.ending.end(Direction::Up, end, || session.progress(Direction::Down), abort);
        }
        if end == DirectionEnd::DestinationBroken {
            linger(&mut forwarder.reader);
        }
        Ok(())
    }

    /// Turns the visitor into the miner's stream.
    fn arrive(self) -> Option<Arc<Stream>> {
        let Upward { presence, mut visitor } = self;
        let (session, reception) = (&presence.session, &presence.services.reception);
        let deadline = reception.arrival_deadline(session.accepted_at);
        session.conversation.set_announced_miner(visitor.introduce(reception, deadline)?);
        presence.admit(visitor.admit(reception)?);
        let stream = Arc::new(visitor.establish(reception, deadline)?);
        session.opening.miner_arrived(stream.clone());
        Some(stream)
    }
}

/// Carries the miner's bytes.
struct Forwarder<'a> {
    presence: &'a SessionGuard,
    reader: StreamReader,
    buffer: Vec<u8>,
    tap: Tap,
    watch: MinerWatch<'a>,
    /// Where no analyzer sees the login.
    logins: Option<LoginFinder>,
}

impl<'a> Forwarder<'a> {
    fn new(presence: &'a SessionGuard, miner: Arc<Stream>) -> Forwarder<'a> {
        let (session, services) = (&presence.session, &presence.services);
        let tap = Tap::new(services.to_analyzer.clone(), session.conversation.clone(), Direction::Up);
        let buffer = vec![0; services.config.forward.buffer];
        let watch = MinerWatch::new(presence, miner.clone());
        let logins = services.to_analyzer.is_none().then(LoginFinder::new);
        Forwarder { presence, reader: StreamReader::new(miner), buffer, tap, watch, logins }
    }

    fn forward(&mut self) -> DirectionEnd {
        let (session, reception) = (&self.presence.session, &self.presence.services.reception);
        let miner = session.conversation.miner();
        let first = match first_bytes(reception, miner, &mut self.watch, &mut self.reader, &mut self.buffer) {
            FirstBytes::Miner(received) => received,
            FirstBytes::Finished => {
                session.opening.finish();
                return DirectionEnd::Finished;
            }
            FirstBytes::Broken => {
                session.opening.finish();
                return DirectionEnd::SourceBroken;
            }
            FirstBytes::Refused => {
                session.close();
                return DirectionEnd::SourceBroken;
            }
        };
        let end = match self.open(first) {
            Ok(link) => self.pump(&link),
            Err(end) => end,
        };
        self.suspect_silence();
        // The pool reads everything, and then the end. Where it was us who stopped reading it does not: some
        // pools close at a half-close without answering what is in flight.
        if !(end == DirectionEnd::Finished && self.presence.session.is_paused()) {
            self.presence.session.opening.finish();
        }
        end
    }

    /// Sends what the miner says until it is settled which pool it is; then returns the link.
    fn open(&mut self, mut received: Received) -> Result<Arc<PoolConnection>, DirectionEnd> {
        let opening = &self.presence.session.opening;
        // Waiting for the pool is not forwarding, and does not count as its delay.
        let linked_at = opening.wait_for_link().ok_or(DirectionEnd::DestinationBroken)?;
        loop {
            let bytes = &self.buffer[..received.length];
            let settled = match opening.send(bytes) {
                Sent::Kept => None,
                Sent::Over => return Err(DirectionEnd::DestinationBroken),
                Sent::Settled(link) => {
                    if link.stream.send_all(bytes).is_err() {
                        return Err(DirectionEnd::DestinationBroken);
                    }
                    Some(link)
                }
            };
            self.tap.forwarded(bytes, received.readable_at.max(linked_at), Stamp::now());
            let conversation = &self.presence.session.conversation;
            if self.logins.as_mut().is_some_and(|logins| note_login(logins.look(bytes), conversation)) {
                self.logins = None;
            }
            if let Some(link) = settled {
                return Ok(link);
            }
            if self.watch.on_bytes() == OnTimeout::End {
                return Err(DirectionEnd::SourceBroken);
            }
            received = loop {
                self.watch.arm();
                match self.reader.recv(&mut self.buffer) {
                    Ok(received) if received.length > 0 => break received,
                    Ok(_) => return Err(DirectionEnd::Finished),
                    Err(error) if is_timeout(&error) => match self.watch.on_timeout() {
                        OnTimeout::Wait => {}
                        OnTimeout::End => return Err(DirectionEnd::SourceBroken),
                    },
                    Err(_) => return Err(DirectionEnd::SourceBroken),
                }
            };
        }
    }

    /// A NerdMiner leaves after 1.2 s without an answer, long before `answer_timeout`. That proves
    /// nothing, but is worth a probe: it would come back to the same dead pool for ever.
    fn suspect_silence(&self) {
        let session = &self.presence.session;
        let silence = session.opening.unanswered_for().filter(|time| *time >= WORTH_A_PROBE);
        if let (Some(silence), Some(place)) = (silence, session.conversation.upstream()) {
            self.presence.services.upstreams.suspect(UpstreamId(place), PoolFailure::Silent(silence));
        }
    }

    fn splice(&mut self, miner: &Stream, link: &PoolConnection) -> Result<DirectionEnd, SpliceRefused> {
        let services = &self.presence.services;
        let size = services.config.forward.buffer;
        pump::splice(miner, &link.stream, size, &services.pipes, &mut self.tap, &mut self.watch)
    }

    fn pump(&mut self, link: &PoolConnection) -> DirectionEnd {
        let miner = self.reader.stream().clone();
        let forward = &self.presence.services.config.forward;
        if let Some(logins) = &mut self.logins {
            let conversation = &self.presence.session.conversation;
            let end = pump::copy_until(
                &mut self.reader,
                &link.stream,
                &mut self.buffer,
                &mut self.tap,
                &mut self.watch,
                |bytes| note_login(logins.look(bytes), conversation),
            );
            if let Some(end) = end {
                return end;
            }
        }
        if forward.path == ForwardPath::Splice {
            match self.splice(&miner, link) {
                Ok(end) => return end,
                Err(refused) => splice_refused(self.presence, &refused),
            }
        }
        pump::copy(&mut self.reader, &link.stream, &mut self.buffer, &mut self.tap, &mut self.watch)
    }
}

/// Notes the login; whether it need not be looked for any more. Whether the pool accepts it nobody sees.
fn note_login(found: ScanResult<Login>, conversation: &Conversation) -> bool {
    match found {
        ScanResult::NotYet => return false,
        ScanResult::GivenUp => {}
        ScanResult::Here(login) => {
            conversation.set_login(login);
            conversation.clock.authorize_accepted();
        }
    }
    true
}

/// Says once, for all sessions, that the splice path is not taken.
pub(super) fn splice_refused(presence: &SessionGuard, refused: &SpliceRefused) {
    if !presence.services.splice_refused.swap(true, Ordering::Relaxed) {
        match refused {
            SpliceRefused::Tls => {
                log::warn!(
                    "forward.path = \"splice\" needs plain TCP on both sides; sessions with TLS are copied"
                );
            }
            SpliceRefused::Budget => {
                log::warn!(
                    "forward.path = \"splice\": the limit of open files leaves no room for more pipes; \
                     further sessions are copied (raise LimitNOFILE= in systemd, ulimit -Hn)"
                );
            }
            SpliceRefused::Pipe(error) => {
                log::warn!(
                    "forward.path = \"splice\": no more pipes ({}); further sessions are copied",
                    describe(error)
                );
            }
        }
    }
}

/// Whatever ends a thread, a panic too, the other one learns of it.
pub(super) struct FinishGuard {
    pub(super) session: Arc<PassthroughSession>,
    pub(super) direction: Direction,
}

impl Drop for FinishGuard {
    fn drop(&mut self) {
        self.session.ending.mark_ended(self.direction);
        if std::thread::panicking() {
            self.session.abort();
        }
    }
}
