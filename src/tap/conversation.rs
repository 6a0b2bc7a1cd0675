//! What the forwarding path and the analyzer share of one miner's session, and the copies that pass
//! from the one to the other. Knows nothing of sockets.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use std::time::{Duration, Instant};

use super::session_clock::SessionClock;
use crate::net::Stamp;
use crate::stratum::Login;
use crate::work::HashedShare;

/// No upstream yet.
const NO_UPSTREAM: usize = usize::MAX;

/// A session's number, from 1, never used again while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the miner up to the pool.
    Up,
    /// From the pool down to the miner.
    Down,
}

/// What the forwarding threads count of one direction. Each field has one writer, but for the copies that
/// wait: the analyzer takes those out.
#[derive(Debug)]
pub struct Traffic {
    pub bytes: AtomicU64,
    /// Reads that brought something.
    pub chunks: AtomicU64,
    /// Copies in the analyzer's queue.
    waiting: AtomicUsize,
    /// Copies that found no place there.
    pub dropped: AtomicU64,
    /// When the last bytes were sent on: nanoseconds since `since`, at least 1; 0 before the first.
    last: AtomicU64,
    /// Silence is measured by the monotonic clock: a Raspberry Pi sets its own by days after a start.
    since: Instant,
}

impl Traffic {
    fn new(since: Instant) -> Traffic {
        Traffic {
            bytes: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            last: AtomicU64::new(0),
            since,
        }
    }

    /// Counts bytes that were sent on just now.
    pub fn count(&self, length: usize) {
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        self.chunks.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.store(now.max(1), Ordering::Relaxed);
    }

    /// Copies of this direction in the analyzer's queue.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A copy is about to be put into the queue.
    pub fn enqueued(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A copy was taken out of the queue, or found no place in it.
    pub fn dequeued(&self) {
        // Copies that were not announced by `enqueued` don't count.
        let less_one = |waiting: usize| waiting.checked_sub(1);
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less_one);
    }

    /// How long ago the last bytes were sent on; `None` when there were none.
    pub fn silent_for(&self) -> Option<Duration> {
        match self.last.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(self.since.elapsed().saturating_sub(Duration::from_nanos(nanos))),
        }
    }

    /// Whether anything was sent on yet.
    pub fn has_begun(&self) -> bool {
        self.last.load(Ordering::Relaxed) != 0
    }
}

/// Who talks with whom. What is mined on a shared connection is seen twice: with the miner, and with
/// the pool. It counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A miner with its pool.
    Direct,
    /// A miner with this program.
    Miner,
    /// This program with a pool.
    Pool,
}

impl Role {
    /// What miners do shows here, once.
    pub fn is_with_miner(self) -> bool {
        self != Role::Pool
    }

    /// What pools do shows here, once.
    pub fn is_with_pool(self) -> bool {
        self != Role::Miner
    }
}

/// One miner's session, as both sides of the tap see it.
#[derive(Debug)]
pub struct Conversation {
    pub id: SessionId,
    pub role: Role,
    /// Who connected.
    peer: SocketAddr,
    /// Whom the peer's PROXY header announced.
    announced: OnceLock<SocketAddr>,
    pub opened: Stamp,
    /// The upstream's place in the order of preference; [`NO_UPSTREAM`] while there is none.
    upstream: AtomicUsize,
    pub up: Traffic,
    pub down: Traffic,
    /// Of a miner: the session with the pool that carries its work; 0 for none.
    carrier: AtomicU64,
    /// Copies that found the analyzer's queue full.
    pub dropped_copies: AtomicU64,
    /// The miner has sent its first `mining.authorize`. Set by the analyzer.
    pub authorized: AtomicBool,
    /// Requests of the miner that the pool has not answered yet. Set by the analyzer.
    pub unanswered: AtomicU32,
    /// The analyzer has seen everything that the miner said, and the miner is no longer read.
    pub fully_read: AtomicBool,
    /// Lines of the miner that are no Stratum message. Set by the analyzer.
    pub unreadable_lines: AtomicU32,
    /// Whether the pool gives work, and when.
    pub clock: SessionClock,
    /// The last login that the pool accepted here, or is thought to have; if none, the first that was offered.
    login: Mutex<Option<Login>>,
}

