//! Lines to one peer. A line is sent at once if the socket takes it. The rest waits in a bounded queue, which
//! the peer's own thread empties. A sender never waits, and a peer that takes nothing for too long is closed.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use socket2::SockRef;

use super::limits::Limits;
use crate::net::options::{is_dead, is_timeout};
use crate::net::{Stamp, Stream};
use crate::tap::Tap;
use crate::util::os_error::describe;
use crate::util::span::seconds;

/// Lines that belong together and are sent in one write.
#[derive(Debug, Clone)]
struct LineBatch {
    bytes: Arc<[u8]>,
    /// The time from which their delay counts: when the lines that caused them were readable.
    since: Stamp,
}

/// The queue of lines to one peer.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: Limits,
    stream: OnceLock<Arc<Stream>>,
    state: Mutex<OutboxState>,
    changed: Condvar,
    /// More than half of the queue is in use, or was a moment ago. Read without the lock.
    is_crowded: AtomicBool,
}

#[derive(Debug)]
struct OutboxState {
    queue: VecDeque<LineBatch>,
    queued: usize,
    /// The bytes of the first batch in the queue that have been sent.
    sent: usize,
    /// The peer's thread is writing without the lock.
    is_writing: bool,
    /// Nothing more is taken; what waits is still sent.
    is_finishing: bool,
    is_closed: bool,
    /// The peer was closed because it did not take what was sent.
    is_overrun: bool,
    /// The reason that nothing more could be sent to the peer.
    failure: Option<String>,
    /// The peer's thread has nothing more to do.
    is_over: bool,
    last_sent: Instant,
    /// When the peer's thread has to do something else.
    wake_at: Option<Instant>,
    tap: Tap,
}

/// The reason that the thread of an outbox was woken, beside sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// Nothing was sent for the time given to [`Outbox::run`].
    Quiet,
    /// The time of [`Outbox::wake_at`].
    Due,
}

/// The next step of the thread of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterWake {
    Write,
    Wake(WakeReason),
    /// Everything was sent: the sending direction is closed.
    Finish,
    Over,
}

impl Outbox {
    /// An outbox without a stream. Copies of what was sent go to `tap`.
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

    /// Sets the peer's stream.
    pub(crate) fn open(&self, stream: Arc<Stream>) {
        // A peer that takes nothing must not keep its thread for ever; a socket that refuses the limit
        // fails in the write as well.
        let _ = stream.set_write_timeout(Some(self.limits.write_timeout));
        let _ = self.stream.set(stream);
        let state = self.state.lock();
        if state.is_closed {
            self.abort();
        }
        self.changed.notify_all();
    }

