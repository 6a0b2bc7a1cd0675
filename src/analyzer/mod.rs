//! The consumer of the tap: one thread that reads copies of forwarded bytes, joins them to lines and follows each
//! conversation. It may be slow or stopped without any effect on forwarding.

mod accounting;
mod alerts;
mod answer_form;
mod block_spread;
mod consumer;
mod current_work;
mod enforcement;
mod events;
mod external_update;
mod handle;
mod hashrate;
mod job_ids;
mod job_interval;
mod job_store;
mod job_verdict;
mod jobs;
mod known_hashes;
mod latency;
mod pool_news;
mod pool_reach;
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
mod session_map;
mod session_tracker;
mod setup;
mod share;
mod snapshot;
mod steady_clock;
mod superseded_work;
mod system_news;
mod totals;
mod verdicts;
mod work_proof;

pub use alerts::{Alert, AlertsView};
pub use block_spread::BlockSpread;
pub use handle::{Analyzer, AnalyzerEnded, Published};
pub use setup::Setup;

pub use hashrate::{HashRates, WorkMeter};
pub use job_verdict::{JudgedJob, OutputView};

pub use enforcement::{Enforcement, EnforcementRequest};
pub use events::MAX_EVENTS;
pub use external_update::{ExternalUpdate, ReloadedPolicy, external_updates};
pub use pool_reach::PoolReach;
pub use pools::{NewestBlock, PoolView, UpstreamNames};
pub use recent::{JobView, RecentJob, RecentView};
pub use replay::Replay;
pub use rules::{CreditView, DeviceView, KnownWorkerView, WorkLegs};
pub use session_event::JobSeen;

pub use latency::Latency;
pub use share::{
    JudgedShare, MINER_CLOSED, POOL_LOST, POOL_SILENT, PendingShare, TOO_MANY_PENDING, UnseenJob,
};
pub use snapshot::{MinerView, Snapshot};
pub use totals::{AnalyzerCounts, BestShares, Totals, WorkerTotals};
pub use verdicts::{
    ChainState, ChainVerdict, Expectations, MAINNET_FLOOR, PayoutAddress, PayoutState, PayoutVerdict,
    Unverifiable, WorkDoubt,
};
