//! From the pool down to the miner: the second of a session's two threads. It connects to a pool, and moves
//! on to the next one when the first accepts the connection and does not answer.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::half_close::DirectionEnd;
use super::handshake_scan::{JobFinder, ScanResult};
use super::miner_to_pool::{EndGuard, splice_refused};
use super::pump;
use super::session::SessionGuard;
use crate::config::ForwardPath;
use crate::net::options::{is_dead, is_timeout};
use crate::net::read_buffer::FIRST_SIZE_DOWN;
use crate::net::sched::wake_first;
use crate::net::stack::release_unused_stack;
use crate::net::{ReadBuffer, Received, Stamp, Stream, StreamReader};
use crate::proxy::{LogTopic, OnTimeout, Watch, linger};
use crate::tap::Tap;
use crate::tap::{Direction, SessionClock};
use crate::upstream::{OtherProtocol, PoolConnection, PoolFailure, UpstreamId};
use crate::util::format::seconds;
use crate::util::stop::Stopped;

/// A session that lasted this long was no mere connection attempt.
const MIN_WORKING_TIME: Duration = Duration::from_secs(5);
/// The pause before pools that failed this session are tried once more.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// The state of the downward thread.
pub(super) struct PoolToMiner {
    guard: Arc<SessionGuard>,
    buffer: ReadBuffer,
    tap: Tap,
    /// Looks for the first job where no analyzer does.
    jobs: Option<JobFinder>,
}

/// A pool that has sent its first bytes, or to which there is no alternative.
struct OpenedPool {
    connection: Arc<PoolConnection>,
    reader: StreamReader,
    first: FirstEvent,
}

/// The first thing that the pool did.
enum FirstEvent {
    Bytes(Received),
    Closed(DirectionEnd),
    Silent,
    /// Something else than a pool answered.
    OtherProtocol(OtherProtocol),
}

impl FirstEvent {
    /// The failure of a pool that has answered nothing, and will not.
    fn failure(&self) -> Option<PoolFailure> {
        match self {
            FirstEvent::Bytes(_) | FirstEvent::Silent => None,
            FirstEvent::Closed(_) => Some(PoolFailure::ClosedUnanswered),
            FirstEvent::OtherProtocol(protocol) => Some(PoolFailure::OtherProtocol(*protocol)),
        }
    }
}

/// Notes the first job. `true` when the scan can end.
fn note_job(found: ScanResult<()>, clock: &SessionClock) -> bool {
    if found != ScanResult::NotYet {
        // After too many other bytes it is not known, and the pool is not blamed.
        clock.job_came();
    }
    found != ScanResult::NotYet
}

/// Watches the pool. The read timeout is its whole `silence_timeout`.
#[derive(Default)]
struct PoolWatch {
    silent: bool,
    /// The kernel has given the connection up.
    dead: bool,
}

impl Watch for PoolWatch {
    fn on_timeout(&mut self) -> OnTimeout {
        self.silent = true;
        OnTimeout::End
    }

    fn on_error(&mut self, error: &io::Error) {
        self.dead = is_dead(error);
    }
}

impl PoolToMiner {
    pub(super) fn new(guard: Arc<SessionGuard>) -> PoolToMiner {
        let (services, conversation) = (&guard.services, &guard.session.conversation);
        let tap = Tap::new(services.to_analyzer.clone(), conversation.clone(), Direction::Down);
        let buffer = ReadBuffer::new(FIRST_SIZE_DOWN, services.config.forward.buffer);
        let jobs = services.to_analyzer.is_none().then(JobFinder::default);
        PoolToMiner { guard, buffer, tap, jobs }
    }

