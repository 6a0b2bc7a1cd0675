//! What is to be sent to one peer. A line goes out at once where the socket takes it; what it does
//! not take waits in a bounded queue, which the peer's own thread empties. Whoever sends is never
//! kept waiting, and a peer that takes nothing for too long is closed.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::limits::Limits;
use crate::net::options::{is_dead, is_timeout};
use crate::net::{Stamp, Stream};
use crate::tap::Tap;
use crate::util::os_error::describe;
use crate::util::span::seconds;

/// Lines that belong together and go out in one write.
#[derive(Debug, Clone)]
struct LineBatch {
    bytes: Arc<[u8]>,
    /// Since when they could have been sent: when that which they follow from was readable.
    since: Stamp,
}

/// The way to one peer.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: Limits,
    stream: OnceLock<Arc<Stream>>,
    state: Mutex<OutboxState>,
    changed: Condvar,
    /// More than half of the queue is in use, or was a moment ago; read without the lock.
    is_crowded: AtomicBool,
}

#[derive(Debug)]
struct OutboxState {
    queue: VecDeque<LineBatch>,
    queued: usize,
    /// Of the first of the queue, so many bytes have left.
    sent: usize,
    /// The peer's thread is writing without the lock.
    is_writing: bool,
    /// Nothing is taken any more; what waits is still sent.
    is_finishing: bool,
    is_closed: bool,
    /// It was closed because it did not take what was sent.
    is_overrun: bool,
    /// Why nothing more could be sent to the peer.
    failure: Option<String>,
    /// The peer's thread has nothing more to do.
    is_over: bool,
    last_sent: Instant,
    /// When the peer's thread has to do something else.
    wake_at: Option<Instant>,
    tap: Tap,
}

/// What the thread of an outbox was woken for, beside sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// Nothing was sent for so long.
    Quiet,
    /// The time of [`Outbox::wake_at`].
    Due,
}

/// Why the thread of an outbox woke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterWake {
    Write,
    Wake(WakeReason),
    /// Everything was sent: the peer is to be told that it was the end.
    Finish,
    Over,
}

impl Outbox {
    /// Copies of what has left go to `tap`.
    pub(crate) fn new(tap: Tap, limits: Limits) -> Outbox {
        Outbox {
            limits,
            stream: OnceLock::new(),
            state: Mutex::new(OutboxState {
                queue: VecDeque::new(),
                queued: 0,
                sent: 0,
                is_writing: false,
                is_finishing: false,
                is_closed: false,
                is_overrun: false,
                failure: None,
                is_over: false,
                last_sent: Instant::now(),
                wake_at: None,
                tap,
            }),
            changed: Condvar::new(),
            is_crowded: AtomicBool::new(false),
        }
    }

    /// There is somebody to send to.
    pub(crate) fn open(&self, stream: Arc<Stream>) {
        // A peer that takes nothing must not keep its thread for ever; a socket that refuses the limit
        // fails in the write as well.
        let _ = stream.set_write_timeout(Some(self.limits.write));
        let _ = self.stream.set(stream);
        let state = self.lock();
        if state.is_closed {
            self.abort();
        }
        self.changed.notify_all();
    }

