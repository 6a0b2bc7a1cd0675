//! Ends a session's two directions. Each passes the end of its side on as a half-close and lets the other
//! finish. What was read before an end is delivered before a connection is closed. The direction that ends
//! first makes sure that the other ends in bounded time.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::tap::Direction;

/// The time that a half-closed session may be without a byte in the direction that is still open.
const MAX_HALF_CLOSED_IDLE: Duration = Duration::from_secs(30);
/// The same once a side has failed: only what is already on its way is waited for.
const MAX_BROKEN_IDLE: Duration = Duration::from_secs(2);

/// The end of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectionEnd {
    /// The source closed; the other direction may go on.
    Finished,
    /// The source failed: nothing that the other direction sends is answered.
    SourceBroken,
    /// The destination failed: what is read has nowhere to go.
    DestinationBroken,
}

/// Shared by both directions.
#[derive(Debug, Default)]
pub struct HalfClose {
    ended: Mutex<EndedDirections>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct EndedDirections {
    up: bool,
    down: bool,
}

impl HalfClose {
    /// Ends one direction when it has nothing more to forward. Returns when the other has ended as well.
    /// `progress` counts the other direction's bytes; `abort` wakes it from whatever it waits for.
    pub fn end(&self, mine: Direction, how: DirectionEnd, progress: impl Fn() -> u64, abort: impl Fn()) {
        let idle = match how {
            DirectionEnd::Finished => MAX_HALF_CLOSED_IDLE,
            DirectionEnd::SourceBroken | DirectionEnd::DestinationBroken => MAX_BROKEN_IDLE,
        };
        let mut ended = self.mark(mine);
        let mut seen = progress();
        let mut deadline = Instant::now() + idle;
        while !ended.both() {
            if self.changed.wait_until(&mut ended, deadline).timed_out() && !ended.both() {
                let now_seen = progress();
                if now_seen == seen {
                    abort();
                }
                (seen, deadline) = (now_seen, Instant::now() + idle);
            }
        }
    }

    /// Ends an upward direction that was paused for shutdown: waits for the other without hurrying it.
    pub fn wait(&self, mine: Direction) {
        let mut ended = self.mark(mine);
        self.changed.wait_while(&mut ended, |ended| !ended.both());
    }

    /// Whether both directions have ended.
    pub fn is_over(&self) -> bool {
        self.ended.lock().both()
    }

    /// Whether this direction has ended.
    pub fn is_ended(&self, direction: Direction) -> bool {
        let ended = self.ended.lock();
        match direction {
            Direction::Up => ended.up,
            Direction::Down => ended.down,
        }
    }

    /// Marks a direction as ended. One that ends by a panic must not keep the other waiting.
    pub fn mark_ended(&self, mine: Direction) {
        drop(self.mark(mine));
    }

    fn mark(&self, mine: Direction) -> MutexGuard<'_, EndedDirections> {
        let mut ended = self.ended.lock();
        match mine {
            Direction::Up => ended.up = true,
            Direction::Down => ended.down = true,
        }
        self.changed.notify_all();
        ended
    }
}

impl EndedDirections {
    fn both(&self) -> bool {
        self.up && self.down
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_first_waits_for_the_second() {
        let half_close = Arc::new(HalfClose::default());
        let first = {
            let half_close = half_close.clone();
            std::thread::spawn(move || {
                half_close.end(
                    Direction::Up,
                    DirectionEnd::Finished,
                    || 0,
                    || panic!("the other is not hung"),
                );
            })
        };
        half_close.end(Direction::Down, DirectionEnd::Finished, || 0, || panic!("the other is not hung"));
        first.join().unwrap();
    }

    #[test]
    fn a_hung_other_is_aborted() {
        let half_close = Arc::new(HalfClose::default());
        let aborts = AtomicUsize::new(0);
        half_close.end(
            Direction::Up,
            DirectionEnd::DestinationBroken,
            || 7,
            || {
                aborts.fetch_add(1, Ordering::Relaxed);
                // What a woken thread does; from another thread, as the lock is held here.
                let half_close = half_close.clone();
                std::thread::spawn(move || half_close.mark_ended(Direction::Down));
            },
        );
        assert_eq!(aborts.load(Ordering::Relaxed), 1);
    }
}
