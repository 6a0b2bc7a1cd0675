//! `/status`: everything in one document. The first eight names, `vardiff` and `ratelimit` are those
//! of the original proxy. Their types never change, so they are never `null`.

use serde::Serialize;

use super::miners::{MinersJson, OfflineJson};
use super::upstreams::briefs;
use super::value::{PairsJson, TimeJson, best_share, windows};
use super::verdict::{chain, payout};
use super::{alerts, counts, health, text};
use crate::analyzer::CreditView;
use crate::pool_stats::{CreditVerdict, StatsHealth};
use crate::reference::ReferenceView;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::stratum::Difficulty;
use crate::upstream::PoolStatus;
use crate::work::parent_hash;

pub fn status(status: &StatusSnapshot) -> String {
    let (program, snapshot, runtime) = (&status.program, &status.snapshot, &status.runtime);
    let totals = snapshot.totals.as_ref();
    // The miner that has been connected longest, since sessions are listed in order. A connection that
    // miners share comes before the miners' own parts of it.
    let mut sessions = snapshot.shared.iter().chain(&snapshot.miners);
    let first = sessions.find_map(|one| Some((one.extranonce1.as_ref()?, one)));
    let references = runtime.references.iter().map(|view| reference(view, status));
    text(&object!(
        upstream = runtime.upstreams.iter().any(|one| one.sessions > 0 && one.standing == PoolStatus::Up),
        extranonce1 = first.map(|(extranonce1, _)| extranonce1.to_string()).unwrap_or_default(),
        extranonce2_size = first.and_then(|(_, miner)| miner.extranonce2_size).map_or(0, |size| size.bytes()),
        last_notify_unix = totals.and_then(|totals| totals.last_job).map_or(0, |at| at.unix_seconds()),
        last_diff = newest_difficulty(status).unwrap_or(0.0),
        shares_ok = totals.map_or(0, |totals| totals.accepted),
        shares_bad = totals.map_or(0, |totals| totals.rejected),
        clients = MinersJson { status, miners: snapshot.miners.iter().collect() },
        offline = OfflineJson { status, workers: status.offline_workers().collect() },
        shared = MinersJson { status, miners: snapshot.shared.iter().collect() },
        vardiff = counts::vardiff(status),
        ratelimit = health::rate_limit(status),
        mode = program.config.mode.as_str(),
        version = program.version,
        at = TimeJson(status.at),
        started = TimeJson(program.started),
        uptime_seconds = status.up_for.as_secs_f64(),
        analysis = program.config.analysis.enabled,
        listening = &program.listening,
        hashrate = PairsJson(windows(&snapshot.hash_rates)),
        shares = counts::shares(status),
        blocks = totals.map_or(0, |totals| totals.blocks),
        best = PairsJson([
            ("run", snapshot.bests.run.as_ref().map(best_share)),
            ("day", snapshot.bests.day.as_ref().map(best_share)),
            ("ever", snapshot.best_ever.as_ref().map(best_share)),
        ]),
        payout = payout(status, verdicts::payout(snapshot)),
        chain = chain(status, verdicts::chain(snapshot)),
        alerts = alerts::summary(status),
        upstreams = briefs(status),
        references = references.collect::<Vec<_>>(),
        forwarding = counts::forwarding(status),
        ntp = health::ntp(snapshot.clock.as_ref()),
        recording = snapshot.recording.as_ref().map(health::recording),
        threads = health::threads(status),
        pool_stats = runtime.pool_stats.as_ref().map(|health| pool_stats(health, snapshot.credit.as_ref())),
        notify = &runtime.recipients,
        lifetime = counts::lifetime(&snapshot.lifetime),
    ))
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

fn reference(view: &ReferenceView, status: &StatusSnapshot) -> impl Serialize {
    let tip = view.tip.as_ref();
    object!(
        name = &*view.name,
        kind = view.kind.as_str(),
        connected = view.is_connected,
        error = &view.error,
        height = tip.map(|tip| tip.height.0),
        prevhash = tip.map(|tip| parent_hash(&tip.prevhash).to_string()),
        since = tip.map(|tip| TimeJson(status.time_of(tip.at))),
    )
}

/// The statistics that the pool publishes, and their comparison with the proven work.
fn pool_stats(health: &StatsHealth, credit: Option<&CreditView>) -> impl Serialize {
    let figures = credit.map(|credit| &credit.figures);
    let rate = figures.and_then(|figures| figures.hash_rate);
    let (verdict, credited, proven) = match credit.map(|credit| credit.verdict) {
        Some(CreditVerdict::CreditsLess { credited, proven, .. }) => {
            ("credits_less", Some(credited), Some(proven))
        }
        Some(CreditVerdict::Agrees) => ("agrees", None, None),
        Some(CreditVerdict::Unknown) | None => ("unknown", None, None),
    };
    object!(
        answered = health.answered,
        failed = health.failed,
        last_error = &health.last_error,
        at = figures.map(|figures| TimeJson(figures.at)),
        hashrate = rate.map(|rate| rate.per_second),
        hashrate_window_seconds = rate.and_then(|rate| rate.window).map(|window| window.as_secs()),
        credited_total = figures.and_then(|figures| figures.accepted_difficulty_total),
        last_share_unix = figures.and_then(|figures| figures.last_share),
        workers = figures.and_then(|figures| figures.workers),
        best = figures.and_then(|figures| figures.best),
        verdict = verdict,
        credited = credited,
        proven = proven,
    )
}
