//! The way of a share: from the miner to Sluice, through Sluice, to the pool and back, with the time of each leg.

use maud::{Markup, html};

use super::summary::recent_answer;
use super::{pool_in_use, pool_name};
use crate::analyzer::Latency;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{ago, delay, span};

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let up = &status.snapshot.summary.latency_up;
    html! {
        section.path #path data-live {
            h2 { "The way of a share" }
            ol {
                li {
                    strong { "miner → Sluice" }
                    span.figure { "not known" }
                    span.quiet { "a share does not say when it was found" }
                }
                li {
                    strong { "through Sluice" }
                    @if up.count() == 0 { span.figure { "–" } span.quiet { "nothing forwarded yet" } } @else {
                        span.figure { (delay(up.quantile(0.5))) }
                        span.quiet { "median, p99 " (delay(up.quantile(0.99))) ", since the start, " (span(status.up_for)) }
                    }
                }
                (pool_leg(status))
            }
        }
    }
}

/// From the pool's receipt of the share to its answer, the network both ways included.
fn pool_leg(status: &StatusSnapshot) -> Markup {
    let pool = pool_in_use(&status.snapshot).filter(|pool| pool.answers.count() > 0);
    let recent = pool.and_then(|pool| recent_answer(status, pool));
    html! {
        li {
            strong { "to the pool and back" }
            @match (pool, recent) {
                (Some(pool), Some(median)) => {
                    span.figure { (delay(median)) }
                    span.quiet { "median of the newest, p99 " (p99(&pool.answers)) " since the start; " (pool_name(status, pool)) }
                }
                (Some(pool), None) => {
                    span.figure.old { (delay(pool.answers.quantile(0.5))) }
                    span.quiet {
                        "last answer "
                        @if let Some(last) = pool.last_answer { (ago(status.age_of(status.time_of(last)))) } @else { "long ago" }
                        "; " (pool_name(status, pool))
                    }
                }
                (None, _) => { span.figure { "–" } span.quiet { "no share was answered yet" } }
            }
        }
    }
}

fn p99(latency: &Latency) -> String {
    delay(latency.quantile(0.99))
}
