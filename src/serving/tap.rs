//! The tap: a copy of what was forwarded goes to the analyzer, after the send and only if there is
//! room. What finds no room is counted, and the next copy says that something is missing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Sender, TrySendError};

use crate::analyzer::{Chunk, Conversation, Copy, Direction, What};
use crate::net::Stamp;

/// Copies above this size, in bytes, are no messages of a miner's but a flood. What a pool says is passed on in
/// pieces of this size: a long job must not be the first that finds no room.
const LARGE: usize = 4096;
/// Larger ones are taken only while the queue is no fuller than this part of it, so that what waits there is
/// bounded in bytes as well: 80 MiB with the default settings, instead of 256.
const ROOM_FOR_LARGE: usize = 16;

/// The way to the analyzer; `None` when analysis is off.
pub type ToAnalyzer = Option<Sender<Copy>>;

/// One direction's end of the tap.
#[derive(Debug)]
pub struct Tap {
    to_analyzer: ToAnalyzer,
    conversation: Arc<Conversation>,
    direction: Direction,
    gap: bool,
}

impl Tap {
    pub fn new(to_analyzer: ToAnalyzer, conversation: Arc<Conversation>, direction: Direction) -> Tap {
        Tap { to_analyzer, conversation, direction, gap: false }
    }

    /// Whether anybody wants copies.
    pub fn is_open(&self) -> bool {
        self.to_analyzer.is_some()
    }

    /// Counts `bytes` that have left, and passes a copy on.
    pub fn forwarded(&mut self, bytes: &[u8], readable_at: Stamp, sent_at: Stamp) {
        self.conversation.traffic(self.direction).count(bytes.len());
        if !self.is_open() {
            return;
        }
        match self.direction {
            Direction::Up => self.pass_on(bytes.into(), readable_at, sent_at),
            Direction::Down => {
                bytes.chunks(LARGE).for_each(|piece| self.pass_on(piece.into(), readable_at, sent_at));
            }
        }
    }

    /// As [`Tap::forwarded`], in copies that are not large: where many lines come together, as the answers to
    /// many miners' shares do, they are no flood.
    pub fn in_pieces(&mut self, bytes: &[u8], readable_at: Stamp, sent_at: Stamp) {
        bytes.chunks(LARGE).for_each(|piece| self.forwarded(piece, readable_at, sent_at));
    }

    /// As [`Tap::forwarded`], with a copy that exists already; `None` when it could not be made.
    pub fn spliced(&mut self, length: usize, copy: Option<Box<[u8]>>, readable_at: Stamp, sent_at: Stamp) {
        self.conversation.traffic(self.direction).count(length);
        match copy {
            Some(copy) if self.is_open() && self.direction == Direction::Down && copy.len() > LARGE => {
                copy.chunks(LARGE).for_each(|piece| self.pass_on(piece.into(), readable_at, sent_at));
            }
            Some(copy) if self.is_open() => self.pass_on(copy, readable_at, sent_at),
            Some(_) => {}
            None if self.is_open() => self.dropped(),
            None => {}
        }
    }

    /// Tells the analyzer, waiting for room, that the miner is not read any more. Only for the end
    /// of this direction, when no bytes wait behind this thread.
    pub fn paused(&self) {
        if let Some(to_analyzer) = &self.to_analyzer {
            let copy = Copy { conversation: self.conversation.clone(), what: What::MinerPaused };
            // An analyzer that is gone has heard all it will hear.
            let _ = to_analyzer.send(copy);
        }
    }

    fn pass_on(&mut self, bytes: Box<[u8]>, readable_at: Stamp, sent_at: Stamp) {
        let chunk = Chunk { direction: self.direction, bytes, readable_at, sent_at, after_gap: self.gap };
        match offer(&self.to_analyzer, &self.conversation, What::Bytes(chunk)) {
            Offered::Taken => self.gap = false,
            Offered::Full => self.dropped(),
        }
    }

