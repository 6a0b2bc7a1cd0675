//! The network as the pool's jobs show it: height, newest block, difficulty, halving.

use std::time::Duration;

use maud::{Markup, html};

use super::activity::Activity;
use super::{pool_in_use, pool_name, time};
use crate::analyzer::{ChainState, JobView, NewestBlock, PoolView};
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{ago, count, grouped, short, span};

const BLOCKS_PER_HALVING: u32 = 210_000;
/// The mean time between two blocks.
const SECONDS_PER_BLOCK: u64 = 600;

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let Some(pool) = pool_in_use(&status.snapshot) else { return html! {} };
    let Some(job) = &pool.job else { return html! {} };
    let is_now = Activity::of(status) == Activity::Working;
    let network =
        pool.chain.as_ref().filter(|chain| chain.state != ChainState::Wrong).map(|chain| chain.network);
    html! {
        section.network #network data-live {
            h2 { "Network " @if let Some(network) = network { span.calm { (network) } } }
            dl.old[!is_now] {
                @if let Some(height) = job.height {
                    // The job is for the block after the newest.
                    div { dt { "newest block" } dd { (grouped(u64::from(height.0).saturating_sub(1))) small { (block_age(status, first_seen(&status.snapshot.pools, job))) } } }
                }
                @if let Some(difficulty) = job.network_difficulty {
                    div { dt { "difficulty" } dd { (short(difficulty)) small { "of the network" } } }
                }
                @if let Some(left) = job.height.and_then(|height| blocks_to_halving(height.0)).filter(|_| network == Some("mainnet")) {
                    div { dt { "next halving" } dd { (grouped(left.into())) small { "blocks, about " (in_years(left)) } } }
                }
            }
            p.quiet {
                "by " @if is_now { "the newest" } @else { "the last" } " job of " (pool_name(status, pool)) ", " (time::moment(status, job.at))
            }
        }
    }
}

/// When the first job came that builds on this job's block, from any pool: after a failover, the pool before had it.
fn first_seen(pools: &[PoolView], job: &JobView) -> Option<NewestBlock> {
    let has_it = |pool: &&PoolView| pool.job.as_ref().is_some_and(|newest| newest.parent == job.parent);
    pools.iter().filter(has_it).filter_map(|pool| pool.newest_block).min_by_key(|block| block.since)
}

/// How long ago the first job came that builds on the block.
fn block_age(status: &StatusSnapshot, block: Option<NewestBlock>) -> String {
    match block {
        Some(NewestBlock { since, is_first_seen: true }) => ago(status.age_of(since)),
        Some(NewestBlock { since, is_first_seen: false }) => {
            format!("more than {}", ago(status.age_of(since)))
        }
        None => String::new(),
    }
}

/// The blocks from the one of this job to the next halving.
fn blocks_to_halving(height: u32) -> Option<u32> {
    let next = (height / BLOCKS_PER_HALVING).checked_add(1)?.checked_mul(BLOCKS_PER_HALVING)?;
    Some(next - height)
}

fn in_years(blocks: u32) -> String {
    let time = Duration::from_secs(u64::from(blocks) * SECONDS_PER_BLOCK);
    let years = time.as_secs_f64() / (365.25 * 86_400.0);
    if years >= 1.0 {
        return format!("{years:.1} years");
    }
    let days = time.as_secs() / 86_400;
    if days >= 2 { count(days, "day") } else { span(time) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::page::tests::pool;
    use crate::stratum::PrevHash;
    use crate::work::parent_hash;

    #[test]
    fn a_failover_keeps_when_a_block_was_first_seen() {
        let block = |at: &str, is_first_seen| NewestBlock { since: at.parse().unwrap(), is_first_seen };
        let (early, late) = (block("2026-11-21T11:40:00Z", true), block("2026-11-21T11:59:44Z", false));
        let with = |newest_block| PoolView { newest_block: Some(newest_block), ..pool() };
        let job = pool().job.unwrap();
        assert_eq!(first_seen(&[with(early), with(late)], &job), Some(early));
        assert_eq!(first_seen(&[with(late)], &job), Some(late));
        // A pool that is behind has another block.
        let mut other = (*job).clone();
        other.parent = parent_hash(&PrevHash::from_wire_bytes([0x22; 32]));
        let behind = PoolView { job: Some(other.into()), ..with(early) };
        assert_eq!(first_seen(&[behind, with(late)], &job), Some(late));
    }

    #[test]
    fn the_halving_is_at_the_next_multiple() {
        assert_eq!(blocks_to_halving(967_018), Some(82_982));
        assert_eq!(blocks_to_halving(1_050_000), Some(210_000));
        assert_eq!(blocks_to_halving(u32::MAX), None);
        assert_eq!((in_years(82_982), in_years(1000)), ("1.6 years".into(), "6 days".into()));
        assert_eq!(in_years(3), "30 min");
    }
}
