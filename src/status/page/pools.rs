//! The upstreams in order of preference, with their health.

use maud::{Markup, html};

use super::activity::is_still_used;
use super::{Tone, list_item};
use crate::status::snapshot::StatusSnapshot;
use crate::upstream::{PoolStatus, UpstreamState};
use crate::util::format::{ago, count, delay, grouped, span};

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    html! {
        section.pools #pools data-live {
            h2 { "Pools" }
            ol {
                @for (place, state) in status.runtime.listed() {
                    (item(status, place + 1, state))
                }
            }
        }
    }
}

fn item(status: &StatusSnapshot, number: usize, state: &UpstreamState) -> Markup {
    let pool = status.pool(number - 1);
    let is_heard = state.heard_ago.is_none_or(|heard| heard < status.program.config.failover.silence_timeout);
    let (tone, text) = match state.standing {
        PoolStatus::Up if state.sessions == 0 => (Tone::Neutral, "not in use; it answered when last asked"),
        PoolStatus::Up if is_heard => (Tone::Good, "up"),
        PoolStatus::Up => (Tone::Warn, "silent"),
        PoolStatus::Failed if state.gives_no_work => (Tone::Bad, "gives no work"),
        PoolStatus::Failed if is_still_used(status, number - 1, state) => {
            (Tone::Warn, "takes no new connection")
        }
        PoolStatus::Failed => (Tone::Bad, "down"),
        PoolStatus::Blocked => (Tone::Bad, "out of rotation"),
        PoolStatus::Untried => (Tone::Neutral, "not tried yet"),
    };
    let details = html! {
        span {
            (text) ", " (count(state.sessions as u64, "miner"))
            @if let Some(heard) = state.heard_ago.filter(|_| state.sessions > 0) { ", last heard " (ago(heard)) }
        }
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
                (delay(pool.answers.quantile(0.5))) ", p99 " (delay(pool.answers.quantile(0.99))) ", since the start"
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