    /// The thread's body.
    pub(super) fn run(mut self) -> Result<(), Stopped> {
        let session = self.guard.session.clone();
        let _end_guard = EndGuard { session: session.clone(), direction: Direction::Down };
        wake_first();
        let Some(mut opened) = self.open() else {
            session.abort();
            return Ok(());
        };
        let Some(miner) = session.first_answer.wait_for_miner() else {
            return Ok(());
        };
        let end = self.forward(&mut opened, &miner);
        if end != DirectionEnd::DestinationBroken
            && !session.is_closing()
            && !session.half_close.is_ended(Direction::Up)
        {
            session.note_ended_by_pool();
        }
        // The pardon comes first: a miner may be back the moment it sees the end.
        self.pardon(end);
        if end != DirectionEnd::DestinationBroken {
            miner.finish();
        }
        // A session that is being ended is not half-closed: nothing more will come.
        let end = match end {
            DirectionEnd::Finished if session.is_closing() => DirectionEnd::SourceBroken,
            end => end,
        };
        let abort = || session.abort();
        session.half_close.end(Direction::Down, end, || session.progress(Direction::Up), abort);
        if end == DirectionEnd::DestinationBroken {
            linger(&mut opened.reader);
        }
        Ok(())
    }

    /// Finds a pool that answers. `None` if no pool does, or the miner has left.
    // Its frame must not stay on the stack while the thread forwards for days.
    #[inline(never)]
    fn open(&mut self) -> Option<OpenedPool> {
        let guard = self.guard.clone();
        let (services, session) = (&guard.services, &guard.session);
        let failover = &services.config.failover;
        let mut tried: Vec<UpstreamId> = Vec::new();
        let mut deadline = session.accepted_at + failover.connect_deadline;
        let mut extended = false;
        loop {
            let connection = match services.upstreams.connect(&tried, deadline) {
                Ok(connection) => Arc::new(connection),
                // All were tried once: start over with whichever comes back, while there is time.
                Err(_) if !tried.is_empty() && Instant::now() + RETRY_PAUSE < deadline => {
                    tried.clear();
                    if services.upstreams.stop().sleep(RETRY_PAUSE).is_ok() {
                        continue;
                    }
                    return None;
                }
                // The miner does not wait for a pool any more.
                Err(_) if services.upstreams.stop().is_stopped() || session.is_closing() => return None,
                Err(error) => {
                    guard.log(LogTopic::Pool, &format_args!("closed: {error}"));
                    return None;
                }
            };
            let mut opened = self.take(connection)?;
            while matches!(opened.first, FirstEvent::Silent) && session.first_answer.expects_answer() {
                // Make before break: the silent pool is kept until another one is connected.
                tried.push(opened.connection.upstream);
                self.suspect(opened.connection.upstream, PoolFailure::Silent(failover.answer_timeout));
                match services.upstreams.connect(&tried, Instant::now() + failover.connect_deadline) {
                    Ok(next) => opened = self.take(Arc::new(next))?,
                    Err(_) => {
                        session.first_answer.settle_on_connection();
                        opened.first = self.wait_for_first_answer(&mut opened.reader);
                    }
                }
            }
            let Some(failure) = opened.first.failure() else { return Some(opened) };
            let upstream = opened.connection.upstream;
            if self.may_try_another(&opened.connection, &tried) {
                tried.push(upstream);
                self.suspect(upstream, failure);
                // A pool that closes an old, idle connection gives the next one its time, once.
                if Instant::now() >= deadline && !extended {
                    extended = true;
                    deadline = Instant::now() + failover.connect_deadline;
                }
                continue;
            }
            if self.owed_answer() {
                // There is no other pool, and the miner is disconnected; a probe finds out what is wrong.
                self.suspect(upstream, failure);
            }
            return Some(opened);
        }
    }

    /// Replays the miner's bytes on the connection, and waits for its first answer.
    fn take(&mut self, connection: Arc<PoolConnection>) -> Option<OpenedPool> {
        let session = &self.guard.session;
        let mut reader = StreamReader::new(connection.stream.clone());
        session.conversation.set_upstream(connection.upstream.0);
        if !session.first_answer.offer(&connection) {
            if !session.first_answer.is_open() {
                return None;
            }
            return Some(OpenedPool {
                connection,
                reader,
                first: FirstEvent::Closed(DirectionEnd::SourceBroken),
            });
        }
        let first = self.wait_for_first_answer(&mut reader);
        Some(OpenedPool { connection, reader, first })
    }

