//! The forms of a miner's page: a name for it, and forgetting it. The gate has checked who sends them.

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::page::miner_address;
use super::server::{HttpAnswer, QueryParams};
use super::snapshot::{StatusSnapshot, StatusSnapshots};
use super::worker_facts::WorkerFacts;
use crate::analyzer::ExternalUpdate;
use crate::record::{SavedState, ShownNames};
use crate::util::format::grouped;

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
    if let Some(refusal) = refusal(&snapshots.newest(), &key, is_name.then_some(&*name)) {
        return Some(refusal);
    }
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

/// The answer to a change that would have no effect: the name, or with `None` the forgetting, of this worker.
fn refusal(status: &StatusSnapshot, key: &str, name: Option<&str>) -> Option<HttpAnswer> {
    let (facts, names) = (WorkerFacts::of(status, key), &status.snapshot.shown_names);
    // A miner that is not known any more may still have a name. That can be taken away.
    let gives_name = name.is_some_and(|name| !name.is_empty());
    if facts.is_none() && (gives_name || names.get(key).is_none()) {
        return Some(HttpAnswer::text(404, "No miner of this name is connected or known here.\n"));
    }
    if gives_name && !names.has_room_for(key) {
        let text = format!(
            "There are names for {} miners, and no more are kept. Take one away before you give another.\n",
            grouped(ShownNames::MAX as u64)
        );
        return Some(HttpAnswer::text(409, text));
    }
    let is_connected = facts.is_some_and(|facts| !facts.connections.is_empty());
    (name.is_none() && is_connected).then(|| {
        HttpAnswer::text(409, "This miner is connected, and would be known again at once. Unplug it first.\n")
    })
}

fn first_characters(name: &str) -> &str {
    &name[..name.char_indices().nth(8).map_or(name.len(), |(end, _)| end)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::page::tests::{change, gone, miner, status};

    #[test]
    fn a_change_without_effect_is_refused_with_a_sentence() {
        let mut now = status();
        let last_seen = now.at;
        change(&mut now, |snapshot| {
            snapshot.miners = vec![miner(1, "here")];
            snapshot.known_workers = [gone("away", last_seen)].into();
            snapshot.shown_names.set("forgotten", "Attic");
        });
        let (sender, receiver) = crossbeam_channel::unbounded();
        let refused = |now: &StatusSnapshot, key: &str, name: Option<&str>| {
            refusal(now, key, name).map(|answer| (answer.status, String::from_utf8(answer.body).unwrap()))
        };
        let code = |key: &str, name: Option<&str>| refused(&now, key, name).map(|(status, _)| status);
        assert_eq!([code("here", Some("K")), code("away", Some("K")), code("away", None)], [None; 3]);
        assert_eq!([code("x", Some("K")), code("x", Some("")), code("x", None)], [Some(404); 3]);
        assert_eq!(code("here", None), Some(409));
        assert_eq!(code("forgotten", Some("K")), Some(404));
        assert_eq!([code("forgotten", Some("")), code("forgotten", None)], [None; 2]);
        let snapshots = StatusSnapshots::fixed(now.clone());
        let answer = answer_form("/miner/forget", b"worker=here", &snapshots, Some(&sender)).unwrap();
        assert!(answer.status == 409 && receiver.is_empty(), "nothing is asked of the analyzer");

        change(&mut now, |snapshot| {
            for number in 0..ShownNames::MAX {
                snapshot.shown_names.set(&format!("w{number}"), "x");
            }
        });
        let full = refused(&now, "here", Some("K")).unwrap();
        assert!(full.0 == 409 && full.1.contains("names for 1,000 miners"), "{full:?}");
        assert_eq!(refused(&now, "here", Some("")), None);
    }
}