    /// Sends, now or as soon as the peer takes it. `false` when the peer is not worth it any more. `since`: when
    /// that which this follows from was readable.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>, since: Stamp) -> bool {
        let bytes = bytes.as_ref();
        self.send_or_queue(bytes, || bytes.into(), since)
    }

    /// As [`Outbox::send`], for lines that several peers get: what a peer does not take at once waits without
    /// being copied.
    pub(crate) fn send_shared(&self, lines: &Arc<str>, since: Stamp) -> bool {
        self.send_or_queue(lines.as_bytes(), || lines.clone().into(), since)
    }

    fn send_or_queue(&self, bytes: &[u8], kept: impl FnOnce() -> Arc<[u8]>, since: Stamp) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.is_finishing {
            return false;
        }
        if let (true, Some(stream)) = (state.queue.is_empty() && !state.is_writing, self.stream.get()) {
            match send_now(stream, bytes) {
                Ok(sent) if sent == bytes.len() => {
                    state.left(bytes, since);
                    return true;
                }
                Ok(sent) => state.sent = sent,
                Err(error) => {
                    state.failure = Some(self.why(&error));
                    self.close_with(state);
                    return false;
                }
            }
        }
        state.queued += bytes.len();
        state.queue.push_back(LineBatch { bytes: kept(), since });
        if state.queued > self.limits.most_queued || state.queue.len() > self.limits.most_lines() {
            state.is_overrun = true;
            state.failure = Some(String::from("it does not read what it is sent, too much waits for it"));
            self.close_with(state);
            return false;
        }
        if self.is_half_full(&state) {
            self.is_crowded.store(true, Ordering::Release);
        }
        self.changed.notify_all();
        true
    }

    /// The body of the peer's thread: sends what waits, until the end. After `quiet` without a byte to
    /// the peer, and when it is due, it calls `wake`.
    ///
    /// # Errors
    /// The socket's: the peer is gone, or took nothing for too long.
    pub(crate) fn run(&self, quiet: Duration, wake: impl Fn(WakeReason)) -> io::Result<()> {
        let _over = OutboxEndGuard(self);
        self.send_all(quiet, wake)
    }

    /// Waits until half of the queue is free again, for whoever makes the peer's answers: then a peer
    /// that asks faster than it reads is asked to wait, and is not closed for its own answers. The end
    /// of the peer ends this too, which is [`Limits::write`] away at most. `true` when it took time.
    pub(crate) fn wait_for_room(&self) -> bool {
        if !self.is_crowded.load(Ordering::Acquire) {
            return false;
        }
        let is_full = |state: &OutboxState| !state.is_closed && !state.is_over && self.is_half_full(state);
        let mut state = self.lock();
        let has_to_wait = is_full(&state);
        while is_full(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.is_crowded.store(false, Ordering::Release);
        has_to_wait
    }

    fn is_half_full(&self, state: &OutboxState) -> bool {
        state.queue.len() > self.limits.most_lines() / 2 || state.queued > self.limits.most_queued / 2
    }

    /// Wakes the peer's thread at this time, if it is still there; the earliest time counts.
    pub(crate) fn wake_at(&self, at: Instant) {
        let mut state = self.lock();
        state.wake_at = Some(state.wake_at.map_or(at, |earlier| earlier.min(at)));
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until all was sent that ever will be, `time` at most.
    pub(crate) fn wait_over(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut state = self.lock();
        while !state.is_over && !state.is_closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn send_all(&self, quiet: Duration, wake: impl Fn(WakeReason)) -> io::Result<()> {
        loop {
            let (next, state) = self.wait(quiet);
            match next {
                AfterWake::Over => return Ok(()),
                AfterWake::Finish => {
                    // Not under the lock: TLS says goodbye in a record, which waits for a peer that does not
                    // read, and whoever has a job for everybody takes this lock.
                    drop(state);
                    if let Some(stream) = self.stream.get() {
                        stream.finish();
                    }
                    return Ok(());
                }
                AfterWake::Wake(why) => {
                    drop(state);
                    wake(why);
                }
                AfterWake::Write => self.write_first(state)?,
            }
        }
    }

    /// Whether the peer was closed because it does not read.
    pub(crate) fn is_overrun(&self) -> bool {
        self.lock().is_overrun
    }

    /// Why this end closed the connection, if it did because nothing more could be sent.
    pub(crate) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    fn why(&self, error: &io::Error) -> String {
        if is_timeout(error) {
            return format!("it has taken nothing that was sent for {}", seconds(self.limits.write));
        }
        if is_dead(error) {
            return String::from("it is unreachable: what was sent is not acknowledged");
        }
        describe(error)
    }

    /// Takes nothing more; what waits is still sent, and then the peer is told that it was the end.
    pub(crate) fn finish(&self) {
        self.lock().is_finishing = true;
        self.changed.notify_all();
    }

    /// The peer's reader gets what has arrived, and then the end.
    pub(crate) fn stop_reading(&self) {
        if let Some(stream) = self.stream.get() {
            stream.stop_reading();
        }
    }

    /// Ends at once.
    pub(crate) fn close(&self) {
        self.close_with(self.lock());
    }

    fn wait(&self, quiet: Duration) -> (AfterWake, MutexGuard<'_, OutboxState>) {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return (AfterWake::Over, state);
            }
            let now = Instant::now();
            if state.wake_at.is_some_and(|at| at <= now) {
                state.wake_at = None;
                return (AfterWake::Wake(WakeReason::Due), state);
            }
            if !state.queue.is_empty() && self.stream.get().is_some() {
                return (AfterWake::Write, state);
            }
            if state.is_finishing {
                return (AfterWake::Finish, state);
            }
            let left = quiet.saturating_sub(state.last_sent.elapsed());
            if left.is_zero() {
                // Whether or not there is anything to remind of, the next time is a whole pause later.
                state.last_sent = Instant::now();
                return (AfterWake::Wake(WakeReason::Quiet), state);
            }
            let left = state.wake_at.map_or(left, |at| left.min(at.saturating_duration_since(now)));
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn write_first(&self, mut state: MutexGuard<'_, OutboxState>) -> io::Result<()> {
        let (Some(lines), Some(stream)) = (state.queue.front().cloned(), self.stream.get()) else {
            return Ok(());
        };
        let sent = state.sent;
        state.is_writing = true;
        drop(state);
        let result = stream.send_all(&lines.bytes[sent..]);
        let mut state = self.lock();
        state.is_writing = false;
        match result {
            Ok(()) => {
                state.queue.pop_front();
                state.queued = state.queued.saturating_sub(lines.bytes.len());
                state.sent = 0;
                state.left(&lines.bytes, lines.since);
                drop(state);
                self.changed.notify_all();
                Ok(())
            }
            Err(error) => {
                state.is_overrun = is_timeout(&error);
                state.failure = Some(self.why(&error));
                self.close_with(state);
                Err(error)
            }
        }
    }

    fn close_with(&self, mut state: MutexGuard<'_, OutboxState>) {
        state.is_closed = true;
        state.queue = VecDeque::new();
        state.queued = 0;
        drop(state);
        self.abort();
        self.changed.notify_all();
    }

    fn abort(&self) {
        if let Some(stream) = self.stream.get() {
            stream.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, OutboxState> {
        // What is queued is whole lines, also after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutboxState {
    fn left(&mut self, bytes: &[u8], since: Stamp) {
        self.last_sent = Instant::now();
        self.tap.forwarded(bytes, since, Stamp::now());
    }
}

/// However the peer's thread ends, also by a panic: nobody waits for it any longer.
struct OutboxEndGuard<'a>(&'a Outbox);

impl Drop for OutboxEndGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

/// As much as the socket takes at this moment. TLS may have to wait in the middle of a record: that is
/// the thread's business.
fn send_now(stream: &Stream, bytes: &[u8]) -> io::Result<usize> {
    let Some(socket) = stream.plain() else { return Ok(0) };
    match SockRef::from(socket).send_with_flags(bytes, libc_flags()) {
        Ok(sent) => Ok(sent),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) => Err(error),
    }
}

/// Don't wait, and no signal when the peer is gone.
fn libc_flags() -> i32 {
    use nix::sys::socket::MsgFlags;
    (MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).bits()
}

#[cfg(test)]
mod tests {
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
    fn who_makes_answers_waits_for_a_peer_that_does_not_read_them() {
        let limits = Limits { most_queued: 64 * 1024, ..Limits::default() };
        let (outbox, mut far) = plain(limits);
        let outbox = Arc::new(outbox);
        outbox.wait_for_room();
        // The kernel takes some megabytes before anything waits here.
        while outbox.lock().queued <= limits.most_queued / 2 {
            assert!(outbox.send(vec![b'x'; 8 * 1024], Stamp::now()));
        }
        let (told, waited) = mpsc::channel();
        let waiting = outbox.clone();
        let waiter = std::thread::spawn(move || {
            waiting.wait_for_room();
            let _ = told.send(waiting.lock().queued);
        });
        assert!(waited.recv_timeout(Duration::from_millis(50)).is_err(), "there is no room");
        let sending = outbox.clone();
        let sender = std::thread::spawn(move || sending.run(Duration::from_secs(60), |_| ()));
        let reader =
            std::thread::spawn(move || while far.read(&mut [0; 65_536]).is_ok_and(|read| read > 0) {});
        let left = waited.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(left <= limits.most_queued / 2, "{left}");
        outbox.close();
        waiter.join().unwrap();
        reader.join().unwrap();
        let _ = sender.join().unwrap();
    }

    /// Sends more than the peer will ever read, and says why that ended.
    fn overfed(limits: Limits, prepare: impl FnOnce(&TcpStream)) -> String {
        let (outbox, _far) = plain(limits);
        prepare(outbox.stream.get().unwrap().socket());
        let outbox = Arc::new(outbox);
        let running = outbox.clone();
        let thread = std::thread::spawn(move || running.run(Duration::from_secs(60), |_| ()));
        // The kernel takes some megabytes before anything waits here.
        while outbox.lock().queue.is_empty() && outbox.send(vec![b'x'; 65_536], Stamp::now()) {}
        assert!(thread.join().unwrap().is_err());
        outbox.failure().unwrap()
    }

    #[test]
    fn who_ended_a_connection_and_why_is_known() {
        let short = Limits { write: Duration::from_millis(50), ..Limits::default() };
        assert_eq!(overfed(short, |_| ()), "it has taken nothing that was sent for 0.1 s");
        let said = overfed(Limits::default(), |socket| {
            SockRef::from(socket).set_tcp_user_timeout(Some(Duration::from_millis(50))).unwrap();
        });
        assert!(said.starts_with("it is unreachable"), "{said}");
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
        let client =
            rustls::ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
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
    fn nobody_waits_while_a_peer_that_does_not_read_is_told_of_the_end() {
        let limits = Limits { write: Duration::from_millis(500), ..Limits::default() };
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
            if began.elapsed() >= limits.write / 2 {
                assert!(longest < limits.write / 2, "somebody had to wait for {longest:?}");
                return;
            }
        }
        panic!("the goodbye always found room");
    }
}
