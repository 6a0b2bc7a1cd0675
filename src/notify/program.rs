//! The running program, as far as messages tell about it: the page's address, and the daily summary.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::health::AlertCounts;
use super::message::Message;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::{AlertKind, AlertRow};

/// The content of a daily summary. Texts may hold names that strangers chose: they are escaped before they are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct DailySummary {
    pub at: NtpTime,
    pub title: String,
    /// One or two sentences.
    pub description: String,
    /// The pool, the payout, the open alerts and the miners.
    pub lines: Vec<String>,
    /// The figures, for programs.
    pub data: Value,
}

/// Makes a summary of the last day; `None` if nothing is known.
type SummarySource = Box<dyn Fn() -> Option<DailySummary> + Send + Sync>;

/// The facts that become known after the notifier was started, because the parts that have them start later.
#[derive(Default)]
pub(super) struct ProgramFacts {
    pub page: OnceLock<String>,
    pub summary: OnceLock<SummarySource>,
}

impl ProgramFacts {
    /// The message with the summary of the last day.
    pub fn summary(&self) -> Option<Message> {
        let DailySummary { at, title, description, lines, data } = self.summary.get()?()?;
        let (kind, severity, id) = (AlertKind::Happened, Severity::Info, "summary.daily");
        let row = AlertRow { at, kind, severity, id, description, data };
        let about = Message::about(Arc::new(row), 1, AlertCounts::new());
        Some(Message { title: Some(title), lines, ..about })
    }
}

impl fmt::Debug for ProgramFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgramFacts").field("page", &self.page).finish_non_exhaustive()
    }
}
