//! The thread of an outbox: it sends what the peer does not take at once, and waits for what is due.

use std::io;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use super::lines::Lines;
use super::{Outbox, OutboxState, WakeReason};
use crate::net::options::is_timeout;

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
    /// Runs the peer's thread: sends what waits, until the end. Calls `wake` after `quiet` without a byte to
    /// the peer, and at the time of [`Outbox::wake_at`].
    ///
    /// # Errors
    /// The socket's: the peer is gone, or took nothing for too long.
    pub(crate) fn run(&self, quiet: Duration, wake: impl Fn(WakeReason)) -> io::Result<()> {
        let _over = OutboxEndGuard(self);
        self.state.lock().has_thread = true;
        self.send_all(quiet, wake)
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

    fn wait(&self, quiet: Duration) -> (AfterWake, MutexGuard<'_, OutboxState>) {
        let mut state = self.state.lock();
        loop {
            if state.is_closed || state.is_over {
                return (AfterWake::Over, state);
            }
            let now = Instant::now();
            if state.wake_at.is_some_and(|at| at <= now) {
                state.wake_at = None;
                return (AfterWake::Wake(WakeReason::Due), state);
            }
            if !state.queue.is_empty() && !state.is_writing && self.stream.get().is_some() {
                return (AfterWake::Write, state);
            }
            if state.is_finishing && state.queue.is_empty() && !state.is_writing {
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
        state.begin_write();
        drop(state);
        let result = stream.send_all(&lines.bytes[sent..]);
        let mut state = self.state.lock();
        state.is_writing = false;
        match result {
            Ok(()) => {
                state.queue.pop_front();
                state.queued = state.queued.saturating_sub(lines.bytes.len());
                state.sent = 0;
                state.note_sent(Lines::Own(&lines.bytes), lines.since);
                drop(state);
                self.changed.notify_all();
                Ok(())
            }
            Err(error) => {
                state.tap.end_of_send();
                state.is_overrun = is_timeout(&error);
                self.fail(state, &error);
                Err(error)
            }
        }
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
