//! The JSON documents `/status` and `/api/…`. Each is a pure function of one snapshot.
//!
//! Names and units: `docs/api.md`. An unknown value is `null`, never a missing key. A number that is
//! not finite is `null` as well. Texts from the network are escaped as in every other output
//! ([`escape`](crate::util::escape)), so that a tool that prints them can't be made to drive a terminal.

/// Writes a JSON object to a serializer: its keys in this order, each with its value.
macro_rules! object {
    ($to:expr, $($key:ident = $value:expr),+ $(,)?) => {{
        let mut object = serde::Serializer::serialize_map($to, None)?;
        $(serde::ser::SerializeMap::serialize_entry(&mut object, stringify!($key), &$value)?;)+
        serde::ser::SerializeMap::end(object)
    }};
}

mod alerts;
mod counts;
mod events;
mod external;
mod forwarding;
mod health;
mod history;
mod jobs;
mod miners;
mod query;
mod shares;
mod status;
mod upstreams;
pub(super) mod value;
mod verdict;

use serde::Serialize;

use super::snapshot::StatusSnapshot;
use crate::util::escape::to_json;
use query::{JsonQuery, JsonQueryError};
use value::PairsJson;

pub use status::status;

/// A reply with its HTTP status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonReply {
    /// 200 or 400.
    pub status: u16,
    /// A JSON document.
    pub body: String,
}

/// The document at `path`, or `None` if there is none. `query` looks up a parameter's decoded value.
pub fn api(path: &str, query: impl Fn(&str) -> Option<String>, status: &StatusSnapshot) -> Option<JsonReply> {
    let query = JsonQuery(&query);
    let document = match path {
        "/status" => Ok(status::status(status)),
        "/api/miners" => miners::miners(status, &query),
        "/api/shares" => shares::shares(status, &query),
        "/api/alerts" => alerts::alerts(status, &query),
        "/api/events" => events::events(status, &query),
        "/api/jobs" => jobs::jobs(status, &query),
        "/api/upstreams" => Ok(upstreams::upstreams(status)),
        "/api/history" => history::history(status, &query),
        _ => return None,
    };
    Some(match document {
        Ok(body) => JsonReply { status: 200, body },
        Err(JsonQueryError(error)) => JsonReply { status: 400, body: text(&PairsJson([("error", error)])) },
    })
}

fn text(document: &impl Serialize) -> String {
    // Writing to memory, with texts as keys, can't fail.
    to_json(document).unwrap_or_else(|why| {
        log::error!("a status document can't be written: {why}");
        "{\"error\":\"this document can't be written\"}".to_owned()
    })
}
