//! Lines to one peer. A line is sent at once if the socket takes it. The rest waits in a bounded queue, which
//! the peer's own thread empties. A sender never waits, and a peer that takes nothing for too long is closed.
//!
//! The lock is not held during a write. Lines that other threads add meanwhile are sent by the thread that
//! writes, in one call. A peer that takes everything at once needs no thread of its own: the thread starts when
//! there is something to wait for.

mod lines;
mod thread;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use socket2::SockRef;

use crate::net::options::{is_dead, is_timeout};
use crate::net::{Stamp, Stream};
use crate::proxy::aggregate::Limits;
use crate::tap::Tap;
use crate::util::os_error::describe;
use crate::util::span::seconds;
use lines::{LineBatch, Lines};

/// Caps the writes of a thread that sends, for what others have queued meanwhile.
const MAX_FURTHER_WRITES: usize = 8;
/// Caps the batches of one write; the kernel takes 1,024.
const MAX_BATCHES_A_WRITE: usize = 64;

/// The queue of lines to one peer.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: Limits,
    stream: OnceLock<Arc<Stream>>,
    state: Mutex<OutboxState>,
    changed: Condvar,
    /// More than half of the queue is in use, or was a moment ago. Read without the lock.
    is_crowded: AtomicBool,
    thread: OnceLock<ThreadStart>,
}

/// Starts the thread of an outbox that calls [`Outbox::run`].
struct ThreadStart(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for ThreadStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThreadStart")
    }
}

#[derive(Debug)]
struct OutboxState {
    queue: VecDeque<LineBatch>,
    queued: usize,
    /// The bytes of the first batch in the queue that have been sent.
    sent: usize,
    /// A thread is writing without the lock: the peer's own, or one that sends.
    is_writing: bool,
    /// The peer's thread runs, or is about to.
    has_thread: bool,
    /// Nothing more is taken; what waits is still sent.
    is_finishing: bool,
    is_closed: bool,
    /// The peer was closed because it did not take what was sent.
    is_overrun: bool,
    /// The reason that nothing more could be sent to the peer.
    failure: Option<String>,
    /// Everything was sent, and the sending direction is closed.
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
                has_thread: false,
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
            thread: OnceLock::new(),
        }
    }

    /// Sets the function that starts the peer's thread, which is called when the thread is needed first. It
    /// closes the outbox if that fails.
    pub(crate) fn start_thread_by(&self, start: impl Fn() + Send + Sync + 'static) {
        let _ = self.thread.set(ThreadStart(Box::new(start)));
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
        // TLS waits in the middle of a record, and only the thread can.
        if !state.queue.is_empty() || self.plain().is_none() {
            self.wake_thread(state);
        }
    }

    /// Sends, now or as soon as the peer takes it. `false` when the peer is being closed. `since`: the time
    /// from which the delay counts.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>, since: Stamp) -> bool {
        self.send_or_queue(Lines::Own(bytes.as_ref()), since)
    }

    /// Sends lines that several peers get, as [`Outbox::send`] does. They are not copied, neither for the
    /// analyzer nor while they wait for the peer.
    pub(crate) fn send_shared(&self, lines: Arc<[u8]>, since: Stamp) -> bool {
        self.send_or_queue(Lines::Shared(lines), since)
    }

    fn send_or_queue(&self, lines: Lines<'_>, since: Stamp) -> bool {
        let mut state = self.state.lock();
        if state.is_closed || state.is_finishing {
            return false;
        }
        let stream = self.plain().filter(|_| state.queue.is_empty() && !state.is_writing);
        let Some(stream) = stream else {
            return self.queue_up(state, lines.into_batch(since));
        };
        state.begin_write();
        drop(state);
        let result = send_now(stream, &[IoSlice::new(lines.as_bytes())]);
        let mut state = self.state.lock();
        state.is_writing = false;
        match result {
            Ok(sent) if sent == lines.as_bytes().len() => {
                state.note_sent(lines, since);
                self.send_queued(state, stream)
            }
            Ok(sent) => {
                state.tap.end_of_send();
                state.put_back(lines.into_batch(since), sent);
                self.leave_rest(state)
            }
            Err(error) => self.fail(state, &error),
        }
    }

    fn queue_up(&self, mut state: MutexGuard<'_, OutboxState>, batch: LineBatch) -> bool {
        state.queued += batch.bytes.len();
        state.queue.push_back(batch);
        if state.queued > self.limits.max_queued_bytes || state.queue.len() > self.limits.max_queued_lines() {
            state.is_overrun = true;
            state.failure = Some(String::from("it does not read what it is sent: too much is queued for it"));
            return self.close_with(state);
        }
        if self.is_half_full(&state) {
            self.is_crowded.store(true, Ordering::Release);
        }
        // A thread that writes looks at the queue afterwards.
        if !state.is_writing {
            self.wake_thread(state);
        }
        true
    }

    /// Sends what other threads have queued while this one was writing. Leaves to the peer's thread what the
    /// socket does not take, and what comes all the time. `false` when the peer is being closed.
    fn send_queued<'a>(&'a self, mut state: MutexGuard<'a, OutboxState>, stream: &TcpStream) -> bool {
        for _ in 0..MAX_FURTHER_WRITES {
            if state.is_closed || state.queue.is_empty() {
                break;
            }
            let count = state.queue.len().min(MAX_BATCHES_A_WRITE);
            let batches: Vec<LineBatch> = state.queue.drain(..count).collect();
            state.queued -= batches.iter().map(|batch| batch.bytes.len()).sum::<usize>();
            state.begin_write();
            drop(state);
            let slices: Vec<IoSlice<'_>> = batches.iter().map(|batch| IoSlice::new(&batch.bytes)).collect();
            let result = send_now(stream, &slices);
            state = self.state.lock();
            state.is_writing = false;
            let mut sent = match result {
                Ok(sent) => sent,
                Err(error) => return self.fail(state, &error),
            };
            let is_whole = |batch: &LineBatch, sent: &mut usize| {
                let left = sent.checked_sub(batch.bytes.len());
                left.inspect(|left| *sent = *left).is_some()
            };
            let unsent = batches.iter().position(|batch| !is_whole(batch, &mut sent)).unwrap_or(count);
            batches[..unsent].iter().for_each(|batch| state.note_sent(Lines::Own(&batch.bytes), batch.since));
            state.tap.end_of_send();
            for batch in batches.into_iter().skip(unsent).rev() {
                state.put_back(batch, sent);
            }
            if unsent < count {
                break;
            }
        }
        self.leave_rest(state)
    }

    /// Leaves to the peer's thread what is left in the queue. `false` when the peer is being closed.
    fn leave_rest(&self, mut state: MutexGuard<'_, OutboxState>) -> bool {
        if self.is_crowded.load(Ordering::Acquire) {
            self.changed.notify_all();
        }
        let is_closed = state.is_closed;
        if is_closed {
            state.drop_queue();
        } else if !state.queue.is_empty() || state.is_finishing {
            self.wake_thread(state);
        }
        !is_closed
    }

    /// Has the peer's thread do what there is to be done, and starts it if it does not run yet. What needs no
    /// waiting is done here.
    fn wake_thread(&self, mut state: MutexGuard<'_, OutboxState>) {
        let is_done = state.queue.is_empty() && state.is_finishing && !state.is_writing;
        if !state.has_thread && is_done && self.stream.get().is_none_or(|stream| stream.plain().is_some()) {
            state.is_over = true;
            drop(state);
            if let Some(stream) = self.stream.get() {
                stream.finish();
                // The reader sees the end, too.
                stream.stop_reading();
            }
        } else if let Some(start) = self.thread.get().filter(|_| !state.has_thread) {
            state.has_thread = true;
            drop(state);
            (start.0)();
        }
        self.changed.notify_all();
    }

    fn plain(&self) -> Option<&TcpStream> {
        self.stream.get()?.plain()
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

    /// Wakes the peer's thread at this time, if its work is not over then; the earliest time counts.
    pub(crate) fn wake_at(&self, at: Instant) {
        let mut state = self.state.lock();
        state.wake_at = Some(state.wake_at.map_or(at, |earlier| earlier.min(at)));
        if !state.is_closed && !state.is_over {
            self.wake_thread(state);
        }
    }

    /// Whether nothing was sent for this long, and no thread takes care of that. It is only so once in that
    /// time.
    pub(crate) fn is_quiet(&self, quiet: Duration) -> bool {
        let mut state = self.state.lock();
        let is_quiet = !state.has_thread && state.last_sent.elapsed() >= quiet;
        if is_quiet {
            state.last_sent = Instant::now();
        }
        is_quiet
    }

    /// Waits until everything was sent, `time` at most.
    pub(crate) fn wait_over(&self, time: Duration) {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| !state.is_over && !state.is_closed, time);
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
        let mut state = self.state.lock();
        state.is_finishing = true;
        self.wake_thread(state);
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

    fn fail(&self, mut state: MutexGuard<'_, OutboxState>, error: &io::Error) -> bool {
        state.tap.end_of_send();
        state.failure = Some(self.describe_failure(error));
        self.close_with(state)
    }

    /// Closes the peer, and returns `false`, as a send to it does.
    fn close_with(&self, mut state: MutexGuard<'_, OutboxState>) -> bool {
        state.is_closed = true;
        state.drop_queue();
        drop(state);
        self.abort();
        self.changed.notify_all();
        false
    }

    fn abort(&self) {
        if let Some(stream) = self.stream.get() {
            stream.abort();
        }
    }
}

