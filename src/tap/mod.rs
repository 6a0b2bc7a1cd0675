//! TODO

pub(crate) mod conversation;
pub(crate) mod fair_share;
pub(crate) mod sender;
pub(crate) mod session_clock;
pub(crate) mod work_owed;

pub use conversation::{Chunk, Conversation, Copy, Direction, Role, SessionId, Traffic, What};
pub use sender::ToAnalyzer;
pub(crate) use sender::{Tap, announce};
pub use session_clock::SessionClock;
pub use work_owed::WorkOwed;
