//! The consumer of the tap: one thread that reads copies of the forwarded bytes, joins them to lines and
//! follows each conversation. If it is slow or has stopped, forwarding goes on unchanged.

mod accounting;
mod alerts;
mod answer_form;
mod best_shares;
mod block;
mod bucket;
mod consumer;
mod current_work;
mod enforcement;
mod external_update;
mod handle;
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
mod rows;
mod rules;
mod same_id;
mod session;
mod session_event;
mod session_tracker;
mod setup;
mod share;
mod snapshot;
mod steady_clock;
mod summary;
mod superseded_work;
mod totals;
mod verdicts;

pub use alerts::{Alert, AlertsView};
pub use bucket::{Bucket, HistoryShare};
pub use handle::{Analyzer, AnalyzerEnded, Published};
pub use setup::Setup;

pub use best_shares::BestShares;
pub use hashrate::{HashRates, WorkMeter};
pub use history::{History, Span};
pub use job_verdict::{JudgedJob, OutputView};

pub use enforcement::{Enforcement, EnforcementRequest};
pub use external_update::{ExternalUpdate, ReloadedPolicy, external_updates};
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
    ChainState, ChainVerdict, Expectations, MAINNET_FLOOR, PayoutAddress, PayoutState, PayoutVerdict,
    Unverifiable, WorkDoubt,
};
