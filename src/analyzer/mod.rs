//! The consumer of the tap: one thread that reads copies of what was forwarded, joins them to lines
//! and follows each conversation. It can be slow, or stopped: forwarding does not notice.

mod accounting;
mod alerts;
mod answer_form;
mod block;
mod bucket;
mod closing_order;
mod consumer;
mod current_work;
mod enforcement;
mod external_update;
mod hashed_shares;
mod hashrate;
mod history;
mod job_interval;
mod job_store;
mod job_verdict;
mod jobs;
mod known_jobs;
mod local_refusals;
mod names;
mod pools;
mod recent;
mod reorder_buffer;
mod replay;
mod request_id;
mod requests;
mod rules;
mod same_id;
mod session;
mod session_event;
mod session_tracker;
mod share;
mod snapshot;
mod steady_clock;
mod summary;
mod superseded_work;
mod totals;
mod verdicts;
mod work_proof;

pub use alerts::{Alert, AlertsView};
pub use bucket::{Bucket, HistoryShare};
pub use consumer::{Analyzer, AnalyzerEnded, Published, Setup};

pub use accounting::BestShares;
pub use hashrate::{HashRates, WorkMeter};
pub use history::{History, Span};
pub use job_verdict::{JudgedJob, OutputView};

pub use enforcement::{Enforcement, EnforcementRequest};
pub use external_update::{ExternalUpdate, ReloadedPolicy, outside};
pub use names::UpstreamNames;
pub use pools::PoolView;
pub use recent::{JobView, RecentJob, RecentView};
pub use replay::Replay;
pub use rules::CreditView;

pub use local_refusals::{DISMISSED, LOST, SILENT, TOO_MANY};
pub use share::{JudgedShare, PendingShare, UnseenJob};
pub use snapshot::{MinerView, Snapshot};
pub use summary::{AnalyzerCounts, Latency};
pub use totals::{Totals, WorkerTotals};
pub use verdicts::{
    ChainState, ChainVerdict, Expectations, Expected, MAINNET_FLOOR, PayoutState, PayoutVerdict,
    Unverifiable, WorkDoubt,
};
