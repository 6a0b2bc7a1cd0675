//! A miner's session: its two threads, from the accepted connection to the end.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::requests::{Flow, MinerRequests};
use crate::limits::{Abuse, Admission};
use crate::net::options::is_timeout;
use crate::net::sched::wake_first;
use crate::net::{Received, Stamp, Stream, StreamReader};
use crate::proxy::aggregate::{AggregateServices, ConnectedMiner};
use crate::proxy::{FirstBytes, IncomingConnection, LogTopic, OnTimeout, Watch, first_bytes, linger};
use crate::stratum::LineReader;
use crate::tap::{Conversation, Direction, TapEvent};
use crate::tap::{Tap, send_event};
use crate::util::os_error::describe;
use crate::util::thread::{SESSION_STACK, spawn};

const BUFFER: usize = 4 * 1024;

/// Starts a session for an accepted connection.
///
/// # Errors
/// When the system has no room for another thread; the connection is closed then.
pub(crate) fn start(services: &Arc<AggregateServices>, incoming: IncomingConnection) -> std::io::Result<()> {
    let id = services.next_session();
    let conversation = Arc::new(Conversation::with_miner(id, incoming.peer, Stamp::now()));
    let tap = Tap::new(services.to_analyzer.clone(), conversation.clone(), Direction::Down);
    let miner =
        Arc::new(ConnectedMiner::new(conversation, tap, services.vardiff.load_full(), services.limits));
    services.registry.add(miner.clone());
    let guard = MinerGuard { services: services.clone(), miner, admission: OnceLock::new() };
    spawn(format!("{id}-up"), SESSION_STACK, move || {
        wake_first();
        run(&guard, incoming);
    })?;
    Ok(())
}

/// A session's entry among the others. Dropping it ends the session.
struct MinerGuard {
    services: Arc<AggregateServices>,
    miner: Arc<ConnectedMiner>,
    admission: OnceLock<Admission>,
}

impl MinerGuard {
    /// Logs a line about the miner.
    fn log(&self, topic: LogTopic, text: &dyn Display) {
        self.services.listener_context.log_peer(self.miner.address(), topic, text);
    }
}

impl Drop for MinerGuard {
    fn drop(&mut self) {
        let MinerGuard { services, miner, .. } = &*self;
        miner.close();
        services.router.remove(miner);
        services.remember(miner);
        send_event(&services.to_analyzer, &miner.conversation, TapEvent::Closed);
        if miner.outbox.is_overrun() {
            let text = "closed: it does not read what it is sent";
            self.log(LogTopic::Idle, &text);
        }
        if miner.conversation.down.has_begun() {
            let lasted = miner.accepted_at.elapsed().as_secs();
            let text = format!("session {} ended after {lasted} s", miner.id());
            self.log(LogTopic::Ended, &text);
        }
        services.registry.remove(miner.id());
    }
}

fn run(guard: &MinerGuard, incoming: IncomingConnection) {
    let Some(stream) = receive(guard, incoming) else { return };
    let miner = guard.miner.clone();
    let (services, sending) = (guard.services.clone(), Arc::downgrade(&miner));
    miner.outbox.start_thread_by(move || {
        if let Some(miner) = sending.upgrade() {
            start_sending(&services, &miner);
        }
    });
    miner.outbox.open(stream.clone());
    if miner.is_leaving() {
        stream.stop_reading();
    }
    let mut session = AggregateSession {
        guard,
        reader: StreamReader::new(stream),
        buffer: vec![0; BUFFER],
        lines: LineReader::default(),
        tap: Tap::new(guard.services.to_analyzer.clone(), miner.conversation.clone(), Direction::Up),
        requests: MinerRequests::new(guard.services.clone(), miner.clone()),
        last_received: Instant::now(),
        free_at: Stamp::default(),
        timeout: None,
    };
    let ending = session.read();
    // The last replies are still to be sent.
    miner.finish();
    if ending == RequestsEnd::Polite {
        // The pool's answers are still to come, too: some miners close their sending half after the last
        // request.
        let services = &guard.services;
        miner.outbox.wait_over(services.config.analysis.share_timeout + services.limits.write_timeout);
    }
    linger(&mut session.reader);
}

/// Starts the thread that sends what the miner does not take at once.
fn start_sending(services: &AggregateServices, miner: &Arc<ConnectedMiner>) {
    let (sending, quiet) = (miner.clone(), services.limits.remind_after);
    let thread = spawn(format!("{}-down", miner.id()), SESSION_STACK, move || {
        wake_first();
        if let Err(error) = sending.outbox.run(quiet, |why| sending.wake(why)) {
            log::debug!("session {}: {error}", sending.id());
        }
        // The other thread sees the end.
        sending.outbox.stop_reading();
    });
    if let Err(error) = thread {
        let text = format!("closed: can't start a thread: {}", describe(&error));
        services.listener_context.log_peer(miner.address(), LogTopic::NoThread, &text);
        miner.outbox.close();
    }
}

fn receive(guard: &MinerGuard, incoming: IncomingConnection) -> Option<Arc<Stream>> {
    let (context, miner) = (&guard.services.listener_context, &guard.miner);
    let announce = |address| miner.conversation.set_announced_miner(address);
    incoming.receive(context, miner.accepted_at, announce, |admission| {
        let _ = guard.admission.set(admission);
    })
}

struct AggregateSession<'a> {
    guard: &'a MinerGuard,
    reader: StreamReader,
    buffer: Vec<u8>,
    lines: LineReader,
    tap: Tap,
    requests: MinerRequests,
    last_received: Instant,
    /// The time at which everything read before had been handled.
    free_at: Stamp,
    /// The socket's read timeout, as it was set last.
    timeout: Option<Option<Duration>>,
}

