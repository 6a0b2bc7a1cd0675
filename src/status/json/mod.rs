//! The JSON documents `/status` and `/api/…`. Each is a pure function of one snapshot.
//!
//! Names and units: `docs/api.md`. An unknown value is `null`, never a missing key. A number that is
//! not finite is `null` as well. Texts from the network are escaped as in every other output
//! ([`escape`](crate::util::escape)), so that a tool that prints them can't be made to drive a terminal.

/// An [`Object`](object::Object) with these keys and values.
macro_rules! object {
    (@) => { () };
    (@ $key:ident = $value:expr $(, $($rest:tt)*)?) => {
        (stringify!($key), $value, object!(@ $($($rest)*)?))
    };
    ($($fields:tt)+) => { $crate::status::json::object::Object(object!(@ $($fields)+)) };
}

mod alerts;
mod counts;
mod devices;
mod events;
mod health;
mod history;
mod jobs;
mod miner;
mod miners;
mod object;
mod query;
mod shares;
mod status;
mod upstreams;
pub(super) mod value;
mod verdict;

use serde::Serialize;

use super::server::HttpAnswer;
use super::snapshot::StatusSnapshot;
use crate::util::escape::to_json;
use query::{JsonQuery, JsonQueryError};

pub use status::status;

/// The document at `path`, or `None` if there is none. `query` looks up a parameter's decoded value.
pub fn api(
    path: &str,
    query: impl Fn(&str) -> Option<String>,
    status: &StatusSnapshot,
) -> Option<HttpAnswer> {
    let query = JsonQuery(&query);
    let document = match path {
        "/status" => Ok(status::status(status)),
        "/api/miner" => match miner::miner(status, &query) {
            Some(document) => Ok(document),
            None => return Some(HttpAnswer { status: 404, ..HttpAnswer::json(miner::unknown_miner()) }),
        },
        "/api/miners" => miners::miners(status, &query),
        "/api/devices" => devices::devices(status, &query),
        "/api/shares" => shares::shares(status, &query),
        "/api/alerts" => alerts::alerts(status, &query),
        "/api/events" => events::events(status, &query),
        "/api/jobs" => jobs::jobs(status, &query),
        "/api/upstreams" => Ok(upstreams::upstreams(status)),
        "/api/history" => history::history(status, &query),
        _ => return None,
    };
    Some(match document {
        Ok(document) => HttpAnswer::json(document),
        Err(JsonQueryError(error)) => {
            HttpAnswer { status: 400, ..HttpAnswer::json(text(&object!(error = error))) }
        }
    })
}

fn text(document: &impl Serialize) -> String {
    // Writing to memory, with texts as keys, can't fail.
    to_json(document).unwrap_or_else(|why| {
        log::error!("a status document can't be written: {why}");
        "{\"error\":\"this document can't be written\"}".to_owned()
    })
}
