//! A job's name.

use std::fmt;

use serde_json::value::RawValue;

use super::json_field::{FieldError, string_or_number};

/// The name a pool gives a job. Opaque: it is compared exactly and echoed, never parsed. Pools
/// begin anew after a restart, so it names a job only together with its connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(String);

impl JobId {
    /// The longest that is taken, in bytes. The longest seen is 17; miners take any length.
    pub const MAX: usize = 1024;

    /// Takes the text as it is.
    ///
    /// # Errors
    /// When it is longer than [`JobId::MAX`].
    pub fn from_text(text: &str) -> Result<JobId, FieldError> {
        if text.len() > JobId::MAX {
            return Err(FieldError::length("job id", text, "at most 1024 bytes"));
        }
        Ok(JobId(text.to_owned()))
    }

    /// A name for the job with this number, as public-pool gives them: hex, without leading zeros.
    pub fn from_counter(counter: u64) -> JobId {
        JobId(format!("{counter:x}"))
    }

    /// Reads a text, or a number for what it looks like.
    ///
    /// # Errors
    /// When it is neither, or too long.
    pub fn from_json(raw: &RawValue) -> Result<JobId, FieldError> {
        JobId::from_text(&string_or_number("job id", raw)?)
    }

    /// The text, to be echoed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
