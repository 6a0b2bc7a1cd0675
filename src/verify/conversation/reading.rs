//! Reads the pool's messages and truncates the kept texts.

use super::{MAX_TEXT_CHARS, SUGGESTED_DIFFICULTY};
use crate::stratum::{self, Difficulty, ResponseVerdict};
use crate::verify::observations::{ObservedReconnect, PoolRefusal, Suggestion};

/// Reads a `client.reconnect` from the pool `host`.
pub(super) fn reconnect(read: stratum::Reconnect, host: &str) -> ObservedReconnect {
    let is_foreign = !read.is_to(host);
    let shortened = |text: String| text.chars().take(MAX_TEXT_CHARS).collect::<String>();
    ObservedReconnect {
        host: Some(shortened(read.host)).filter(|host| !host.is_empty()),
        port: read.port,
        is_foreign,
    }
}

/// The reaction to the suggestion after a difficulty was set. `before` is the difficulty it replaces.
pub(super) fn suggestion_after(known: Suggestion, before: Option<Difficulty>, set: Difficulty) -> Suggestion {
    // Some pools round to one significant digit.
    let is_suggested = (SUGGESTED_DIFFICULTY * 0.5..=SUGGESTED_DIFFICULTY * 1.5).contains(&set.value());
    match (known, before) {
        (Suggestion::Followed | Suggestion::Needless, _) => known,
        (_, Some(before)) if set == before => known,
        _ if is_suggested => Suggestion::Followed,
        (_, None) if set.value() < SUGGESTED_DIFFICULTY => Suggestion::Needless,
        (_, Some(before)) if set < before => Suggestion::Lowered,
        _ => known,
    }
}

pub(super) fn refusal(verdict: ResponseVerdict) -> PoolRefusal {
    match verdict {
        ResponseVerdict::Accepted => PoolRefusal::default(),
        ResponseVerdict::Refused { code, reason } => {
            PoolRefusal { code, reason: reason.map(|reason| reason.chars().take(MAX_TEXT_CHARS).collect()) }
        }
    }
}
