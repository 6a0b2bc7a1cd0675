//! What the pool's messages say, shortened to what is kept.

use serde_json::value::RawValue;

use super::{MOST_TEXT, SUGGESTED};
use crate::stratum::{self, Difficulty, Envelope, ResponseVerdict, elements};
use crate::verify::observations::{PoolRefusal, ReconnectSeen, Suggestion};

/// The params of `mining.set_difficulty`.
pub(super) fn difficulty(params: Option<&RawValue>) -> Option<Difficulty> {
    let elements = elements("params", params?).ok()?;
    Difficulty::from_json(elements.first()?).ok()
}

/// The params of `client.reconnect` from the pool `host`.
pub(super) fn reconnect(params: Option<&RawValue>, host: &str) -> ReconnectSeen {
    let read = stratum::Reconnect::from_params(params);
    let is_foreign = !read.is_to(host);
    let shortened = |text: String| text.chars().take(MOST_TEXT).collect::<String>();
    ReconnectSeen {
        host: Some(shortened(read.host)).filter(|host| !host.is_empty()),
        port: read.port,
        is_foreign,
    }
}

/// What a difficulty that comes after the suggestion says of it. `before` is the one it replaces.
pub(super) fn suggestion_after(known: Suggestion, before: Option<Difficulty>, set: Difficulty) -> Suggestion {
    // Some pools round to one digit.
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

pub(super) fn refusal(answer: &Envelope<'_>) -> PoolRefusal {
    match ResponseVerdict::of(answer) {
        ResponseVerdict::Accepted => PoolRefusal::default(),
        ResponseVerdict::Refused { code, reason } => {
            PoolRefusal { code, reason: reason.map(|reason| reason.chars().take(MOST_TEXT).collect()) }
        }
    }
}