    /// Waits for the pool's first bytes, for as long as it may owe them.
    fn wait_for_first_answer(&mut self, reader: &mut StreamReader) -> FirstEvent {
        loop {
            let (limit, requested_at) = self.answer_limit();
            let left = match requested_at {
                Some(requested_at) => limit.saturating_sub(requested_at.elapsed()),
                None => limit,
            };
            if left.is_zero() {
                return FirstEvent::Silent;
            }
            let read = match reader.stream().set_read_timeout(Some(left.max(Duration::from_millis(1)))) {
                Ok(()) => reader.recv(self.buffer.as_mut_slice()),
                Err(error) => Err(error),
            };
            match read {
                Ok(received) if received.length > 0 => {
                    let bytes = self.buffer.filled(received.length);
                    return match OtherProtocol::of(bytes) {
                        Some(protocol) => FirstEvent::OtherProtocol(protocol),
                        None => FirstEvent::Bytes(received),
                    };
                }
                Ok(_) => return FirstEvent::Closed(DirectionEnd::Finished),
                Err(error) if is_timeout(&error) && !self.guard.session.first_answer.is_over() => {}
                Err(_) => return FirstEvent::Closed(DirectionEnd::SourceBroken),
            }
        }
    }

    /// The time that a pool may be silent after a request, and when that request was sent.
    fn answer_limit(&self) -> (Duration, Option<Instant>) {
        let (services, first_answer) = (&self.guard.services, &self.guard.session.first_answer);
        let failover = &services.config.failover;
        let has_others = services.upstreams.listed_count() > 1 && first_answer.expects_answer();
        let limit = if has_others { failover.answer_timeout } else { failover.silence_timeout };
        (limit, first_answer.requested_at())
    }

    /// Whether a pool that closed without an answer may be left for another. One that the miner never sent a
    /// request, and that closed after a while, did nothing wrong.
    fn may_try_another(&self, connection: &PoolConnection, tried: &[UpstreamId]) -> bool {
        self.guard.services.upstreams.listed_count() > tried.len() + 1
            && !tried.contains(&connection.upstream)
            && self.owed_answer()
    }

    /// Whether a pool that closes without an answer is at fault.
    fn owed_answer(&self) -> bool {
        let (services, session) = (&self.guard.services, &self.guard.session);
        let was_asked = session.first_answer.requested_at().is_some();
        let at_once = session.accepted_at.elapsed() < services.config.failover.connect_deadline;
        session.first_answer.expects_answer() && (was_asked || at_once)
    }

    /// The pool gave this session no first answer. One session is no proof (its miner may have sent something
    /// that no pool answers): a probe decides.
    fn suspect(&self, upstream: UpstreamId, failure: PoolFailure) {
        self.guard.services.upstreams.suspect(upstream, failure);
    }

    /// The pool fell silent in mid-session. If other sessions still get bytes from it, a probe decides.
    fn fell_silent(&self, upstream: UpstreamId, silence: Duration) {
        let (services, failure) = (&self.guard.services, PoolFailure::Silent(silence));
        if services.registry.has_bytes_from(upstream, silence) {
            services.upstreams.suspect(upstream, failure);
        } else {
            services.upstreams.mark_failed(upstream, failure);
        }
    }

