//! `/status`: everything in one document. The first eight names, `vardiff` and `ratelimit` are those
//! of the original proxy. Their types never change, so they are never `null`.

use serde::{Serialize, Serializer};

use super::alerts::AlertsSummaryJson;
use super::counts::{LifetimeJson, ShareCountsJson, VardiffJson};
use super::external::PoolStatsJson;
use super::forwarding::ForwardingJson;
use super::health::{NtpJson, RateLimitJson, RecordingJson, ThreadsJson};
use super::miners::MinersJson;
use super::text;
use super::upstreams::briefs;
use super::value::{BestShareJson, PairsJson, TimeJson, windows};
use super::verdict::{ChainJson, PayoutJson};
use crate::reference::ReferenceView;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::stratum::Difficulty;
use crate::upstream::PoolStatus;
use crate::work::parent_hash;

struct StatusJson<'a>(&'a StatusSnapshot);

struct ReferenceJson<'a> {
    status: &'a StatusSnapshot,
    view: &'a ReferenceView,
}

pub fn status(status: &StatusSnapshot) -> String {
    text(&StatusJson(status))
}

impl Serialize for StatusJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let StatusJson(status) = *self;
        let (program, snapshot, runtime) = (&status.program, &status.snapshot, &status.runtime);
        let totals = snapshot.totals.as_ref();
        // The miner that has been connected longest, since sessions are listed in order. A connection that
        // miners share comes before the miners' own parts of it.
        let mut sessions = snapshot.shared.iter().chain(&snapshot.miners);
        let first = sessions.find_map(|one| Some((one.extranonce1.as_ref()?, one)));
        let references = runtime.references.iter().map(|view| ReferenceJson { status, view });
        let pool_stats = runtime.pool_stats.as_ref();
        object!(
            to,
            upstream = runtime.upstreams.iter().any(|one| one.sessions > 0 && one.standing == PoolStatus::Up),
            extranonce1 = first.map(|(extranonce1, _)| extranonce1.to_string()).unwrap_or_default(),
            extranonce2_size =
                first.and_then(|(_, miner)| miner.extranonce2_size).map_or(0, |size| size.bytes()),
            last_notify_unix = totals.and_then(|totals| totals.last_job).map_or(0, |at| at.unix_seconds()),
            last_diff = newest_difficulty(status).unwrap_or(0.0),
            shares_ok = totals.map_or(0, |totals| totals.accepted),
            shares_bad = totals.map_or(0, |totals| totals.rejected),
            clients = MinersJson { status, miners: snapshot.miners.iter().collect() },
            shared = MinersJson { status, miners: snapshot.shared.iter().collect() },
            vardiff = VardiffJson(status),
            ratelimit = RateLimitJson(status),
            mode = program.config.mode.as_str(),
            version = program.version,
            at = TimeJson(status.at),
            started = TimeJson(program.started),
            uptime_seconds = status.up_for.as_secs_f64(),
            analysis = program.config.analysis.enabled,
            listening = program.listening,
            hashrate = PairsJson(windows(&snapshot.hash_rates)),
            shares = ShareCountsJson(status),
            blocks = totals.map_or(0, |totals| totals.blocks),
            best = PairsJson([
                ("run", snapshot.bests.run.as_ref().map(BestShareJson)),
                ("day", snapshot.bests.day.as_ref().map(BestShareJson)),
                ("ever", snapshot.best_ever.as_ref().map(BestShareJson)),
            ]),
            payout = PayoutJson { status, pool: verdicts::payout(snapshot) },
            chain = ChainJson { status, pool: verdicts::chain(snapshot) },
            alerts = AlertsSummaryJson(status),
            upstreams = briefs(status).collect::<Vec<_>>(),
            references = references.collect::<Vec<_>>(),
            forwarding = ForwardingJson(status),
            ntp = NtpJson::of(snapshot.clock.as_ref()),
            recording = snapshot.recording.as_ref().map(RecordingJson),
            threads = ThreadsJson(status),
            pool_stats = pool_stats.map(|health| PoolStatsJson(health, snapshot.credit.as_ref())),
            notify = runtime.recipients,
            lifetime = LifetimeJson(&snapshot.lifetime),
        )
    }
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

impl Serialize for ReferenceJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let ReferenceJson { status, view } = self;
        let tip = view.tip.as_ref();
        object!(
            to,
            name = &*view.name,
            kind = view.kind.as_str(),
            connected = view.is_connected,
            error = view.error,
            height = tip.map(|tip| tip.height.0),
            prevhash = tip.map(|tip| parent_hash(&tip.prevhash).to_string()),
            since = tip.map(|tip| TimeJson(status.time_of(tip.at))),
        )
    }
}
