//! The best share, and the odds of a block.

use maud::{Markup, html};

use super::activity::Activity;
use super::{pool_in_use, time};
use crate::analyzer::ChainState;
use crate::record::BestShare;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{count, in_words, odds, short, time_to_block};
use crate::work::blocks_per_day;

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let snapshot = &status.snapshot;
    let network = network_difficulty(status);
    let best = snapshot.best_ever.as_ref().or(snapshot.bests.run.as_ref());
    let expected = blocks_per_day(snapshot.hash_rates.one_hour.max(snapshot.hash_rates.one_day), network);
    let is_other_coin = is_other_coin(status);
    let is_mining = matches!(Activity::of(status), Activity::Working | Activity::OldWork);
    html! {
        section.odds #odds data-live {
            div.card.gold {
                h2 { "Best share ever" }
                @match best {
                    Some(best) => {
                        p.figure { (short(best.difficulty.value())) }
                        p {
                            (time::date(best.at)) ", " span title=(best.worker) { (status.snapshot.shown_names.name_of(&best.worker)) }
                            @if let Some(network) = network { br; (closeness(best, network)) }
                        }
                    }
                    None => { p.figure { "–" } p { "no accepted share yet" } }
                }
                @if let Some(today) = snapshot.bests.day.as_ref().filter(|today| best.is_none_or(|best| best.hash != today.hash)) { p.quiet { "today (UTC) " (short(today.difficulty.value())) } }
            }
            div.card {
                h2 { "Odds per day" }
                @match expected {
                    // Nobody mines, so there are none.
                    Some(_) if !is_mining => { p.figure.old { "none" } p { "while nobody mines" } }
                    Some(expected) => {
                        p.figure { (odds(expected)) }
                        p { "one block in " (time_to_block(expected)) " on average" }
                    }
                    None if is_other_coin => { p.figure.old { "none" } p { "the work is not Bitcoin's" } }
                    None => { p.figure.old { "–" } p { "known after the first shares" } }
                }
                @if snapshot.lifetime.blocks > 0 {
                    p.quiet { (count(snapshot.lifetime.blocks, "share")) " met the network's target so far, over all runs" }
                }
            }
        }
    }
}

fn network_difficulty(status: &StatusSnapshot) -> Option<f64> {
    if is_other_coin(status) {
        return None;
    }
    let of_pool = pool_in_use(&status.snapshot).and_then(|pool| pool.job.as_ref()?.network_difficulty);
    of_pool.or(status.snapshot.totals.as_ref().and_then(|totals| totals.network_difficulty))
}

/// Whether the pool in use works on another coin, whose difficulty says nothing about Bitcoin's blocks.
fn is_other_coin(status: &StatusSnapshot) -> bool {
    let chain = pool_in_use(&status.snapshot).and_then(|pool| pool.chain.as_ref());
    chain.is_some_and(|chain| chain.state == ChainState::Wrong)
}

fn closeness(best: &BestShare, network: f64) -> String {
    let part = best.difficulty.value() / network;
    if part >= 1.0 {
        String::from("meets the network's difficulty")
    } else if part >= 0.001 {
        format!("{:.1} % of a block", part * 100.0)
    } else {
        format!("a block needs {} × more", in_words(1.0 / part))
    }
}
