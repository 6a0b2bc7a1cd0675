//! The references, if any: the block that each works on, or its error.

use maud::{Markup, html};

use super::{Tone, list_item};
use crate::reference::ReferenceView;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{grouped, span};
use crate::work::parent_hash;

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let views = &status.runtime.references;
    html! {
        @if !views.is_empty() {
            section.references #references data-live {
                h2 { "References" }
                ol { @for view in views { (item(status, view)) } }
            }
        }
    }
}

fn item(status: &StatusSnapshot, view: &ReferenceView) -> Markup {
    let (tone, state) = match (view.is_connected, &view.error) {
        (true, None) => (Tone::Good, "connected"),
        (true, Some(_)) => (Tone::Warn, "connected"),
        (false, None) => (Tone::Neutral, "not connected yet"),
        (false, Some(_)) => (Tone::Bad, "failed"),
    };
    let details = html! {
        span { "a " (view.kind) ", " (state) }
        @if let Some(error) = &view.error { span { (error) } }
        @if let Some(tip) = &view.tip {
            span title=(parent_hash(&tip.prevhash)) {
                "block " (grouped(tip.height.0.into())) " for " (span(status.age_of(status.time_of(tip.at))))
            }
        }
    };
    list_item(tone, &view.name, details)
}
