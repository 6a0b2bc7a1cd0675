//! What is written under `data_dir`: a library that the analyzer feeds.
//!
//! One thread, `record`, does all the writing. It is fed through a bounded channel that nobody ever
//! waits for: what finds no room is dropped, counted and said ([`RecordingHealth`]). A second thread,
//! `record-archive`, compresses and removes rotated files.
//!
//! | file | content | module |
//! |---|---|---|
//! | `shares.csv` | one row a share: [`ShareRow::COLUMNS`] | `share` |
//! | `timing.csv` | one row a job: [`JobRow::COLUMNS`] | `job` |
//! | `alerts.log` | `[time] SEVERITY: id`, `Description: …`, `Data: {json}`, 80 dashes | `alert` |
//! | `geek.log` | `[time] TOPIC: text` | `geek` |
//! | `blocks/<time>-<hash>.json` | all of a share that is worth a block | `block` |
//! | `state.json` | what outlives a restart: [`SavedState`] | `state`, `forms`, `kept` |
//! | `history.json` | the charts' time series: [`History`](crate::analyzer::History) | `history`, `kept` |
//!
//! Times are RFC 3339 in UTC with milliseconds. In the CSV files (RFC 4180, newline at the end of a
//! row) a quantity of the wire (nonce, ntime, version) is the hex of the wire, other numbers are
//! decimal, and what is not known is empty.
//!
//! **Appending** (`rotating`). Nothing is ever truncated at start. The header is written to a new or
//! empty file only. Rows are written in batches, at least every `flush`; kill -9 loses no more than
//! that. Rows are not fsynced, so a power cut also loses what the kernel had not written, usually
//! 30 s. A row that a crash tore is moved to `<file>.partial`, and the NULs that a power cut can leave
//! behind the last row are cut off (`tail`).
//!
//! **Rotation** (`names`). At the first row of another day (UTC), and before it would become larger
//! than `rotate_mb`, a file is renamed to, for instance, `shares-2026-11-21.1.csv`: the day of its
//! rows and a number that counts the files of that day; then compressed to
//! `shares-2026-11-21.1.csv.gz` (`archive`). Of these files the oldest are removed when all
//! together are larger than `max_total_mb`, or when they are older than `keep_days` and the date is certain. The live files, and files
//! with other names, are never removed.
//!
//! **A disk that fails** (`trouble`). Rows wait in memory, 256 KiB for each file, then they are
//! lost and counted. It is tried again after 1 s, 2 s … 60 s, and goes on where it stopped.
//!
//! **The best share ever** (`kept`, `read_back`). A new best share, and a block, have `state.json` replaced at
//! once. What it misses all the same is read back from `shares.csv` at the next start.
//!
//! **Strangers' texts** (`text`). Control characters and those that reorder a line are escaped,
//! formulas in CSV fields get an apostrophe in front, long texts are cut.

mod alert;
mod archive;
mod atomic;
mod block;
mod csv;
mod geek;
mod history;
mod job;
mod names;
mod persisted_json;
mod read_back;
mod recorder;
mod rotating;
mod serde_with;
mod share;
mod state;
mod text;
mod time_source;
mod torn_row;
mod write_retry;
mod writer;

pub use alert::{AlertKind, AlertRow};
pub use archive::{Retention, apply_retention};
pub use block::{BLOCKS_DIR, BlockRecord};
pub use geek::GeekTopic;
pub use history::HISTORY_FILE;
pub use job::JobRow;
pub use names::{FileName, RotatedName};
pub use recorder::{Recorder, RecordingHealth};
pub use rotating::RotatingFile;
pub use share::{ShareOutcome, ShareRow};
pub use state::{BestShare, LifetimeCounts, STATE_FILE, SavedState};
pub use time_source::TimeSource;
pub use write_retry::{TimePair, WriteError};