    fn forward(&mut self, opened: &mut OpenedPool, miner: &Stream) -> DirectionEnd {
        let failover = self.guard.services.config.failover.clone();
        match &opened.first {
            FirstEvent::Bytes(received) => {
                let bytes = self.buffer.filled(received.length);
                self.tap.about_to_send();
                if miner.send_all(bytes).is_err() {
                    return DirectionEnd::DestinationBroken;
                }
                self.tap.forwarded(bytes, received.readable_at, Stamp::now());
                let clock = &self.guard.session.conversation.clock;
                if self.jobs.as_mut().is_some_and(|jobs| note_job(jobs.scan(bytes), clock)) {
                    self.jobs = None;
                }
                self.guard.session.first_answer.settle_on_connection();
                self.log_began(&opened.connection);
            }
            FirstEvent::Closed(end) => {
                self.guard.session.first_answer.settle_on_connection();
                return *end;
            }
            FirstEvent::OtherProtocol(_) => return DirectionEnd::SourceBroken,
            FirstEvent::Silent => {
                self.fell_silent(opened.connection.upstream, failover.silence_timeout);
                return DirectionEnd::SourceBroken;
            }
        }
        // A failing setsockopt shows in the read as well.
        let _ = opened.connection.stream.set_read_timeout(Some(failover.silence_timeout));
        release_unused_stack();
        self.pump(opened, miner, failover.silence_timeout)
    }

    /// Pardons the miner of a session that the pool ended. A pool that restarts ends all of them, and their
    /// miners reconnect without having done anything wrong.
    fn pardon(&self, end: DirectionEnd) {
        let (services, session) = (&self.guard.services, &self.guard.session);
        let was_at_work = session.accepted_at.elapsed() >= MIN_WORKING_TIME;
        if end != DirectionEnd::DestinationBroken
            && was_at_work
            && !session.half_close.is_ended(Direction::Up)
        {
            services.listener_context.gatekeeper.pardon(session.conversation.miner().ip(), Instant::now());
        }
    }

    fn log_began(&self, connection: &PoolConnection) {
        let (services, conversation) = (&self.guard.services, &self.guard.session.conversation);
        let (id, upstream) = (conversation.id, connection.upstream);
        let name = services.upstreams.name(upstream);
        self.guard.log(LogTopic::Began, &format_args!("session {id} with pool {upstream} {name}"));
    }

    /// The time since the pool's last bytes, `most` at most.
    fn silent_for(&self, most: Duration) -> Duration {
        let session = &self.guard.session;
        let silence = session.conversation.down.silent_for();
        silence.unwrap_or_else(|| session.accepted_at.elapsed()).min(most)
    }

    fn pump(&mut self, opened: &mut OpenedPool, miner: &Stream, silence_timeout: Duration) -> DirectionEnd {
        let guard = self.guard.clone();
        let connection = opened.connection.clone();
        let mut watch = PoolWatch::default();
        let (forward, pipes) = (&guard.services.config.forward, &guard.services.pipes);
        let mut end = None;
        if let Some(jobs) = &mut self.jobs {
            let clock = &guard.session.conversation.clock;
            end = pump::copy_until(
                &mut opened.reader,
                miner,
                &mut self.buffer,
                &mut self.tap,
                &mut watch,
                |bytes| note_job(jobs.scan(bytes), clock),
            );
        }
        if end.is_none() && forward.path == ForwardPath::Splice {
            match pump::splice(&connection.stream, miner, forward.buffer, pipes, &mut self.tap, &mut watch) {
                Ok(ended) => end = Some(ended),
                Err(refused) => splice_refused(&guard, &refused),
            }
        }
        let end = end.unwrap_or_else(|| {
            pump::copy(&mut opened.reader, miner, &mut self.buffer, &mut self.tap, &mut watch)
        });
        if watch.silent || watch.dead {
            let silence = if watch.silent { silence_timeout } else { self.silent_for(silence_timeout) };
            match watch.silent {
                true => self.fell_silent(connection.upstream, silence),
                // It may be this connection's fault alone, such as a router's that was restarted.
                false => self.suspect(connection.upstream, PoolFailure::Silent(silence)),
            }
            let name = guard.services.upstreams.name(connection.upstream);
            let what = if watch.silent { "has sent nothing" } else { "is unreachable: no sign of life" };
            guard.log(
                LogTopic::Pool,
                &format_args!("closed: pool {} {name} {what} for {}", connection.upstream, seconds(silence)),
            );
        }
        end
    }
}