/// The end of a miner's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestsEnd {
    /// The miner still waits for its replies.
    Polite,
    /// The miner waits for nothing.
    Broken,
}

impl AggregateSession<'_> {
    fn read(&mut self) -> RequestsEnd {
        let Some(mut received) = self.first() else { return RequestsEnd::Broken };
        loop {
            match self.take(received) {
                Flow::Continue => {}
                Flow::Leave => return RequestsEnd::Polite,
                Flow::Ban => {
                    self.ban("closed: it sends little but bad shares or invalid requests", Abuse::BadShares);
                    return RequestsEnd::Broken;
                }
            }
            if self.lines.too_long > 0 {
                self.ban("closed: it sent a line longer than any miner's", Abuse::Garbage);
                return RequestsEnd::Broken;
            }
            received = loop {
                if self.set_timeout().is_err() {
                    return RequestsEnd::Broken;
                }
                match self.reader.recv(&mut self.buffer) {
                    Ok(received) if self.guard.miner.is_too_late(received.readable_at) => {
                        return RequestsEnd::Polite;
                    }
                    Ok(received) if received.length > 0 => break received,
                    Ok(_) => return RequestsEnd::Polite,
                    Err(error) if is_timeout(&error) => {
                        if self.on_timeout() == OnTimeout::End {
                            return RequestsEnd::Broken;
                        }
                    }
                    Err(_) => return RequestsEnd::Broken,
                }
            };
        }
    }

    fn first(&mut self) -> Option<Received> {
        let miner = self.address();
        let mut watch = FirstWordLimit { guard: self.guard };
        let buffer = &mut self.buffer;
        match first_bytes(&self.guard.services.listener_context, miner, &mut watch, &mut self.reader, buffer)
        {
            FirstBytes::Miner(received) => Some(received),
            FirstBytes::Finished | FirstBytes::Broken => None,
            FirstBytes::Refused => {
                self.guard.miner.close();
                None
            }
        }
    }

    fn take(&mut self, received: Received) -> Flow {
        self.last_received = Instant::now();
        let bytes = &self.buffer[..received.length];
        // A request that waited in the kernel behind earlier ones is handled after the replies to those.
        let at = received.readable_at.max(self.free_at);
        // Before it is answered: the analyzer needs the request first.
        self.tap.forwarded(bytes, at, Stamp::now());
        let requests = &mut self.requests;
        let mut then = Flow::Continue;
        requests.look_ahead(bytes);
        self.lines.read(bytes, |line| {
            if then == Flow::Continue {
                then = requests.take(line, at);
            }
        });
        self.free_at = Stamp::now();
        then
    }

    fn ban(&self, why: &str, abuse: Abuse) {
        let (listener_context, miner) = (&self.guard.services.listener_context, self.address());
        listener_context.log_peer(miner, LogTopic::Refused, &why);
        listener_context.report_abuse(miner, abuse);
    }

    /// Sets the read timeout, if it has changed. It is set once for a miner that sends all the time. The end
    /// of the stream wakes the thread when the session ends.
    fn set_timeout(&mut self) -> std::io::Result<()> {
        let timeout = self.read_timeout();
        if self.timeout != Some(timeout) {
            self.reader.stream().set_read_timeout(timeout)?;
            self.timeout = Some(timeout);
        }
        Ok(())
    }

    /// The time that the miner's next bytes may take.
    fn read_timeout(&mut self) -> Option<Duration> {
        let listen = &self.guard.services.config.listen;
        let idle = listen.idle_timeout;
        let opening = (!self.requests.is_authorized())
            .then(|| listen.handshake_timeout.saturating_sub(self.guard.miner.accepted_at.elapsed()));
        // Zero would mean "no timeout".
        [idle, opening].into_iter().flatten().min().map(|left| left.max(Duration::from_millis(1)))
    }

    fn on_timeout(&mut self) -> OnTimeout {
        let listen = &self.guard.services.config.listen;
        let is_authorized = self.requests.is_authorized();
        let quiet = match listen.idle_timeout {
            _ if !is_authorized && self.guard.miner.accepted_at.elapsed() >= listen.handshake_timeout => {
                "closed: it did not authorize within listen.handshake_timeout"
            }
            Some(limit) if self.last_received.elapsed() >= limit => {
                "closed: it sent nothing for the whole of listen.idle_timeout"
            }
            _ => return OnTimeout::Wait,
        };
        self.guard.log(LogTopic::Idle, &quiet);
        OnTimeout::End
    }

    fn address(&self) -> SocketAddr {
        self.guard.miner.address()
    }
}

/// Limits the time to the first bytes of a miner.
struct FirstWordLimit<'a> {
    guard: &'a MinerGuard,
}

impl Watch for FirstWordLimit<'_> {
    fn on_timeout(&mut self) -> OnTimeout {
        let miner = &self.guard.miner;
        if miner.accepted_at.elapsed() < self.guard.services.config.listen.handshake_timeout {
            return OnTimeout::Wait;
        }
        let text = "closed: it did not authorize within listen.handshake_timeout";
        self.guard.log(LogTopic::Idle, &text);
        OnTimeout::End
    }

    fn read_timeout(&mut self) -> Option<Duration> {
        let limit = self.guard.services.config.listen.handshake_timeout;
        let left = limit.saturating_sub(self.guard.miner.accepted_at.elapsed());
        Some(left.max(Duration::from_millis(1)))
    }
}
