//! Job ids.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::json_field::{FieldError, string_or_number};

/// The id of a job on its connection. It is compared exactly and echoed, never parsed. Pools that restart use the
/// same ids again. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Arc<str>);

impl JobId {
    /// The longest id that is read, in bytes. The longest seen has 17; miners take any length.
    pub const MAX: usize = 1024;

    /// Takes the text as it is.
    ///
    /// # Errors
    /// If it is longer than [`JobId::MAX`].
    pub fn from_text(text: &str) -> Result<JobId, FieldError> {
        if text.len() > JobId::MAX {
            return Err(FieldError::new("job id", text, "at most 1024 bytes"));
        }
        Ok(JobId(text.into()))
    }

    /// An id for the job with this number, as public-pool makes them: hex, without leading zeros.
    pub fn from_counter(counter: u64) -> JobId {
        JobId(format!("{counter:x}").into())
    }

    /// Reads a text, or a number as it is written.
    ///
    /// # Errors
    /// If it is neither, or too long.
    pub fn from_json(raw: &RawValue) -> Result<JobId, FieldError> {
        JobId::from_text(&string_or_number("job id", raw)?)
    }

    /// The text that is echoed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
