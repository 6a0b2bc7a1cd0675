//! The state of one session that forwarding and the analyzer share, and the messages from one to the other.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::copied_bytes::CopiedBytes;
use super::session_clock::SessionClock;
use crate::net::Stamp;
use crate::stratum::Login;
use crate::work::HashedShare;

/// The upstream number of a session without an upstream.
const NO_UPSTREAM: usize = usize::MAX;

/// The age from which a session is established without a share. A peer that floods and reconnects has younger ones.
const ESTABLISHED_AFTER: Duration = Duration::from_secs(60);

/// A session's number, from 1. It is not used again while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the miner up to the pool.
    Up,
    /// From the pool down to the miner.
    Down,
}

/// The counters of one direction. Each has one writer, the forwarding thread. Only the number of queued copies has
/// two: the analyzer takes copies out.
#[derive(Debug)]
pub struct Traffic {
    pub bytes: AtomicU64,
    /// Reads that returned bytes.
    pub chunks: AtomicU64,
    /// Copies in the analyzer's queue.
    waiting: AtomicUsize,
    /// Copies that were dropped because the queue was full.
    pub dropped: AtomicU64,
    /// Bytes are being sent whose copy is not in the queue yet.
    is_sending: AtomicBool,
    /// The time when the last bytes were forwarded: nanoseconds since `since`, at least 1; 0 before the first.
    last: AtomicU64,
    /// Silence is measured by the monotonic clock: a Raspberry Pi sets its system clock by days after a start.
    since: Instant,
}

impl Traffic {
    fn new(since: Instant) -> Traffic {
        Traffic {
            bytes: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            is_sending: AtomicBool::new(false),
            last: AtomicU64::new(0),
            since,
        }
    }

    /// Counts bytes that were just forwarded.
    pub fn count(&self, length: usize) {
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        self.chunks.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.store(now.max(1), Ordering::Relaxed);
    }

    /// Notes that bytes are about to be sent, or that the copy of what was sent has been offered to the queue. The
    /// receiver can answer before that copy is there.
    pub fn set_sending(&self, is_sending: bool) {
        self.is_sending.store(is_sending, Ordering::Release);
    }

    /// Returns whether bytes may have been sent whose copy is still to come.
    pub fn is_sending(&self) -> bool {
        self.is_sending.load(Ordering::Acquire)
    }

    /// The number of this direction's copies in the analyzer's queue.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Counts a copy that is about to be put into the queue.
    pub fn enqueued(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a copy that was taken out of the queue, or did not fit in.
    pub fn dequeued(&self) {
        // Copies without a call of `enqueued` do not count.
        let less_one = |waiting: usize| waiting.checked_sub(1);
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less_one);
    }

    /// The time since the last bytes were forwarded; `None` if there were none.
    pub fn silent_for(&self) -> Option<Duration> {
        match self.last.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(self.since.elapsed().saturating_sub(Duration::from_nanos(nanos))),
        }
    }

    /// Returns whether any bytes were forwarded.
    pub fn has_begun(&self) -> bool {
        self.last.load(Ordering::Relaxed) != 0
    }
}

/// The two ends of a conversation. In aggregate mode each share is seen twice, in the conversation with the miner and
/// in the one with the pool. The roles make it count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A miner and its pool.
    Direct,
    /// A miner and Sluice.
    Miner,
    /// Sluice and a pool.
    Pool,
}

impl Role {
    /// Returns whether the acts of miners count in this conversation.
    pub fn is_with_miner(self) -> bool {
        self != Role::Pool
    }

    /// Returns whether the acts of pools count in this conversation.
    pub fn is_with_pool(self) -> bool {
        self != Role::Miner
    }
}

/// One session, as both sides of the tap see it.
#[derive(Debug)]
pub struct Conversation {
    pub id: SessionId,
    pub role: Role,
    /// The address of the TCP peer.
    peer: SocketAddr,
    /// The miner's address in the peer's PROXY header.
    announced: OnceLock<SocketAddr>,
    pub opened: Stamp,
    /// The upstream's number, or [`NO_UPSTREAM`].
    upstream: AtomicUsize,
    pub up: Traffic,
    pub down: Traffic,
    /// The pool session that carries this miner's work; 0 for none.
    carrier: AtomicU64,
    /// Copies that were dropped because the analyzer's queue was full.
    pub dropped_copies: AtomicU64,
    /// The miner has sent its first `mining.authorize`. Set by the analyzer.
    pub authorized: AtomicBool,
    /// Shares that the pool has not answered yet. Set by the analyzer.
    pub unanswered: AtomicU32,
    /// The miner is no longer read, and the analyzer has followed all its bytes.
    pub fully_read: AtomicBool,
    /// The miner has had a share accepted, or has been here for [`ESTABLISHED_AFTER`].
    is_established: AtomicBool,
    begun_at: Instant,
    /// Lines of the miner that are not Stratum messages. Set by the analyzer.
    pub unreadable_lines: AtomicU32,
    /// The times that show whether the pool gives work.
    pub clock: SessionClock,
    /// The last login that the pool accepted; if none, the first that the miner offered.
    login: Mutex<Option<Login>>,
}