    /// Sends, now or as soon as the peer takes it. `false` when the peer is being closed. `since`: the time
    /// from which the delay counts.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>, since: Stamp) -> bool {
        let bytes = bytes.as_ref();
        self.send_or_queue(bytes, || bytes.into(), since)
    }

    /// Sends lines that several peers get, as [`Outbox::send`] does: what a peer does not take at once waits
    /// without being copied.
    pub(crate) fn send_shared(&self, lines: &Arc<str>, since: Stamp) -> bool {
        self.send_or_queue(lines.as_bytes(), || lines.clone().into(), since)
    }

    fn send_or_queue(&self, bytes: &[u8], kept: impl FnOnce() -> Arc<[u8]>, since: Stamp) -> bool {
        let mut state = self.state.lock();
        if state.is_closed || state.is_finishing {
            return false;
        }
        if let (true, Some(stream)) = (state.queue.is_empty() && !state.is_writing, self.stream.get()) {
            match send_now(stream, bytes) {
                Ok(sent) if sent == bytes.len() => {
                    state.note_sent(bytes, since);
                    return true;
                }
                Ok(sent) => state.sent = sent,
                Err(error) => {
                    state.failure = Some(self.describe_failure(&error));
                    self.close_with(state);
                    return false;
                }
            }
        }
        state.queued += bytes.len();
        state.queue.push_back(LineBatch { bytes: kept(), since });
        if state.queued > self.limits.max_queued_bytes || state.queue.len() > self.limits.max_queued_lines() {
            state.is_overrun = true;
            state.failure = Some(String::from("it does not read what it is sent: too much is queued for it"));
            self.close_with(state);
            return false;
        }
        if self.is_half_full(&state) {
            self.is_crowded.store(true, Ordering::Release);
        }
        self.changed.notify_all();
        true
    }

    /// Runs the peer's thread: sends what waits, until the end. Calls `wake` after `quiet` without a byte to
    /// the peer, and at the time of [`Outbox::wake_at`].
    ///
    /// # Errors
    /// The socket's: the peer is gone, or took nothing for too long.
    pub(crate) fn run(&self, quiet: Duration, wake: impl Fn(WakeReason)) -> io::Result<()> {
        let _over = OutboxEndGuard(self);
        self.send_all(quiet, wake)
    }

    /// Waits until half of the queue is free again. The thread that makes the peer's replies calls this: a
    /// peer that sends requests faster than it reads is slowed down, and is not closed for its own replies.
    /// The end of the peer, which is [`Limits::write_timeout`] away at most, ends this too. `true` when it took time.
    pub(crate) fn wait_for_room(&self) -> bool {
        if !self.is_crowded.load(Ordering::Acquire) {
            return false;
        }
        let is_full = |state: &OutboxState| !state.is_closed && !state.is_over && self.is_half_full(state);
        let mut state = self.state.lock();
        let has_to_wait = is_full(&state);
        while is_full(&state) {
            self.changed.wait(&mut state);
        }
        self.is_crowded.store(false, Ordering::Release);
        has_to_wait
    }

    fn is_half_full(&self, state: &OutboxState) -> bool {
        state.queue.len() > self.limits.max_queued_lines() / 2
            || state.queued > self.limits.max_queued_bytes / 2
    }

    /// Wakes the peer's thread at this time, if it is still there; the earliest time counts.
    pub(crate) fn wake_at(&self, at: Instant) {
        let mut state = self.state.lock();
        state.wake_at = Some(state.wake_at.map_or(at, |earlier| earlier.min(at)));
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until everything was sent, `time` at most.
    pub(crate) fn wait_over(&self, time: Duration) {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| !state.is_over && !state.is_closed, time);
    }

    fn send_all(&self, quiet: Duration, wake: impl Fn(WakeReason)) -> io::Result<()> {
        loop {
            let (next, state) = self.wait(quiet);
            match next {
                AfterWake::Over => return Ok(()),
                AfterWake::Finish => {
                    // Not under the lock: TLS ends with a record, which waits for a peer that does not read,
                    // and a thread that broadcasts a job takes this lock.
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
        self.state.lock().is_overrun
    }

    /// The reason that this end closed the connection, if it did because nothing more could be sent.
    pub(crate) fn failure(&self) -> Option<String> {
        self.state.lock().failure.clone()
    }

    fn describe_failure(&self, error: &io::Error) -> String {
        if is_timeout(error) {
            return format!("it has taken nothing that was sent for {}", seconds(self.limits.write_timeout));
        }
        if is_dead(error) {
            return String::from("it is unreachable: what was sent is not acknowledged");
        }
        describe(error)
    }

    /// Takes nothing more. What waits is still sent, and then the sending direction is closed.
    pub(crate) fn finish(&self) {
        self.state.lock().is_finishing = true;
        self.changed.notify_all();
    }

    /// Ends the reading of the peer: its reader gets what has arrived, and then the end.
    pub(crate) fn stop_reading(&self) {
        if let Some(stream) = self.stream.get() {
            stream.stop_reading();
        }
    }

    /// Closes the connection at once.
    pub(crate) fn close(&self) {
        self.close_with(self.state.lock());
    }

    fn wait(&self, quiet: Duration) -> (AfterWake, MutexGuard<'_, OutboxState>) {
        let mut state = self.state.lock();
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
                // Whether or not there is anything to send, the next time is a whole pause later.
                state.last_sent = Instant::now();
                return (AfterWake::Wake(WakeReason::Quiet), state);
            }
            let left = state.wake_at.map_or(left, |at| left.min(at.saturating_duration_since(now)));
            self.changed.wait_for(&mut state, left);
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
        let mut state = self.state.lock();
        state.is_writing = false;
        match result {
            Ok(()) => {
                state.queue.pop_front();
                state.queued = state.queued.saturating_sub(lines.bytes.len());
                state.sent = 0;
                state.note_sent(&lines.bytes, lines.since);
                drop(state);
                self.changed.notify_all();
                Ok(())
            }
            Err(error) => {
                state.is_overrun = is_timeout(&error);
                state.failure = Some(self.describe_failure(&error));
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
}

impl OutboxState {
    fn note_sent(&mut self, bytes: &[u8], since: Stamp) {
        self.last_sent = Instant::now();
        self.tap.forwarded(bytes, since, Stamp::now());
    }
}

/// Ends the waiting for the peer's thread, also when it panics.
struct OutboxEndGuard<'a>(&'a Outbox);

impl Drop for OutboxEndGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
        self.0.state.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

/// Sends as much as the socket takes at this moment. TLS may have to wait in the middle of a record, so the
/// thread sends that.
fn send_now(stream: &Stream, bytes: &[u8]) -> io::Result<usize> {
    let Some(socket) = stream.plain() else { return Ok(0) };
    match SockRef::from(socket).send_with_flags(bytes, libc_flags()) {
        Ok(sent) => Ok(sent),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) => Err(error),
    }
}

/// Without waiting, and without a signal when the peer is gone.
fn libc_flags() -> i32 {
    use nix::sys::socket::MsgFlags;
    (MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).bits()
}

#[cfg(test)]
mod tests;
