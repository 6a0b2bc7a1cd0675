//! The files under `data_dir`, written for the analyzer.
//!
//! One thread, `record`, does all the writing. It reads from a bounded channel, and senders never
//! block: a record that does not fit is dropped, counted and reported ([`RecordingHealth`]). A second
//! thread, `record-archive`, compresses and removes rotated files.
//!
//! | file | content | module |
//! |---|---|---|
//! | `shares.csv` | one row a share: [`ShareRow::COLUMNS`] | `shares_csv` |
//! | `timing.csv` | one row a job: [`JobRow::COLUMNS`] | `timing_csv` |
//! | `devices.csv` | one row a reading of a device: [`DeviceRow::COLUMNS`] | `devices_csv` |
//! | `alerts.log` | `[time] SEVERITY: id`, `Description: …`, `Data: {json}`, 80 dashes | `alerts_log` |
//! | `events.jsonl` | the time line, one JSON object a line: [`EventRow`] | `events_jsonl` |
//! | `geek.log` | `[time] TOPIC: text` | `geek_log` |
//! | `blocks/<time>-<hash>.json` | everything about a share that is worth a block | `block` |
//! | `state.json` | best shares and counters over all runs: [`SavedState`] | `state_json`, `json`, `persisted_json` |
//! | `history.json` | the charts' time series: [`History`] | `history`, `persisted_json` |
//! | `worker_history.json` | the time series of each worker: [`WorkerHistories`] | `worker_history`, `persisted_json` |
//!
//! Times are RFC 3339 in UTC with milliseconds. In the CSV files (RFC 4180, newline at the end of a
//! row) a protocol quantity (nonce, ntime, version) is written in hex as on the wire, other numbers in
//! decimal, and an unknown value as an empty field.
//!
//! `docs/records.md` says what a rotation, a crash, a power cut and a failing disk do to them.
//!
//! **Untrusted texts** (`csv`, `json`). Control characters and those that reorder a line are escaped,
//! formulas in CSV fields are prefixed with an apostrophe, and long texts are cut.

mod alerts_log;
mod archive;
mod block;
mod csv;
mod devices_csv;
mod events_jsonl;
mod geek_log;
mod history;
mod json;
mod known_workers;
mod names;
mod persisted_json;
mod read_back;
mod recorder;
mod rotating;
mod saved_alerts;
mod shares_csv;
mod shown_names;
mod state_json;
mod time_source;
mod timing_csv;
mod torn_row;
mod worker_history;
mod write_retry;
mod writer;

pub use alerts_log::{AlertKind, AlertRow};
pub use archive::{Retention, apply_retention};
pub use block::{BLOCKS_DIR, BlockRecord};
pub use devices_csv::DeviceRow;
pub use events_jsonl::EventRow;
pub use geek_log::GeekTopic;
pub use history::{Bucket, History, HistoryShare, Span};
pub use known_workers::{KnownWorker, KnownWorkers};
pub use names::{FileName, RotatedName};
pub use persisted_json::HISTORY_FILE;
pub use recorder::{Recorder, RecordingHealth, SavedFiles};
pub use rotating::RotatingFile;
pub use saved_alerts::{SavedAlert, SavedAlerts};
pub use shares_csv::{ShareOutcome, ShareRow};
pub use shown_names::ShownNames;
pub use state_json::{BestShare, LifetimeCounts, STATE_FILE, SavedState};
pub use time_source::TimeSource;
pub use timing_csv::JobRow;
pub use worker_history::{WorkerHistories, WorkerHistory};
pub use write_retry::{TimePair, WriteError};
