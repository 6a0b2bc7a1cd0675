//! TODO

pub(crate) mod conversation;
pub(crate) mod fair_share;
pub(crate) mod sender;
pub(crate) mod session_clock;
pub(crate) mod work_owed;

pub use conversation::{Conversation, Direction, Role, SessionId, TapBytes, TapEvent, TapMessage, Traffic};
pub use sender::ToAnalyzer;
pub(crate) use sender::{Tap, announce};
pub use session_clock::SessionClock;
pub use work_owed::WorkOwed;
