//! The upstreams in order of preference, with their health.

use maud::{Markup, html};

use super::{Tone, list_item};
use crate::analyzer::PoolView;
use crate::status::snapshot::StatusSnapshot;
use crate::upstream::{PoolStatus, UpstreamState};
use crate::util::format::{ago, count, delay, grouped, span};

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    html! {
        section.pools #pools data-live {
            h2 { "Pools" }
            ol {
                @for (place, state) in status.runtime.listed() {
                    (item(place + 1, state, status.pool(place)))
                }
            }
        }
    }
}

fn item(number: usize, state: &UpstreamState, pool: Option<&PoolView>) -> Markup {
    let (tone, text) = match state.standing {
        PoolStatus::Up => (Tone::Good, "up"),
        PoolStatus::Failed if state.gives_no_work => (Tone::Bad, "gives no work"),
        PoolStatus::Failed => (Tone::Bad, "down"),
        PoolStatus::Blocked => (Tone::Bad, "out of rotation"),
        PoolStatus::Untried => (Tone::Neutral, "not needed yet"),
    };
    let details = html! {
        span { (text) ", " (count(state.sessions as u64, "miner")) }
        @if state.rank.is_none() {
            span { "removed from the configuration; its miners move as soon as another pool works" }
        }
        @if let Some(why) = &state.blocked {
            span { (why) "; cleared by a restart, or by POST /api/upstreams/" (number) "/clear with the token" }
        }
        @if let Some((why, left)) = &state.trouble {
            span { (why) "; retry in " (span(*left)) }
        }
        @if let Some(pool) = pool { @if pool.accepted + pool.rejected > 0 {
            span {
                (grouped(pool.accepted)) " accepted, " (grouped(pool.rejected)) " rejected; answers in "
                (delay(pool.answers.quantile(0.5))) ", p99 " (delay(pool.answers.quantile(0.99)))
            }
        } }
        @if let Some(block) = pool.and_then(|pool| pool.new_block) {
            span {
                "new block " (ago(block.age)) ": at " (count(block.miners as u64, "miner")) " within "
                (delay(block.time))
                @if block.blocks > 1 { ", median of " (block.blocks) " blocks " (delay(block.median)) }
            }
        }
        @if let Some(tag) = pool.and_then(|pool| pool.job.as_ref()?.tag.as_ref()) {
            span.tag { "“" (tag) "”" }
        }
    };
    list_item(tone, &state.name, details)
}