impl Conversation {
    /// A session that has just been accepted, of a miner with its pool.
    pub fn new(id: SessionId, peer: SocketAddr, opened: Stamp) -> Conversation {
        Conversation::in_role(Role::Direct, id, peer, opened)
    }

    /// A miner's session with this program, which passes its work on.
    pub fn with_miner(id: SessionId, peer: SocketAddr, opened: Stamp) -> Conversation {
        Conversation::in_role(Role::Miner, id, peer, opened)
    }

    /// This program's session with a pool, for many miners.
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
            unreadable_lines: AtomicU32::new(0),
            clock: SessionClock::new(now),
            login: Mutex::new(None),
        }
    }

    /// The miner's own address, behind a PROXY header too.
    pub fn miner(&self) -> SocketAddr {
        *self.announced.get().unwrap_or(&self.peer)
    }

    /// The peer speaks for somebody else. Only the first announcement counts.
    pub fn set_announced_miner(&self, miner: SocketAddr) {
        let _ = self.announced.set(miner);
    }

    /// The upstream's place in the order of preference.
    pub fn upstream(&self) -> Option<usize> {
        Some(self.upstream.load(Ordering::Relaxed)).filter(|place| *place != NO_UPSTREAM)
    }

    /// The session is with the upstream at this place now.
    pub fn set_upstream(&self, place: usize) {
        self.upstream.store(place, Ordering::Relaxed);
    }

    /// This session with a pool carries the miner's work now.
    pub fn set_carrier(&self, pool: &Conversation) {
        self.carrier.store(pool.id.0, Ordering::Relaxed);
        self.upstream.store(pool.upstream.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The session with the pool that carries this miner's work.
    pub fn carrier(&self) -> Option<SessionId> {
        Some(SessionId(self.carrier.load(Ordering::Relaxed))).filter(|id| id.0 != 0)
    }

    /// The miner asks to authorize with this login. A former one stays until the pool has accepted another.
    pub fn offer_login(&self, login: Login) {
        self.login.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(login);
    }

    /// The pool knows the miner by this login.
    pub fn set_login(&self, login: Login) {
        *self.login.lock().unwrap_or_else(PoisonError::into_inner) = Some(login);
    }

    /// The login that the pool knows the miner by; if there is none, the first that the miner offered.
    pub fn login(&self) -> Option<Login> {
        self.login.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The counters of one direction.
    pub fn traffic(&self, direction: Direction) -> &Traffic {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }
}

/// What passes through the tap.
#[derive(Debug)]
pub struct TapMessage {
    pub conversation: Arc<Conversation>,
    pub event: TapEvent,
}

/// One event of a session. Copies of its two directions can arrive out of order: each is put into
/// the queue by the thread that forwarded it.
#[derive(Debug)]
pub enum TapEvent {
    /// The session exists.
    Opened,
    Bytes(TapBytes),
    /// The hash of a share of this session. It comes after the bytes of the share; other sessions may have the same
    /// share.
    Hashed(Box<HashedShare>),
    /// Nothing more is read from the miner; everything before this was.
    MinerPaused,
    /// The session is over.
    Closed,
}

/// Bytes that were forwarded together.
#[derive(Debug)]
pub struct TapBytes {
    pub direction: Direction,
    pub bytes: Box<[u8]>,
    /// When they became readable.
    pub readable_at: Stamp,
    /// When the kernel had the last of them for sending.
    pub sent_at: Stamp,
    /// Copies were lost right before this one: whoever joins lines begins anew.
    pub after_gap: bool,
}
