//! From the miner up to the pool: the first of a session's two threads. It also performs the miner's
//! handshake (PROXY header, TLS) while the other one connects to the pool.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::first_answer::Sent;
use super::half_close::DirectionEnd;
use super::handshake_scan::{LoginFinder, ScanResult};
use super::miner_timeouts::MinerWatch;
use super::pool_to_miner::PoolToMiner;
use super::pump::{self, SpliceRefused};
use super::session::{PassthroughSession, SessionGuard};
use crate::config::ForwardPath;
use crate::net::options::is_timeout;
use crate::net::read_buffer::FIRST_SIZE_UP;
use crate::net::sched::wake_first;
use crate::net::stack::release_unused_stack;
use crate::net::{ReadBuffer, Received, Stamp, Stream, StreamReader};
use crate::proxy::{FirstBytes, IncomingConnection, LogTopic, OnTimeout, Watch, first_bytes, linger};
use crate::stratum::Login;
use crate::tap::Tap;
use crate::tap::{Conversation, Direction};
use crate::upstream::{PoolConnection, PoolFailure, UpstreamId};
use crate::util::os_error::describe;
use crate::util::stop::Stopped;
use crate::util::thread::{SESSION_STACK, spawn};

/// A miner that leaves after the pool has owed it the first answer for this long causes a probe.
const PROBE_AFTER_SILENCE: Duration = Duration::from_millis(900);

/// The state of the upward thread.
pub(super) struct MinerToPool {
    guard: Arc<SessionGuard>,
    incoming: IncomingConnection,
}

impl MinerToPool {
    pub(super) fn new(guard: Arc<SessionGuard>, incoming: IncomingConnection) -> MinerToPool {
        MinerToPool { guard, incoming }
    }

    /// The thread's body.
    pub(super) fn run(self) -> Result<(), Stopped> {
        let guard = self.guard.clone();
        let session = guard.session.clone();
        let _end_guard = EndGuard { session: session.clone(), direction: Direction::Up };
        wake_first();
        // The pool is dialled now, not when the miner has sent something.
        let down = PoolToMiner::new(guard.clone());
        if let Err(error) =
            spawn(format!("{}-down", session.conversation.id), SESSION_STACK, move || down.run())
        {
            guard.log(LogTopic::NoThread, &format_args!("can't start a session: {}", describe(&error)));
            session.half_close.mark_ended(Direction::Down);
            return Ok(());
        }
        let Some(miner) = self.receive() else {
            session.close();
            return Ok(());
        };
        let mut forwarder = Forwarder::new(&guard, miner);
        let end = forwarder.forward();
        // However it ended: at shutdown no more shares of this miner are waited for.
        forwarder.tap.miner_paused();
        let abort = || session.abort();
        if end == DirectionEnd::Finished && session.is_paused() {
            session.half_close.wait(Direction::Up);
            // What the miner has sent meanwhile must not make the kernel reset its last answers.
            linger(&mut forwarder.reader);
        } else {
            session.half_close.end(Direction::Up, end, || session.progress(Direction::Down), abort);
        }
        if end == DirectionEnd::DestinationBroken {
            linger(&mut forwarder.reader);
        }
        Ok(())
    }

    /// Turns the incoming connection into the miner's stream.
    // As with each call of the opening, its frame must not stay on the stack while the thread forwards for days.
    #[inline(never)]
    fn receive(self) -> Option<Arc<Stream>> {
        let MinerToPool { guard, incoming } = self;
        let (session, context) = (&guard.session, &guard.services.listener_context);
        let announce = |address| session.conversation.set_announced_miner(address);
        let stream =
            incoming.receive(context, session.accepted_at, announce, |admission| guard.admit(admission))?;
        session.first_answer.miner_arrived(stream.clone());
        Some(stream)
    }
}

/// Forwards the miner's bytes.
struct Forwarder<'a> {
    guard: &'a SessionGuard,
    reader: StreamReader,
    buffer: ReadBuffer,
    tap: Tap,
    watch: MinerWatch<'a>,
    /// Looks for the login where no analyzer does.
    logins: Option<LoginFinder>,
}

