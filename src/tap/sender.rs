//! The sending end of the tap. A copy of forwarded bytes goes to the analyzer after the send, and only if there is
//! room in the queue. A copy without room is dropped and counted, and the next one is marked as following a gap.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};

use super::fair_share::has_room;
use super::{Conversation, CopiedBytes, Direction, TapBytes, TapEvent, TapMessage};
use crate::net::Stamp;
use crate::work::HashedShare;

/// The most bytes of a copy. A job has 1.4 to 4 KiB; more bytes are split into several copies. This bounds the queue
/// in bytes as well: 64 MiB with the default settings.
const MAX_COPY_BYTES: usize = 4096;

/// The time that the end of a session waits for room in the queue. A running analyzer makes room within milliseconds;
/// a stopped one must not keep sessions from ending.
const MAX_WAIT_FOR_ROOM: Duration = Duration::from_millis(500);

/// The queue to the analyzer; `None` if analysis is off.
pub type ToAnalyzer = Option<Sender<TapMessage>>;

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

    /// Returns whether the analyzer takes copies.
    pub fn is_open(&self) -> bool {
        self.to_analyzer.is_some()
    }

    /// Announces bytes that are about to be sent, so that the analyzer waits for their copy before it reads an answer
    /// to them.
    pub fn about_to_send(&self) {
        self.conversation.traffic(self.direction).set_sending(true);
    }

    /// Ends what [`Tap::about_to_send`] announced: the copy is in the queue, or nothing was sent.
    pub fn end_of_send(&self) {
        self.conversation.traffic(self.direction).set_sending(false);
    }

    /// Counts bytes that were sent, and passes a copy on.
    pub fn forwarded(&mut self, bytes: &[u8], readable_at: Stamp, sent_at: Stamp) {
        self.conversation.traffic(self.direction).count(bytes.len());
        if self.is_open() {
            for piece in bytes.chunks(MAX_COPY_BYTES) {
                self.pass_on(piece.into(), readable_at, sent_at);
            }
        }
        self.end_of_send();
    }

    /// Does what [`Tap::forwarded`] does, for bytes that many sessions are sent: their copies are one.
    pub fn forwarded_to_many(&mut self, bytes: Arc<[u8]>, readable_at: Stamp, sent_at: Stamp) {
        // The analyzer's thread would free a buffer that no one else holds.
        if bytes.len() > MAX_COPY_BYTES || Arc::strong_count(&bytes) == 1 {
            return self.forwarded(&bytes, readable_at, sent_at);
        }
        self.conversation.traffic(self.direction).count(bytes.len());
        if self.is_open() {
            self.pass_on(CopiedBytes::shared(bytes), readable_at, sent_at);
        }
        self.end_of_send();
    }

    /// Counts spliced bytes and passes on their copy. `None` stands for a copy that could not be made.
    pub fn spliced(&mut self, length: usize, copy: Option<CopiedBytes>, readable_at: Stamp, sent_at: Stamp) {
        self.conversation.traffic(self.direction).count(length);
        match copy {
            Some(copy) if self.is_open() && copy.len() <= MAX_COPY_BYTES => {
                self.pass_on(copy, readable_at, sent_at);
            }
            Some(copy) if self.is_open() => {
                for piece in copy.chunks(MAX_COPY_BYTES) {
                    self.pass_on(piece.into(), readable_at, sent_at);
                }
            }
            Some(_) => {}
            None if self.is_open() => self.dropped(),
            None => {}
        }
        self.end_of_send();
    }

    /// Tells the analyzer that the miner is no longer read. Waits a little for room, so it is only for the end of
    /// this direction, when no bytes wait to be forwarded.
    pub fn miner_paused(&self) {
        if let Some(to_analyzer) = &self.to_analyzer {
            let copy = TapMessage { conversation: self.conversation.clone(), event: TapEvent::MinerPaused };
            if to_analyzer.send_timeout(copy, MAX_WAIT_FOR_ROOM).is_err() {
                // As after any lost copy, the number of unanswered requests is not known.
                self.conversation.dropped_copies.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn pass_on(&mut self, bytes: CopiedBytes, readable_at: Stamp, sent_at: Stamp) {
        let chunk = TapBytes { direction: self.direction, bytes, readable_at, sent_at, after_gap: self.gap };
        match offer(&self.to_analyzer, &self.conversation, TapEvent::Bytes(chunk)) {
            Offered::Taken => self.gap = false,
            Offered::Full => self.dropped(),
        }
    }

    fn dropped(&mut self) {
        self.gap = true;
        self.conversation.traffic(self.direction).dropped.fetch_add(1, Ordering::Relaxed);
        self.conversation.dropped_copies.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tells the analyzer of a session's begin or end if there is room. The analyzer works without it, too.
pub fn send_event(to_analyzer: &ToAnalyzer, conversation: &Arc<Conversation>, event: TapEvent) {
    let _ = offer(to_analyzer, conversation, event);
}

/// Gives the analyzer the hash of a share, so that it need not hash it again, if its queue is at most a quarter full.
/// The analyzer works without it, too.
pub fn offer_hash(
    to_analyzer: &ToAnalyzer,
    conversation: &Arc<Conversation>,
    hashed: impl FnOnce() -> HashedShare,
) {
    let has_room = |queue: &&Sender<TapMessage>| queue.len() <= queue.capacity().unwrap_or(usize::MAX) / 4;
    if to_analyzer.as_ref().is_some_and(|queue| has_room(&queue)) {
        send_event(to_analyzer, conversation, TapEvent::Hashed(Box::new(hashed())));
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.end_of_send();
    }
}

enum Offered {
    Taken,
    Full,
}

fn offer(to_analyzer: &ToAnalyzer, conversation: &Arc<Conversation>, event: TapEvent) -> Offered {
    let Some(to_analyzer) = to_analyzer else {
        return Offered::Taken;
    };
    let traffic = match &event {
        TapEvent::Bytes(chunk) => Some(conversation.traffic(chunk.direction)),
        TapEvent::Hashed(_) | TapEvent::MinerPaused | TapEvent::Closed => None,
    };
    let capacity = to_analyzer.capacity().unwrap_or(usize::MAX);
    let free = || capacity.saturating_sub(to_analyzer.len());
    let (role, waiting) = (conversation.role, traffic.map_or(0, |traffic| traffic.waiting()));
    if !has_room(role, conversation.is_established(), waiting, capacity, free) {
        return Offered::Full;
    }
    if let Some(traffic) = traffic {
        traffic.enqueued();
    }
    match to_analyzer.try_send(TapMessage { conversation: conversation.clone(), event }) {
        Ok(()) => Offered::Taken,
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
            traffic.iter().for_each(|traffic| traffic.dequeued());
            Offered::Full
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::SessionId;

    fn conversation() -> Arc<Conversation> {
        Arc::new(Conversation::new(SessionId(1), "127.0.0.1:1".parse().unwrap(), Stamp::now()))
    }

    /// Takes a copy out as the analyzer does.
    fn bytes_of(copy: TapMessage) -> (Vec<u8>, bool) {
        match copy.event {
            TapEvent::Bytes(chunk) => {
                copy.conversation.traffic(chunk.direction).dequeued();
                (chunk.bytes.to_vec(), chunk.after_gap)
            }
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
    fn much_at_once_comes_in_pieces_and_nothing_is_missing() {
        let (sender, receiver) = crossbeam_channel::bounded(1024);
        let conversation = conversation();
        let mut tap = Tap::new(Some(sender), conversation.clone(), Direction::Down);
        let bytes: Vec<u8> = (0..3 * MAX_COPY_BYTES + 5).map(|place| place as u8).collect();
        for _ in 0..4 {
            tap.forwarded_to_many(bytes.as_slice().into(), Stamp::now(), Stamp::now());
            tap.spliced(bytes.len(), Some(bytes.as_slice().into()), Stamp::now(), Stamp::now());
        }
        let pieces: Vec<Vec<u8>> = receiver.try_iter().map(|copy| bytes_of(copy).0).collect();
        assert!(pieces.iter().all(|piece| piece.len() <= MAX_COPY_BYTES));
        assert_eq!(pieces.concat(), bytes.repeat(8));
        assert_eq!(conversation.down.chunks.load(Ordering::Relaxed), 8, "reads, not copies");
    }

    #[test]
    fn one_that_floods_leaves_room_for_others_and_its_other_direction() {
        let (sender, receiver) = crossbeam_channel::bounded(1024);
        let (loud, quiet) = (conversation(), conversation());
        [&loud, &quiet].into_iter().for_each(|miner| miner.note_accepted_share());
        let mut flood = Tap::new(Some(sender.clone()), loud.clone(), Direction::Up);
        for _ in 0..1000 {
            flood.forwarded(b"x", Stamp::now(), Stamp::now());
        }
        assert_eq!((receiver.len(), loud.dropped_copies.load(Ordering::Relaxed)), (768, 232));
        for conversation in [&loud, &quiet] {
            let mut tap = Tap::new(Some(sender.clone()), conversation.clone(), Direction::Down);
            for _ in 0..10 {
                tap.forwarded(b"y", Stamp::now(), Stamp::now());
            }
        }
        assert_eq!(receiver.len(), 768 + 20);
        assert_eq!(quiet.dropped_copies.load(Ordering::Relaxed), 0);
        // Copies that the analyzer has taken out count no more.
        for copy in receiver.try_iter() {
            copy.conversation.traffic(Direction::Up).dequeued();
        }
        assert_eq!(loud.up.waiting(), 0);
        flood.forwarded(b"z", Stamp::now(), Stamp::now());
        assert_eq!(receiver.len(), 1);
    }

    /// Each connection may have a few copies in the queue, and a peer that is disconnected can make another one.
    #[test]
    fn one_that_reconnects_without_end_leaves_room_for_those_who_work() {
        let (sender, receiver) = crossbeam_channel::bounded(1024);
        for _ in 0..1000 {
            let (stranger, to_analyzer) = (conversation(), Some(sender.clone()));
            for direction in [Direction::Up, Direction::Down] {
                let mut tap = Tap::new(to_analyzer.clone(), stranger.clone(), direction);
                (0..10).for_each(|_| tap.forwarded(b"x", Stamp::now(), Stamp::now()));
            }
            send_event(&to_analyzer, &stranger, TapEvent::Closed);
        }
        assert_eq!(receiver.len(), 1024 - 32);
        let at = Stamp::now();
        let pool = Arc::new(Conversation::with_pool(SessionId(2), "127.0.0.1:2".parse().unwrap(), at));
        let miner = conversation();
        miner.note_accepted_share();
        for conversation in [pool, miner] {
            Tap::new(Some(sender.clone()), conversation.clone(), Direction::Up).forwarded(b"y", at, at);
            assert_eq!(conversation.dropped_copies.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_long_job_finds_room_in_a_queue_that_others_have_nearly_filled() {
        const QUEUE: usize = 16_384;
        let bytes: Vec<u8> = (0..16 * MAX_COPY_BYTES).map(|place| place as u8).collect();
        for is_spliced in [false, true] {
            let (sender, receiver) = crossbeam_channel::bounded(QUEUE);
            for _ in 0..QUEUE - 16 {
                sender.send(TapMessage { conversation: conversation(), event: TapEvent::Closed }).unwrap();
            }
            let miner = conversation();
            miner.note_accepted_share();
            let mut tap = Tap::new(Some(sender), miner, Direction::Down);
            match is_spliced {
                false => tap.forwarded(&bytes, Stamp::now(), Stamp::now()),
                true => tap.spliced(bytes.len(), Some(bytes.as_slice().into()), Stamp::now(), Stamp::now()),
            }
            let pieces = receiver.try_iter().skip(QUEUE - 16).flat_map(|copy| bytes_of(copy).0);
            assert_eq!(pieces.collect::<Vec<u8>>(), bytes, "spliced: {is_spliced}");
        }
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
