//! Reads the pool's messages and truncates the kept texts.

use super::{MOST_TEXT, SUGGESTED};
use crate::stratum::{self, Difficulty, ResponseVerdict};
use crate::verify::observations::{PoolRefusal, ReconnectSeen, Suggestion};

/// Reads a `client.reconnect` from the pool `host`.
pub(super) fn reconnect(read: stratum::Reconnect, host: &str) -> ReconnectSeen {
    let is_foreign = !read.is_to(host);
    let shortened = |text: String| text.chars().take(MOST_TEXT).collect::<String>();
    ReconnectSeen {
        host: Some(shortened(read.host)).filter(|host| !host.is_empty()),
        port: read.port,
        is_foreign,
    }
}

/// The reaction to the suggestion after a difficulty was set. `before` is the difficulty it replaces.
pub(super) fn suggestion_after(known: Suggestion, before: Option<Difficulty>, set: Difficulty) -> Suggestion {
    // Some pools round to one significant digit.
    let is_suggested = (SUGGESTED * 0.5..=SUGGESTED * 1.5).contains(&set.value());
    match (known, before) {
        (Suggestion::Followed | Suggestion::Needless, _) => known,
        (_, Some(before)) if set == before => known,
        _ if is_suggested => Suggestion::Followed,
        (_, None) if set.value() < SUGGESTED => Suggestion::Needless,
        (_, Some(before)) if set < before => Suggestion::Lowered,
        _ => known,
    }
}

pub(super) fn refusal(verdict: ResponseVerdict) -> PoolRefusal {
    match verdict {
        ResponseVerdict::Accepted => PoolRefusal::default(),
        ResponseVerdict::Refused { code, reason } => {
            PoolRefusal { code, reason: reason.map(|reason| reason.chars().take(MOST_TEXT).collect()) }
        }
    }
}
