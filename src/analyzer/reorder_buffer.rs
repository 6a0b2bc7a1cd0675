//! Puts the copies of a session's two directions in order. Each forwarding thread puts its own copies into the
//! channel. If it is delayed between its send and its `try_send`, a pool's answer arrives here before the share.
//!
//! Copies are ordered by the time when they became readable: the cause of a message was readable before it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::net::Stamp;
use crate::tap::{Direction, TapBytes};

/// The time that a copy waits for earlier ones.
pub(super) const HOLD_TIME: Duration = Duration::from_millis(20);

/// The room for copies that an empty buffer keeps. A quiet session has one or two of them at a time.
const KEPT_CAPACITY: usize = 2;

/// The held copies of one session.
#[derive(Debug, Default)]
pub(super) struct ReorderBuffer {
    /// The copies with their places, the earliest first.
    held: VecDeque<(Stamp, TapBytes)>,
    /// The newest stamp of each direction. Copies of one direction keep their order even if the clock is set back.
    last_up: Stamp,
    last_down: Stamp,
}

impl ReorderBuffer {
    /// Adds a copy as it comes out of the channel.
    pub(super) fn push(&mut self, chunk: TapBytes) {
        let last = match chunk.direction {
            Direction::Up => &mut self.last_up,
            Direction::Down => &mut self.last_down,
        };
        let place = chunk.readable_at.max(*last);
        *last = place;
        // Nearly every copy is the newest one. Copies of the same time keep the order of their arrival.
        let behind = self.held.iter().rev().take_while(|(held, _)| *held > place).count();
        if self.held.is_empty() {
            self.held.reserve_exact(1);
        }
        self.held.insert(self.held.len() - behind, (place, chunk));
    }

    /// The number of copies in the buffer.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The bytes of all copies in the buffer.
    pub(super) fn bytes(&self) -> usize {
        self.held.iter().map(|(_, chunk)| chunk.bytes.len()).sum()
    }

    /// Returns whether the buffer is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes out the earliest copy.
    pub(super) fn pop(&mut self) -> Option<TapBytes> {
        let (_, chunk) = self.held.pop_front()?;
        if self.held.is_empty() && self.held.capacity() > KEPT_CAPACITY {
            self.held = VecDeque::new();
        }
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(direction: Direction, nanos: u64, text: &str) -> TapBytes {
        let at = Stamp::from_nanos(nanos);
        TapBytes { direction, bytes: text.as_bytes().into(), readable_at: at, sent_at: at, after_gap: false }
    }

    fn released(order: &mut ReorderBuffer) -> Vec<String> {
        std::iter::from_fn(|| order.pop())
            .map(|chunk| String::from_utf8(chunk.bytes.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn an_answer_that_overtook_its_share_comes_after_it() {
        let mut order = ReorderBuffer::default();
        order.push(chunk(Direction::Down, 30, "answer"));
        order.push(chunk(Direction::Up, 20, "share"));
        order.push(chunk(Direction::Down, 40, "job"));
        assert_eq!(released(&mut order), ["share", "answer", "job"]);
    }

    #[test]
    fn a_clock_set_back_does_not_turn_one_direction_around() {
        let mut order = ReorderBuffer::default();
        order.push(chunk(Direction::Up, 90, "first half"));
        order.push(chunk(Direction::Up, 10, "second half"));
        order.push(chunk(Direction::Up, 10, "third"));
        assert_eq!(released(&mut order), ["first half", "second half", "third"]);
    }
}
