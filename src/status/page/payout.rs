//! The outputs of a block, at the pool with the worst payout.

use maud::{Markup, html};

use super::{Tone, pool_name};
use crate::analyzer::{PayoutState, PoolView, Unverifiable};
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let Some(pool) = verdicts::payout(&status.snapshot) else { return html! {} };
    let Some(verdict) = &pool.payout else { return html! {} };
    let (tone, text) = match verdict.state {
        PayoutState::Verified => (Tone::Good, String::from("verified")),
        PayoutState::Short => (Tone::Bad, String::from("too little is yours")),
        PayoutState::Mismatch => (Tone::Bad, String::from("not yours")),
        PayoutState::Unverifiable(why) => (Tone::Neutral, why.to_string()),
    };
    let is_doubtful = matches!(verdict.state, PayoutState::Unverifiable(Unverifiable::Doubt(_)));
    html! {
        section.payout #payout data-live {
            h2 { "What a block would pay " span class=(tone.class()) { (text) } }
            @if is_doubtful {
                p.quiet { "unknown what the newest job of " (pool_name(status, pool)) " would pay" }
            } @else {
                @if pool.outputs.is_empty() { p.quiet { "the coinbase can't be read" } } @else { (outputs(pool)) }
                @if let Some(waste) = verdict.waste() { p { (waste) ": no output claims it" } }
                p.quiet { (verdict.total) " in all, by the newest job of " (pool_name(status, pool)) }
            }
        }
    }
}

fn outputs(pool: &PoolView) -> Markup {
    html! {
        ol.outputs {
            @for output in pool.outputs.iter() {
                li.mine[output.is_expected] {
                    span.percent { (format!("{:.2} %", output.percent)) }
                    span.address { (output.address.as_deref().unwrap_or(output.kind)) }
                    span.amount { (output.value) @if output.is_expected { " · yours" } }
                    // The length comes from an attribute, since the policy allows no inline style.
                    progress max="100" value=(format!("{:.2}", output.percent)) aria-hidden="true" {}
                }
            }
        }
    }
}
