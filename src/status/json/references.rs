//! The references in `/status`.

use serde::Serialize;

use super::value::Time;
use crate::reference::ReferenceView;
use crate::status::snapshot::StatusSnapshot;
use crate::work::parent_hash;

/// One reference.
#[derive(Debug, Serialize)]
pub(super) struct ReferenceJson<'a> {
    name: &'a str,
    kind: &'static str,
    connected: bool,
    error: Option<&'a str>,
    height: Option<u32>,
    prevhash: Option<String>,
    since: Option<Time>,
}

/// Lists the references in the order of the configuration.
pub(super) fn references(sight: &StatusSnapshot) -> Vec<ReferenceJson<'_>> {
    sight.around.references.iter().map(|view| ReferenceJson::of(sight, view)).collect()
}

impl<'a> ReferenceJson<'a> {
    fn of(sight: &StatusSnapshot, view: &'a ReferenceView) -> ReferenceJson<'a> {
        let tip = view.tip.as_ref();
        ReferenceJson {
            name: &view.name,
            kind: view.kind.as_str(),
            connected: view.is_connected,
            error: view.error.as_deref(),
            height: tip.map(|tip| tip.height.0),
            prevhash: tip.map(|tip| parent_hash(&tip.prevhash).to_string()),
            since: tip.map(|tip| Time(sight.time_of(tip.at))),
        }
    }
}
