//! The clock, the records, the limits and the threads in `/status`.

use serde::Serialize;

use super::value::TimeJson;
use crate::clock::ClockState;
use crate::record::{RecordingHealth, WriteError};
use crate::status::snapshot::StatusSnapshot;

/// The state of the clock.
pub(super) fn ntp(clock: Option<&ClockState>) -> impl Serialize {
    let (answer, since, reason) = match clock {
        None => (None, None, Some("the clock was not checked yet".to_owned())),
        Some(ClockState::Synchronised { offset, error_bound, servers, at }) => {
            (Some((offset, error_bound, servers, at)), None, None)
        }
        Some(ClockState::Unsynchronised { since, reason }) => (None, Some(*since), Some(reason.to_string())),
    };
    object!(
        synchronised = answer.is_some(),
        offset_ms = answer.map(|(offset, ..)| offset.seconds() * 1e3),
        error_bound_ms = answer.map(|(_, error_bound, ..)| error_bound.as_secs_f64() * 1e3),
        servers = answer.map(|(_, _, servers, _)| servers),
        asked_at = answer.map(|(.., at)| TimeJson(*at)),
        unsynchronised_since = since.map(TimeJson),
        reason = reason,
    )
}

pub(super) fn recording(health: &RecordingHealth) -> impl Serialize {
    let RecordingHealth { dropped, lost, write_errors, .. } = health;
    let trouble = |WriteError { file, error, since, .. }: &_| {
        object!(file = file.display().to_string(), error = error.clone(), since = TimeJson(*since))
    };
    let troubles: Vec<_> = write_errors.iter().map(trouble).collect();
    object!(dropped_rows = dropped, lost_rows = lost, troubles = troubles)
}

/// The connection limits. All names are those of the original proxy.
pub(super) fn rate_limit(status: &StatusSnapshot) -> impl Serialize {
    let (counts, limits) = (&status.runtime.counts, &status.program.config.ratelimit);
    object!(
        total_ips = counts.sources,
        total_active = counts.connections,
        banned_ips = counts.banned,
        max_per_ip = limits.max_connections_per_ip,
        max_per_minute = limits.max_connections_per_minute,
        ban_duration_sec = limits.ban.as_secs(),
    )
}

/// The restarts of service threads, and the threads that have died or make no progress.
pub(super) fn threads(status: &StatusSnapshot) -> impl Serialize {
    let runtime = &status.runtime;
    let unwell = runtime.threads.iter().filter_map(|one| {
        let trouble = one.trouble.as_deref()?;
        Some(object!(thread = one.name.as_str(), trouble = trouble))
    });
    object!(restarts = runtime.thread_restarts, unwell = unwell.collect::<Vec<_>>())
}
