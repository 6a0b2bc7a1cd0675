//! An entry of `alerts.log`.

use serde_json::{Value, json};

use super::json::escape_json;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::util::escape::line_text;

/// Caps the bytes of an alert's data; larger data is replaced by a note.
const MAX_DATA: usize = 16 * 1024;

/// Caps the characters of a description.
const MAX_DESCRIPTION: usize = 1024;

/// The end of an entry: 80 dashes.
const SEPARATOR: &str = "--------------------------------------------------------------------------------";

/// The begin or the end of a state, or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertKind {
    /// A state has begun and continues.
    Begins,
    /// A state has ended.
    Ends,
    /// An event occurred.
    Happened,
}

impl AlertKind {
    /// The word in machine-readable messages.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertKind::Begins => "begins",
            AlertKind::Ends => "ends",
            AlertKind::Happened => "happened",
        }
    }
}

/// One alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    pub at: NtpTime,
    pub kind: AlertKind,
    pub severity: Severity,
    /// Such as `payout.mismatch`.
    pub id: &'static str,
    /// One sentence.
    pub description: String,
    /// The evidence.
    pub data: Value,
}

impl AlertRow {
    pub(super) fn to_text(&self) -> String {
        let severity = self.severity.as_str().to_ascii_uppercase();
        // Evidence keeps exact names, in JSON's own escapes.
        let mut data = self.data.to_string();
        if data.len() > MAX_DATA {
            data = json!({ "left_out": "too long", "bytes": data.len() }).to_string();
        }
        format!(
            "[{}] {severity}: {}\nDescription: {}\nData: {}\n{SEPARATOR}\n",
            self.at,
            self.id,
            line_text(&self.description, MAX_DESCRIPTION),
            escape_json(&data),
        )
    }
}
