//! The consumer of the tap: one thread that reads copies of what was forwarded, joins them to lines
//! and follows each conversation. It can be slow, or stopped: forwarding does not notice.

mod alerts;
mod answer_form;
mod block;
mod bucket;
mod cadence;
mod consumer;
mod conversation;
mod current_work;
mod finding;
mod follower;
mod hashed_shares;
mod hashrate;
mod history;
mod job_store;
mod jobs;
mod judged_job;
mod known_jobs;
mod ledger;
mod lines;
mod names;
mod offence;
mod order;
mod outside;
mod pools;
mod recent;
mod replay;
mod request_id;
mod requests;
mod rules;
mod same_id;
mod session;
mod session_clock;
mod share;
mod shared_memory;
mod snapshot;
mod steady;
mod summary;
mod superseded_work;
mod totals;
mod turns;
mod unjudged;
mod verdicts;
mod work_owed;

pub use alerts::{Alert, AlertsView};
pub use bucket::{Bucket, HistoryShare};
pub use consumer::{Analyzer, AnalyzerEnded, Published, Setup};
pub use conversation::{Chunk, Conversation, Copy, Direction, Role, SessionId, Traffic, What};
pub use hashrate::{HashRates, WorkMeter};
pub use history::{History, Span};
pub use judged_job::{JudgedJob, OutputView};
pub use ledger::Bests;
pub use lines::{Line, LineReader, LongLines, MAX_POOL_LINE, MOST_LINE};
pub use names::UpstreamNames;
pub use offence::{Enforcement, Offence};
pub use outside::{Judgement, Outside, outside};
pub use pools::PoolView;
pub use recent::{JobView, RecentJob, RecentView};
pub use replay::Replay;
pub use rules::CreditView;
pub use session_clock::SessionClock;
pub use share::{JudgedShare, PendingShare, UnseenJob};
pub use snapshot::{MinerView, Snapshot};
pub use summary::{Latency, Summary};
pub use totals::{Totals, WorkerTotals};
pub use unjudged::{DISMISSED, LOST, SILENT, TOO_MANY};
pub use verdicts::{
    ChainState, ChainVerdict, Doubt, Expectations, Expected, MAINNET_FLOOR, PayoutState, PayoutVerdict,
    Unverifiable,
};
pub use work_owed::WorkOwed;
