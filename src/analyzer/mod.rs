//! The consumer of the tap: one thread that reads copies of what was forwarded, joins them to lines
//! and follows each conversation. It can be slow, or stopped: forwarding does not notice.

mod consumer;
mod conversation;
mod lines;
mod summary;
mod unanswered;

pub use consumer::Analyzer;
pub use conversation::{Chunk, Conversation, Copy, Direction, SessionId, Traffic, What};
pub use lines::{LineReader, MOST_LINE};
pub use summary::{Latency, Summary};
