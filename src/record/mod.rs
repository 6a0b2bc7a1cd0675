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
//! | `alerts.log` | `[time] SEVERITY: id`, `Description: …`, `Data: {json}`, 80 dashes | `alerts_log` |
//! | `geek.log` | `[time] TOPIC: text` | `geek_log` |
//! | `blocks/<time>-<hash>.json` | everything about a share that is worth a block | `block` |
//! | `state.json` | best shares and counters over all runs: [`SavedState`] | `state_json`, `json`, `persisted_json` |
//! | `history.json` | the charts' time series: [`History`] | `history`, `persisted_json` |
//!
//! Times are RFC 3339 in UTC with milliseconds. In the CSV files (RFC 4180, newline at the end of a
//! row) a protocol quantity (nonce, ntime, version) is written in hex as on the wire, other numbers in
//! decimal, and an unknown value as an empty field.
//!
//! **Appending** (`rotating`). No file is truncated at start. The header is written to a new or empty
//! file only. Rows are written in batches, at least every `flush`; kill -9 loses no more than that.
//! Rows are not fsynced, so a power cut also loses what the kernel had not written, usually 30 s. A
//! row torn by a crash is moved to `<file>.partial`, and NULs that a power cut can leave after the
//! last row are cut off (`torn_row`).
//!
//! **Rotation** (`names`). At the first row of a new day (UTC), and before it would exceed `rotate_mb`,
//! a file is renamed to, for instance, `shares-2026-11-21.1.csv`: the day of its rows and the number
//! of the file on that day. It is then compressed to `shares-2026-11-21.1.csv.gz` (`archive`). The
//! oldest of these files are removed if all together exceed `max_total_mb`, or if they are older than
//! `keep_days` and the date is certain. The live files, and files with other names, are never removed.
//!
//! **Disk errors** (`write_retry`). If the disk fails, up to 256 KiB of rows per file are buffered in
//! memory; further ones are lost and counted. Writing is retried after 1 s, 2 s … 60 s, and continues
//! where it stopped.
//!
//! **The best share ever** (`persisted_json`, `read_back`). A new best share, and a block, are saved to
//! `state.json` at once. If it misses one all the same, the next start restores it from `shares.csv`.
//!
//! **Untrusted texts** (`csv`, `json`). Control characters and those that reorder a line are escaped,
//! formulas in CSV fields are prefixed with an apostrophe, and long texts are cut.

mod alerts_log;
mod archive;
mod atomic;
mod block;
mod csv;
mod geek_log;
mod history;
mod json;
mod names;
mod persisted_json;
mod read_back;
mod recorder;
mod rotating;
mod shares_csv;
mod state_json;
mod time_source;
mod timing_csv;
mod torn_row;
mod write_retry;
mod writer;

pub use alerts_log::{AlertKind, AlertRow};
pub use archive::{Retention, apply_retention};
pub use block::{BLOCKS_DIR, BlockRecord};
pub use geek_log::GeekTopic;
pub use history::{Bucket, History, HistoryShare, Span};
pub use names::{FileName, RotatedName};
pub use persisted_json::HISTORY_FILE;
pub use recorder::{Recorder, RecordingHealth};
pub use rotating::RotatingFile;
pub use shares_csv::{ShareOutcome, ShareRow};
pub use state_json::{BestShare, LifetimeCounts, STATE_FILE, SavedState};
pub use time_source::TimeSource;
pub use timing_csv::JobRow;
pub use write_retry::{TimePair, WriteError};
