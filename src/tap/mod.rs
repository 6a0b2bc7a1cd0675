//! The tap between forwarding and analysis. The forwarding threads put a copy of the bytes they have sent into a
//! bounded queue, and the analyzer takes it out. Neither waits for the other.

pub(crate) mod conversation;
pub(crate) mod copied_bytes;
pub(crate) mod fair_share;
pub(crate) mod sender;
pub(crate) mod session_clock;
pub(crate) mod work_owed;

pub use conversation::{Conversation, Direction, Role, SessionId, TapBytes, TapEvent, TapMessage, Traffic};
pub use copied_bytes::CopiedBytes;
pub use sender::ToAnalyzer;
pub(crate) use sender::{Tap, offer_hash, send_event};
pub use session_clock::SessionClock;
pub use work_owed::WorkOwed;