impl Conversation {
    /// A new session of a miner with its pool.
    pub fn new(id: SessionId, peer: SocketAddr, opened: Stamp) -> Conversation {
        Conversation::in_role(Role::Direct, id, peer, opened)
    }

    /// A new session of a miner with Sluice in aggregate mode.
    pub fn with_miner(id: SessionId, peer: SocketAddr, opened: Stamp) -> Conversation {
        Conversation::in_role(Role::Miner, id, peer, opened)
    }

    /// A new session of Sluice with a pool, for many miners.
    pub fn with_pool(id: SessionId, pool: SocketAddr, opened: Stamp) -> Conversation {
        Conversation::in_role(Role::Pool, id, pool, opened)
    }

    fn in_role(role: Role, id: SessionId, peer: SocketAddr, opened: Stamp) -> Conversation {
        let now = Instant::now();
        Conversation {
            id,
            role,
            peer,
            announced: OnceLock::new(),
            opened,
            upstream: AtomicUsize::new(NO_UPSTREAM),
            up: Traffic::new(now),
            down: Traffic::new(now),
            carrier: AtomicU64::new(0),
            dropped_copies: AtomicU64::new(0),
            authorized: AtomicBool::new(false),
            unanswered: AtomicU32::new(0),
            fully_read: AtomicBool::new(false),
            is_established: AtomicBool::new(role == Role::Pool),
            begun_at: now,
            unreadable_lines: AtomicU32::new(0),
            clock: SessionClock::new(now),
            login: Mutex::new(None),
        }
    }

    /// The miner's own address, from a PROXY header if there was one.
    pub fn miner(&self) -> SocketAddr {
        *self.announced.get().unwrap_or(&self.peer)
    }

    /// Sets the miner's address from a PROXY header. Only the first call counts.
    pub fn set_announced_miner(&self, miner: SocketAddr) {
        let _ = self.announced.set(miner);
    }

    /// Notes that a share of the miner was accepted.
    pub fn note_accepted_share(&self) {
        // A load alone leaves the cache line with the other threads.
        if !self.is_established.load(Ordering::Relaxed) {
            self.is_established.store(true, Ordering::Relaxed);
        }
    }

    /// Returns whether the session is more than a new connection, of which a peer can make any number. A connection to
    /// a pool always is.
    pub fn is_established(&self) -> bool {
        let is_known = self.is_established.load(Ordering::Relaxed);
        if !is_known && self.begun_at.elapsed() >= ESTABLISHED_AFTER {
            self.is_established.store(true, Ordering::Relaxed);
            return true;
        }
        is_known
    }

    /// The upstream's number.
    pub fn upstream(&self) -> Option<usize> {
        Some(self.upstream.load(Ordering::Relaxed)).filter(|place| *place != NO_UPSTREAM)
    }

    /// Sets the upstream that the session is with.
    pub fn set_upstream(&self, place: usize) {
        self.upstream.store(place, Ordering::Relaxed);
    }

    /// Sets the pool session that carries this miner's work.
    pub fn set_carrier(&self, pool: &Conversation) {
        self.carrier.store(pool.id.0, Ordering::Relaxed);
        self.upstream.store(pool.upstream.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The pool session that carries this miner's work.
    pub fn carrier(&self) -> Option<SessionId> {
        Some(SessionId(self.carrier.load(Ordering::Relaxed))).filter(|id| id.0 != 0)
    }

    /// Records a login of the miner. It does not replace another one before the pool accepts it.
    pub fn offer_login(&self, login: Login) {
        self.login.lock().get_or_insert(login);
    }

    /// Records a login that the pool has accepted.
    pub fn set_login(&self, login: Login) {
        *self.login.lock() = Some(login);
    }

    /// The last login that the pool accepted; if none, the first that the miner offered.
    pub fn login(&self) -> Option<Login> {
        self.login.lock().clone()
    }

    /// The counters of one direction.
    pub fn traffic(&self, direction: Direction) -> &Traffic {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }
}

/// A message through the tap.
#[derive(Debug)]
pub struct TapMessage {
    pub conversation: Arc<Conversation>,
    pub event: TapEvent,
}

/// One event of a session. Copies of its two directions can arrive out of order: each forwarding thread puts its own
/// into the queue.
#[derive(Debug)]
pub enum TapEvent {
    Bytes(TapBytes),
    /// The hash of a share of this session. It comes after the share's bytes. Other sessions may have the same share.
    Hashed(Box<HashedShare>),
    /// The miner is no longer read. All its bytes came before this.
    MinerPaused,
    /// The session has ended.
    Closed,
}

/// Bytes that were forwarded together.
#[derive(Debug)]
pub struct TapBytes {
    pub direction: Direction,
    pub bytes: CopiedBytes,
    /// The time when they became readable.
    pub readable_at: Stamp,
    /// The time when the kernel took the last of them for sending.
    pub sent_at: Stamp,
    /// Copies were lost right before this one, so the bytes may begin in the middle of a line.
    pub after_gap: bool,
}