impl<'a> Forwarder<'a> {
    fn new(guard: &'a SessionGuard, miner: Arc<Stream>) -> Forwarder<'a> {
        let (session, services) = (&guard.session, &guard.services);
        let tap = Tap::new(services.to_analyzer.clone(), session.conversation.clone(), Direction::Up);
        let buffer = ReadBuffer::new(FIRST_SIZE_UP, services.config.forward.buffer);
        let watch = MinerWatch::new(guard, miner.clone());
        let logins = services.to_analyzer.is_none().then(LoginFinder::new);
        Forwarder { guard, reader: StreamReader::new(miner), buffer, tap, watch, logins }
    }

    fn forward(&mut self) -> DirectionEnd {
        let end = match self.connect() {
            Ok(connection) => {
                release_unused_stack();
                self.pump(&connection)
            }
            Err(end) => end,
        };
        self.suspect_silence();
        // The pool reads everything, and then the end. A session that Sluice paused is not half-closed: some
        // pools close at a half-close without answering what is in flight.
        if !(end == DirectionEnd::Finished && self.guard.session.is_paused()) {
            self.guard.session.first_answer.finish();
        }
        end
    }

    /// Waits for the miner's first bytes and for the pool's first answer.
    #[inline(never)]
    fn connect(&mut self) -> Result<Arc<PoolConnection>, DirectionEnd> {
        let (session, listener_context) = (&self.guard.session, &self.guard.services.listener_context);
        let miner = session.conversation.miner();
        let first = match first_bytes(
            listener_context,
            miner,
            &mut self.watch,
            &mut self.reader,
            self.buffer.as_mut_slice(),
        ) {
            FirstBytes::Miner(received) => received,
            FirstBytes::Finished => {
                session.first_answer.finish();
                return Err(DirectionEnd::Finished);
            }
            FirstBytes::Broken => return Err(DirectionEnd::SourceBroken),
            FirstBytes::Refused => {
                session.close();
                return Err(DirectionEnd::SourceBroken);
            }
        };
        self.open(first)
    }

    /// Sends the miner's bytes until the session has settled on a pool, and returns that connection.
    fn open(&mut self, mut received: Received) -> Result<Arc<PoolConnection>, DirectionEnd> {
        let first_answer = &self.guard.session.first_answer;
        // Waiting for the pool is not forwarding, and does not count as Sluice's delay.
        let connected_at = first_answer.wait_for_connection().ok_or(DirectionEnd::DestinationBroken)?;
        loop {
            let bytes = self.buffer.filled(received.length);
            self.tap.about_to_send();
            let settled = match first_answer.send(bytes) {
                Sent::Kept => None,
                Sent::Over => return Err(DirectionEnd::DestinationBroken),
                Sent::Settled(connection) => {
                    if connection.stream.send_all(bytes).is_err() {
                        return Err(DirectionEnd::DestinationBroken);
                    }
                    Some(connection)
                }
            };
            self.tap.forwarded(bytes, received.readable_at.max(connected_at), Stamp::now());
            let conversation = &self.guard.session.conversation;
            if self.logins.as_mut().is_some_and(|logins| note_login(logins.scan(bytes), conversation)) {
                self.logins = None;
            }
            if let Some(connection) = settled {
                return Ok(connection);
            }
            if self.watch.on_bytes() == OnTimeout::End {
                return Err(DirectionEnd::SourceBroken);
            }
            received = loop {
                self.watch.arm();
                match self.reader.recv(self.buffer.as_mut_slice()) {
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

    /// A NerdMiner leaves after 1.2 s without an answer, long before `answer_timeout`. That proves nothing,
    /// but is worth a probe: the miner would reconnect to the same dead pool for ever.
    fn suspect_silence(&self) {
        let session = &self.guard.session;
        let silence = session.first_answer.unanswered_for().filter(|time| *time >= PROBE_AFTER_SILENCE);
        if let (Some(silence), Some(index)) = (silence, session.conversation.upstream()) {
            self.guard.services.upstreams.suspect(UpstreamId(index), PoolFailure::Silent(silence));
        }
    }

    fn splice(&mut self, miner: &Stream, connection: &PoolConnection) -> Result<DirectionEnd, SpliceRefused> {
        let services = &self.guard.services;
        let size = services.config.forward.buffer;
        pump::splice(miner, &connection.stream, size, &services.pipes, &mut self.tap, &mut self.watch)
    }

    fn pump(&mut self, connection: &PoolConnection) -> DirectionEnd {
        let miner = self.reader.stream().clone();
        let forward = &self.guard.services.config.forward;
        if let Some(logins) = &mut self.logins {
            let conversation = &self.guard.session.conversation;
            let end = pump::copy_until(
                &mut self.reader,
                &connection.stream,
                &mut self.buffer,
                &mut self.tap,
                &mut self.watch,
                |bytes| note_login(logins.scan(bytes), conversation),
            );
            if let Some(end) = end {
                return end;
            }
        }
        if forward.path == ForwardPath::Splice {
            match self.splice(&miner, connection) {
                Ok(end) => return end,
                Err(refused) => splice_refused(self.guard, &refused),
            }
        }
        pump::copy(&mut self.reader, &connection.stream, &mut self.buffer, &mut self.tap, &mut self.watch)
    }
}

/// Notes the login. `true` when the scan can end. Whether the pool accepts the login is not known here.
fn note_login(found: ScanResult<Login>, conversation: &Conversation) -> bool {
    match found {
        ScanResult::NotYet => return false,
        ScanResult::GivenUp => {}
        ScanResult::Found(login) => {
            conversation.set_login(login);
            conversation.clock.authorize_accepted();
        }
    }
    true
}

/// Logs once, for all sessions, that the splice path is not taken.
pub(super) fn splice_refused(guard: &SessionGuard, refused: &SpliceRefused) {
    if !guard.services.splice_refused.swap(true, Ordering::Relaxed) {
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

/// Tells the other thread when this one ends, also by a panic.
pub(super) struct EndGuard {
    pub(super) session: Arc<PassthroughSession>,
    pub(super) direction: Direction,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.session.half_close.mark_ended(self.direction);
        if std::thread::panicking() {
            self.session.abort();
        }
    }
}
