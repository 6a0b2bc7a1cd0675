//! `/status`: everything in one document. The first eight names, `vardiff` and `ratelimit` are those
//! of the original proxy. Their types never change, so they are never `null`.

use serde::Serialize;

use super::alerts::AlertsSummaryJson;
use super::counts::{LifetimeJson, ShareCountsJson, VardiffJson};
use super::external::{PoolStatsJson, RecipientJson};
use super::forwarding::ForwardingJson;
use super::health::{NtpJson, RateLimitJson, RecordingJson, ThreadsJson};
use super::miners::MinersJson;
use super::text;
use super::upstreams::{UpstreamBriefJson, briefs};
use super::value::{BestShareJson, HashRatesJson, TimeJson};
use super::verdict::{ChainJson, PayoutJson};
use crate::reference::ReferenceView;
use crate::status::snapshot::StatusSnapshot;
use crate::stratum::Difficulty;
use crate::upstream::PoolStatus;
use crate::work::parent_hash;

#[derive(Debug, Serialize)]
struct StatusJson<'a> {
    upstream: bool,
    extranonce1: String,
    extranonce2_size: usize,
    last_notify_unix: i64,
    last_diff: f64,
    shares_ok: u64,
    shares_bad: u64,
    clients: MinersJson<'a>,
    shared: MinersJson<'a>,
    vardiff: VardiffJson,
    ratelimit: RateLimitJson,
    mode: &'static str,
    version: &'static str,
    at: TimeJson,
    started: TimeJson,
    uptime_seconds: f64,
    analysis: bool,
    listening: Vec<String>,
    hashrate: HashRatesJson,
    shares: ShareCountsJson<'a>,
    blocks: u64,
    best: BestSharesJson<'a>,
    payout: PayoutJson<'a>,
    chain: ChainJson<'a>,
    alerts: AlertsSummaryJson<'a>,
    upstreams: Vec<UpstreamBriefJson<'a>>,
    references: Vec<ReferenceJson<'a>>,
    forwarding: ForwardingJson,
    ntp: NtpJson,
    recording: Option<RecordingJson<'a>>,
    threads: ThreadsJson<'a>,
    pool_stats: Option<PoolStatsJson<'a>>,
    notify: Vec<RecipientJson<'a>>,
    lifetime: LifetimeJson,
}

#[derive(Debug, Serialize)]
struct BestSharesJson<'a> {
    run: Option<BestShareJson<'a>>,
    day: Option<BestShareJson<'a>>,
    ever: Option<BestShareJson<'a>>,
}

pub fn status(status: &StatusSnapshot) -> String {
    let (program, snapshot, runtime) = (&status.program, &status.snapshot, &status.runtime);
    let totals = snapshot.totals.as_ref();
    // The miner that has been connected longest, since sessions are listed in order. A connection that
    // miners share comes before the miners' own parts of it.
    let mut sessions = snapshot.shared.iter().chain(&snapshot.miners);
    let first = sessions.find_map(|one| Some((one.extranonce1.as_ref()?, one)));
    text(&StatusJson {
        upstream: runtime.upstreams.iter().any(|one| one.sessions > 0 && one.standing == PoolStatus::Up),
        extranonce1: first.map(|(extranonce1, _)| extranonce1.to_string()).unwrap_or_default(),
        extranonce2_size: first.and_then(|(_, miner)| miner.extranonce2_size).map_or(0, |size| size.bytes()),
        last_notify_unix: totals.and_then(|totals| totals.last_job).map_or(0, |at| at.unix_seconds()),
        last_diff: newest_difficulty(status).unwrap_or(0.0),
        shares_ok: totals.map_or(0, |totals| totals.accepted),
        shares_bad: totals.map_or(0, |totals| totals.rejected),
        clients: MinersJson::of(status, snapshot.miners.iter()),
        shared: MinersJson::of(status, snapshot.shared.iter()),
        vardiff: VardiffJson::of(status),
        ratelimit: RateLimitJson::of(status),
        mode: program.config.mode.as_str(),
        version: program.version,
        at: TimeJson(status.at),
        started: TimeJson(program.started),
        uptime_seconds: status.up_for.as_secs_f64(),
        analysis: program.config.analysis.enabled,
        listening: program.listening.iter().map(ToString::to_string).collect(),
        hashrate: HashRatesJson::from(&snapshot.hash_rates),
        shares: ShareCountsJson::of(status),
        blocks: totals.map_or(0, |totals| totals.blocks),
        best: BestSharesJson {
            run: snapshot.bests.run.as_ref().map(BestShareJson::from),
            day: snapshot.bests.day.as_ref().map(BestShareJson::from),
            ever: snapshot.best_ever.as_ref().map(BestShareJson::from),
        },
        payout: PayoutJson::worst(status),
        chain: ChainJson::worst(status),
        alerts: AlertsSummaryJson::of(&snapshot.alerts),
        upstreams: briefs(status),
        references: references(status),
        forwarding: ForwardingJson::of(status),
        ntp: NtpJson::of(snapshot.clock.as_ref()),
        recording: snapshot.recording.as_ref().map(RecordingJson::from),
        threads: ThreadsJson::of(status),
        pool_stats: runtime
            .pool_stats
            .as_ref()
            .map(|health| PoolStatsJson::new(health, snapshot.credit.as_ref())),
        notify: runtime.recipients.iter().map(RecipientJson::from).collect(),
        lifetime: LifetimeJson::from(&snapshot.lifetime),
    })
}

/// The difficulty that a pool last set for a connected miner. Without miners, the difficulty that was
/// assigned to the newest share.
fn newest_difficulty(status: &StatusSnapshot) -> Option<f64> {
    let snapshot = &status.snapshot;
    let sessions = if snapshot.shared.is_empty() { &snapshot.miners } else { &snapshot.shared };
    let set = sessions.iter().filter_map(|one| Some((one.difficulty_since?, one.difficulty)));
    let newest = set.max_by_key(|(since, _)| *since).map(|(_, difficulty)| difficulty);
    let of_share = || snapshot.recent.shares.first()?.assigned_difficulty.map(Difficulty::value);
    newest.or_else(of_share)
}

#[derive(Debug, Serialize)]
struct ReferenceJson<'a> {
    name: &'a str,
    kind: &'static str,
    connected: bool,
    error: Option<&'a str>,
    height: Option<u32>,
    prevhash: Option<String>,
    since: Option<TimeJson>,
}

/// Lists the references in the order of the configuration.
fn references(status: &StatusSnapshot) -> Vec<ReferenceJson<'_>> {
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
