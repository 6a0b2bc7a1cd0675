//! A miner's session: its two threads, from its arrival to its end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ConnectedMiner;
use super::requests::{Flow, MinerRequests};
use crate::limits::{Abuse, Admission};
use crate::net::options::is_timeout;
use crate::net::{Received, Stamp, Stream, StreamReader};
use crate::proxy::aggregate::AggregateServices;
use crate::proxy::{
    FirstBytes, IncomingConnection, LogTopic, OnTimeout, Patient, Watch, first_bytes, linger, say,
};
use crate::stratum::LineReader;
use crate::tap::{Conversation, Direction, TapEvent};
use crate::tap::{Tap, send_event};
use crate::util::os_error::describe;
use crate::util::stop::Stopped;
use crate::util::thread::{SESSION_STACK, spawn};

const BUFFER: usize = 8 * 1024;

/// Starts a session.
///
/// # Errors
/// When the system has no room for another thread; the connection is closed then.
pub(crate) fn start(services: &Arc<AggregateServices>, visitor: IncomingConnection) -> std::io::Result<()> {
    let id = services.next_session();
    let conversation = Arc::new(Conversation::with_miner(id, visitor.peer(), Stamp::now()));
    let tap = Tap::new(services.to_analyzer.clone(), conversation.clone(), Direction::Down);
    let miner =
        Arc::new(ConnectedMiner::new(conversation, tap, services.vardiff.load_full(), services.limits));
    services.registry.add(miner.clone());
    send_event(&services.to_analyzer, &miner.conversation, TapEvent::Opened);
    let presence = MinerGuard { services: services.clone(), miner, admission: Mutex::new(None) };
    spawn(format!("{id}-up"), SESSION_STACK, move || {
        run(&presence, visitor);
        Ok::<(), Stopped>(())
    })?;
    Ok(())
}

/// A session's place among the others. Dropping it ends the session.
struct MinerGuard {
    services: Arc<AggregateServices>,
    miner: Arc<ConnectedMiner>,
    admission: Mutex<Option<Admission>>,
}

impl Drop for MinerGuard {
    fn drop(&mut self) {
        let MinerGuard { services, miner, .. } = self;
        miner.close();
        services.hub.part(miner);
        services.remember(miner);
        send_event(&services.to_analyzer, &miner.conversation, TapEvent::Closed);
        if miner.outbox.is_overrun() {
            let text = "closed: it does not read what it is sent";
            say(&services.reception, miner.address(), LogTopic::Quiet, &text);
        }
        if miner.conversation.down.has_begun() {
            let lasted = miner.accepted_at.elapsed().as_secs();
            let text = format!("session {} ended after {lasted} s", miner.id());
            say(&services.reception, miner.address(), LogTopic::Ended, &text);
        }
        services.registry.remove(miner.id());
    }
}

fn run(presence: &MinerGuard, visitor: IncomingConnection) {
    let Some(stream) = arrive(presence, visitor) else { return };
    let miner = presence.miner.clone();
    miner.outbox.open(stream.clone());
    if miner.is_leaving() {
        stream.stop_reading();
    }
    let (sending, woken) = (miner.clone(), stream.clone());
    let quiet = presence.services.limits.remind_after;
    let thread = spawn(format!("{}-down", miner.id()), SESSION_STACK, move || {
        if let Err(error) = sending.outbox.run(quiet, |why| sending.wake(why)) {
            log::debug!("session {}: {error}", sending.id());
        }
        // The other thread learns that it is over.
        woken.stop_reading();
        Ok::<(), Stopped>(())
    });
    if let Err(error) = thread {
        let text = format!("can't start a session: {}", describe(&error));
        say(&presence.services.reception, miner.address(), LogTopic::NoThread, &text);
        return;
    }
    let mut session = AggregateSession {
        presence,
        reader: StreamReader::new(stream),
        buffer: vec![0; BUFFER],
        lines: LineReader::default(),
        tap: Tap::new(presence.services.to_analyzer.clone(), miner.conversation.clone(), Direction::Up),
        requests: MinerRequests::new(presence.services.clone(), miner.clone()),
        heard: Instant::now(),
        free_at: Stamp::default(),
        timeout: None,
    };
    let ending = session.read();
    // What it was answered last is still to reach it.
    miner.finish();
    if ending == RequestsEnd::Polite {
        // Also what the pool has yet to say: some close their sending half after the last request.
        let services = &presence.services;
        miner.outbox.wait_over(services.config.analysis.share_timeout + services.limits.write);
    }
    linger(&mut session.reader);
}

fn arrive(presence: &MinerGuard, mut visitor: IncomingConnection) -> Option<Arc<Stream>> {
    let (reception, miner) = (&presence.services.reception, &presence.miner);
    let deadline = reception.arrival_deadline(miner.accepted_at);
    miner.conversation.set_announced_miner(visitor.introduce(reception, deadline)?);
    let admission = visitor.admit(reception)?;
    *presence.admission.lock().unwrap_or_else(PoisonError::into_inner) = Some(admission);
    Some(Arc::new(visitor.establish(reception, deadline)?))
}