impl OutboxState {
    /// Puts lines back to the front of the queue, of which `sent` bytes were sent.
    fn put_back(&mut self, batch: LineBatch, sent: usize) {
        (self.sent, self.queued) = (sent, self.queued + batch.bytes.len());
        self.queue.push_front(batch);
    }

    fn drop_queue(&mut self) {
        (self.queue, self.queued, self.sent) = (VecDeque::new(), 0, 0);
    }

    fn begin_write(&mut self) {
        self.is_writing = true;
        self.tap.about_to_send();
    }

    fn note_sent(&mut self, lines: Lines<'_>, since: Stamp) {
        self.last_sent = Instant::now();
        match lines {
            Lines::Own(bytes) => self.tap.forwarded(bytes, since, Stamp::now()),
            Lines::Shared(bytes) => self.tap.forwarded_to_many(bytes, since, Stamp::now()),
        }
    }
}

/// Sends as much as the socket takes at this moment.
fn send_now(socket: &TcpStream, lines: &[IoSlice<'_>]) -> io::Result<usize> {
    let socket = SockRef::from(socket);
    let sent = match lines {
        // A shorter way into the kernel, and that of nearly all lines.
        [line] => socket.send_with_flags(line, libc_flags()),
        lines => socket.send_vectored_with_flags(lines, libc_flags()),
    };
    match sent {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        result => result,
    }
}

/// Without waiting, and without a signal when the peer is gone.
fn libc_flags() -> i32 {
    use nix::sys::socket::MsgFlags;
    (MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).bits()
}

#[cfg(test)]
mod tests;
