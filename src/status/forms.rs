//! The forms of a miner's page: a name for it, and forgetting it. The gate has checked who sends them.

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::page::miner_address;
use super::server::{HttpAnswer, QueryParams};
use super::snapshot::StatusSnapshots;
use crate::analyzer::ExternalUpdate;
use crate::record::SavedState;

/// The time for which the answer waits until the change is seen, so that the next page shows it. The analyzer takes
/// changes twice a second.
const SEEN_WITHIN: Duration = Duration::from_millis(1500);
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// Answers a form. `None` if there is none at this path.
pub(super) fn answer_form(
    path: &str,
    body: &[u8],
    snapshots: &StatusSnapshots,
    changes: Option<&Sender<ExternalUpdate>>,
) -> Option<HttpAnswer> {
    let is_name = match path {
        "/miner/name" => true,
        "/miner/forget" => false,
        _ => return None,
    };
    let form = std::str::from_utf8(body).ok().and_then(QueryParams::parse);
    let worker = form.as_ref().and_then(|form| form.get("worker")).filter(|worker| !worker.is_empty());
    let (Some(form), Some(worker)) = (&form, worker) else {
        return Some(HttpAnswer::text(400, "The form names no miner.\n"));
    };
    let Some(changes) = changes else {
        return Some(HttpAnswer::text(409, "Analysis is off, so Sluice knows no miners by name.\n"));
    };
    let key = SavedState::worker_key(worker).into_owned();
    let name = form.get("name").unwrap_or_default().trim().to_owned();
    let update = match is_name {
        true => ExternalUpdate::NameWorker { worker: key.clone(), name: name.clone() },
        false => ExternalUpdate::ForgetWorker(key.clone()),
    };
    if changes.try_send(update).is_err() {
        return Some(HttpAnswer::text(503, "Too much to do at the moment. Try again in a second.\n"));
    }
    let is_done = || {
        let status = snapshots.newest();
        let snapshot = &status.snapshot;
        if is_name {
            // A long name is cut.
            let shown = snapshot.shown_names.get(&key);
            shown.map_or(name.is_empty(), |shown| {
                !name.is_empty() && shown.starts_with(first_characters(&name))
            })
        } else {
            !snapshot.known_workers.iter().any(|known| *known.worker == *key)
        }
    };
    let until = Instant::now() + SEEN_WITHIN;
    while !is_done() && Instant::now() < until {
        std::thread::sleep(LOOK_INTERVAL);
    }
    let next = if is_name { miner_address(&key) } else { String::from("/") };
    Some(HttpAnswer::text(303, "").with_header("Location", next))
}

fn first_characters(name: &str) -> &str {
    &name[..name.char_indices().nth(8).map_or(name.len(), |(end, _)| end)]
}