struct AggregateSession<'a> {
    presence: &'a MinerGuard,
    reader: StreamReader,
    buffer: Vec<u8>,
    lines: LineReader,
    tap: Tap,
    requests: MinerRequests,
    heard: Instant,
    /// When what was read before was done with.
    free_at: Stamp,
    /// The socket's, as it was set last.
    timeout: Option<Option<Duration>>,
}

/// How a miner's requests ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestsEnd {
    /// It is still owed what it asked for.
    Polite,
    /// Nobody waits for anything.
    Broken,
}

impl AggregateSession<'_> {
    fn read(&mut self) -> RequestsEnd {
        let Some(mut received) = self.first() else { return RequestsEnd::Broken };
        loop {
            match self.take(received) {
                Flow::GoOn => {}
                Flow::Leave => return RequestsEnd::Polite,
                Flow::Ban => {
                    self.ban("closed: little else than bad shares or nonsense", Abuse::BadShares);
                    return RequestsEnd::Broken;
                }
            }
            if self.lines.too_long > 0 {
                self.ban("closed: a line longer than any miner's", Abuse::Garbage);
                return RequestsEnd::Broken;
            }
            received = loop {
                if self.set_timeout().is_err() {
                    return RequestsEnd::Broken;
                }
                match self.reader.recv(&mut self.buffer) {
                    Ok(received) if self.presence.miner.is_too_late(received.readable_at) => {
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
        let mut watch = FirstWordLimit { presence: self.presence };
        let buffer = &mut self.buffer;
        match first_bytes(&self.presence.services.reception, miner, &mut watch, &mut self.reader, buffer) {
            FirstBytes::Miner(received) => Some(received),
            FirstBytes::Finished | FirstBytes::Broken => None,
            FirstBytes::Refused => {
                self.presence.miner.close();
                None
            }
        }
    }

    fn take(&mut self, received: Received) -> Flow {
        self.heard = Instant::now();
        let bytes = &self.buffer[..received.length];
        // What waited in the kernel behind earlier requests comes after the answers to those.
        let at = received.readable_at.max(self.free_at);
        // Before it is answered: the analyzer wants the question first.
        self.tap.forwarded(bytes, at, Stamp::now());
        let requests = &mut self.requests;
        let mut then = Flow::GoOn;
        requests.foresee(bytes);
        self.lines.read(bytes, |line| {
            if then == Flow::GoOn {
                then = requests.take(line, at);
            }
        });
        self.free_at = Stamp::now();
        then
    }

    fn ban(&self, why: &str, abuse: Abuse) {
        let (reception, miner) = (&self.presence.services.reception, self.address());
        say(reception, miner, LogTopic::Refused, &why);
        reception.report_abuse(miner, abuse);
    }

    /// Once for a miner that is heard from all the time: the limit is the same after each of its words. Who
    /// ends the session wakes the thread by the end of the stream.
    fn set_timeout(&mut self) -> std::io::Result<()> {
        let timeout = self.time_to_wait();
        if self.timeout != Some(timeout) {
            self.reader.stream().set_read_timeout(timeout)?;
            self.timeout = Some(timeout);
        }
        Ok(())
    }

    /// How long the miner's next bytes may take.
    fn time_to_wait(&mut self) -> Option<Duration> {
        let listen = &self.presence.services.config.listen;
        let idle = listen.idle_timeout;
        let opening = (!self.requests.is_authorized())
            .then(|| listen.handshake_timeout.saturating_sub(self.presence.miner.accepted_at.elapsed()));
        // Zero would mean "for ever".
        [idle, opening].into_iter().flatten().min().map(|left| left.max(Duration::from_millis(1)))
    }

    fn on_timeout(&mut self) -> OnTimeout {
        let listen = &self.presence.services.config.listen;
        let is_authorized = self.requests.is_authorized();
        let quiet = match listen.idle_timeout {
            _ if !is_authorized && self.presence.miner.accepted_at.elapsed() >= listen.handshake_timeout => {
                "closed: it did not authorize within listen.handshake_timeout"
            }
            Some(limit) if self.heard.elapsed() >= limit => {
                "closed: it sent nothing for the whole of listen.idle_timeout"
            }
            _ => return OnTimeout::Wait,
        };
        say(&self.presence.services.reception, self.address(), LogTopic::Quiet, &quiet);
        OnTimeout::End
    }

    fn address(&self) -> SocketAddr {
        self.presence.miner.address()
    }
}

/// How long a miner may take to say its first word.
struct FirstWordLimit<'a> {
    presence: &'a MinerGuard,
}

impl Watch for FirstWordLimit<'_> {
    fn on_timeout(&mut self) -> OnTimeout {
        let miner = &self.presence.miner;
        if miner.accepted_at.elapsed() < self.presence.services.config.listen.handshake_timeout {
            return OnTimeout::Wait;
        }
        let text = "closed: it did not authorize within listen.handshake_timeout";
        say(&self.presence.services.reception, miner.address(), LogTopic::Quiet, &text);
        OnTimeout::End
    }
}

impl Patient for FirstWordLimit<'_> {
    fn time_to_wait(&mut self) -> Option<Duration> {
        let limit = self.presence.services.config.listen.handshake_timeout;
        let left = limit.saturating_sub(self.presence.miner.accepted_at.elapsed());
        Some(left.max(Duration::from_millis(1)))
    }
}
