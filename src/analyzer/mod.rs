//! The consumer of the tap: one thread that reads copies of what was forwarded, joins them to lines
//! and follows each conversation. It can be slow, or stopped: forwarding does not notice.

mod block;
mod bucket;
mod consumer;
mod conversation;
mod finding;
mod hashrate;
mod history;
mod jobs;
mod ledger;
mod lines;
mod order;
mod requests;
mod session;
mod share;
mod snapshot;
mod summary;
mod totals;

pub use bucket::{Bucket, HistoryShare};
pub use consumer::{Analyzer, Setup};
pub use conversation::{Chunk, Conversation, Copy, Direction, SessionId, Traffic, What};
pub use hashrate::{HashRates, WorkMeter};
pub use history::{History, Span};
pub use ledger::Bests;
pub use lines::{LineReader, MOST_LINE};
pub use share::{JudgedShare, PendingShare};
pub use snapshot::{MinerView, Snapshot};
pub use summary::{Latency, Summary};
pub use totals::{Totals, WorkerTotals};