    fn dropped(&mut self) {
        self.gap = true;
        self.conversation.dropped_copies.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tells the analyzer of a session's opening or end, if there is room; it can do without.
pub fn announce(to_analyzer: &ToAnalyzer, conversation: &Arc<Conversation>, what: What) {
    let _ = offer(to_analyzer, conversation, what);
}

enum Offered {
    Taken,
    Full,
}

fn offer(to_analyzer: &ToAnalyzer, conversation: &Arc<Conversation>, what: What) -> Offered {
    let Some(to_analyzer) = to_analyzer else {
        return Offered::Taken;
    };
    if let What::Bytes(chunk) = &what {
        let room = to_analyzer.capacity().unwrap_or(usize::MAX) / ROOM_FOR_LARGE;
        if chunk.bytes.len() > LARGE && to_analyzer.len() > room {
            return Offered::Full;
        }
    }
    match to_analyzer.try_send(Copy { conversation: conversation.clone(), what }) {
        Ok(()) => Offered::Taken,
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Offered::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::SessionId;

    fn conversation() -> Arc<Conversation> {
        Arc::new(Conversation::new(SessionId(1), "127.0.0.1:1".parse().unwrap(), Stamp::now()))
    }

    fn bytes_of(copy: Copy) -> (Vec<u8>, bool) {
        match copy.what {
            What::Bytes(chunk) => (chunk.bytes.into_vec(), chunk.after_gap),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_full_queue_drops_the_copy_counts_it_and_marks_the_gap() {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let conversation = conversation();
        let mut tap = Tap::new(Some(sender), conversation.clone(), Direction::Up);
        for text in [b"a", b"b", b"c"] {
            tap.forwarded(text, Stamp::now(), Stamp::now());
        }
        assert_eq!(conversation.dropped_copies.load(Ordering::Relaxed), 2);
        assert_eq!(conversation.up.bytes.load(Ordering::Relaxed), 3);
        assert_eq!(bytes_of(receiver.recv().unwrap()), (b"a".to_vec(), false));
        tap.forwarded(b"d", Stamp::now(), Stamp::now());
        assert_eq!(bytes_of(receiver.recv().unwrap()), (b"d".to_vec(), true));
        tap.forwarded(b"e", Stamp::now(), Stamp::now());
        assert_eq!(bytes_of(receiver.recv().unwrap()), (b"e".to_vec(), false));
    }

    #[test]
    fn large_copies_find_room_only_while_the_queue_is_nearly_empty() {
        let (sender, receiver) = crossbeam_channel::bounded(64);
        let mut tap = Tap::new(Some(sender), conversation(), Direction::Up);
        let forwarded =
            |tap: &mut Tap, length| tap.forwarded(&vec![b'x'; length], Stamp::now(), Stamp::now());
        for _ in 0..64 {
            forwarded(&mut tap, LARGE + 1);
        }
        assert_eq!(receiver.len(), 64 / ROOM_FOR_LARGE + 1);
        forwarded(&mut tap, LARGE);
        assert_eq!(receiver.len(), 64 / ROOM_FOR_LARGE + 2);
    }

    #[test]
    fn a_long_job_of_a_pool_finds_room_while_there_is_any() {
        let bytes: Vec<u8> = (0..4 * LARGE).map(|place| place as u8).collect();
        for is_spliced in [false, true] {
            let (sender, receiver) = crossbeam_channel::bounded(64);
            for _ in 0..60 {
                announce(&Some(sender.clone()), &conversation(), What::Opened);
            }
            let mut tap = Tap::new(Some(sender), conversation(), Direction::Down);
            match is_spliced {
                false => tap.forwarded(&bytes, Stamp::now(), Stamp::now()),
                true => tap.spliced(bytes.len(), Some(bytes.as_slice().into()), Stamp::now(), Stamp::now()),
            }
            let pieces: Vec<u8> = receiver.try_iter().skip(60).flat_map(|copy| bytes_of(copy).0).collect();
            assert_eq!(pieces, bytes, "spliced: {is_spliced}");
        }
    }

    #[test]
    fn what_comes_in_pieces_finds_room_while_there_is_any() {
        let (sender, receiver) = crossbeam_channel::bounded(16);
        let mut tap = Tap::new(Some(sender), conversation(), Direction::Down);
        let bytes: Vec<u8> = (0..3 * LARGE + 5).map(|place| place as u8).collect();
        for _ in 0..4 {
            tap.in_pieces(&bytes, Stamp::now(), Stamp::now());
        }
        let pieces: Vec<u8> = (0..16).flat_map(|_| bytes_of(receiver.recv().unwrap()).0).collect();
        assert_eq!(pieces, bytes.repeat(4));
    }

    #[test]
    fn without_an_analyzer_bytes_are_still_counted() {
        let conversation = conversation();
        let mut tap = Tap::new(None, conversation.clone(), Direction::Down);
        tap.forwarded(b"abc", Stamp::now(), Stamp::now());
        assert_eq!(conversation.down.bytes.load(Ordering::Relaxed), 3);
        assert_eq!(conversation.dropped_copies.load(Ordering::Relaxed), 0);
    }
}
