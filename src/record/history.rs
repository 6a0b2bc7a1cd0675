//! The charts' time series: `history.json`.

use std::time::Duration;

use super::persisted_json::PersistedJson;
use crate::analyzer::History;
use crate::clock::NtpTime;

/// The file's name in the data directory.
pub const HISTORY_FILE: &str = "history.json";

impl PersistedJson for History {
    const FILE: &'static str = HISTORY_FILE;
    /// It has news all the time; a crash may cost the charts this much.
    const SAVE_INTERVAL: Duration = Duration::from_secs(300);
    const IF_MISSING: &'static str = "the charts begin anew";

    fn bounded(self, now: NtpTime) -> History {
        History::bounded(self, u64::try_from(now.unix_seconds()).unwrap_or(0))
    }

    /// On one line: with indentation it would be twice as long.
    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}
