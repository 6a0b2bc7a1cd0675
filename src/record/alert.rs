//! A record of `alerts.log`.

use serde_json::{Value, json};

use super::text::escape_json;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::util::escape::line_text;

/// The data of one alert in bytes; more is left out, and said.
const MAX_DATA: usize = 16 * 1024;

/// Characters of a description.
const MAX_DESCRIPTION: usize = 1024;

/// What ends a record: 80 dashes.
const SEPARATOR: &str = "--------------------------------------------------------------------------------";

/// Where in an alert's life a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertKind {
    /// A state has begun, and lasts.
    Begins,
    /// A state is over.
    Ends,
    /// Something happened once.
    Happened,
}

impl AlertKind {
    /// As messages for programs say it.
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
        // Evidence keeps the exact names, with JSON's own escapes.
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
