//! The references in `/status`.

use serde::Serialize;

use super::value::TimeJson;
use crate::reference::ReferenceView;
use crate::status::snapshot::StatusSnapshot;
use crate::work::parent_hash;

#[derive(Debug, Serialize)]
pub(super) struct ReferenceJson<'a> {
    name: &'a str,
    kind: &'static str,
    connected: bool,
    error: Option<&'a str>,
    height: Option<u32>,
    prevhash: Option<String>,
    since: Option<TimeJson>,
}

/// Lists the references in the order of the configuration.
pub(super) fn references(status: &StatusSnapshot) -> Vec<ReferenceJson<'_>> {
    status.runtime.references.iter().map(|view| ReferenceJson::of(status, view)).collect()
}

impl<'a> ReferenceJson<'a> {
    fn of(status: &StatusSnapshot, view: &'a ReferenceView) -> ReferenceJson<'a> {
        let tip = view.tip.as_ref();
        ReferenceJson {
            name: &view.name,
            kind: view.kind.as_str(),
            connected: view.is_connected,
            error: view.error.as_deref(),
            height: tip.map(|tip| tip.height.0),
            prevhash: tip.map(|tip| parent_hash(&tip.prevhash).to_string()),
            since: tip.map(|tip| TimeJson(status.time_of(tip.at))),
        }
    }
}
