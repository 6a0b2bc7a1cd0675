//! The analyzer's snapshot for the page, the JSON and the metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::accounting::Accounting;
use super::alerts::AlertsView;
use super::hashrate::HashRates;
use super::pools::PoolView;
use super::recent::RecentView;
use super::rules::{CreditView, DeviceView, KnownWorkerView};
use super::session::AnalyzedSession;
use super::session_map::SessionMap;
use super::verdicts::PayoutState;
use super::{AnalyzerCounts, BestShares, Totals};
use crate::clock::{ClockState, NtpTime};
use crate::net::Stamp;
use crate::record::{
    BestShare, EventRow, History, LifetimeCounts, RecordingHealth, ShownNames, WorkerHistories,
};
use crate::stratum::{Extranonce1, Extranonce2Size};
use crate::tap::{Role, SessionId};

/// Everything that the analyzer shows, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The time of the snapshot; `None` before the first one.
    pub at: Option<NtpTime>,
    pub up_for: Duration,
    pub summary: AnalyzerCounts,
    /// `None` before the first snapshot.
    pub totals: Option<Totals>,
    pub hash_rates: HashRates,
    pub bests: BestShares,
    pub best_ever: Option<BestShare>,
    pub lifetime: LifetimeCounts,
    /// The time series of the charts.
    pub history: Arc<History>,
    /// The time series of the charts of each worker.
    pub worker_histories: Arc<WorkerHistories>,
    /// The names that people have given to workers.
    pub shown_names: ShownNames,
    pub miners: Vec<MinerView>,
    /// The workers that are remembered, in the order of their names: those connected and those that are gone.
    pub known_workers: Arc<[KnownWorkerView]>,
    /// The devices that are read, in the order of their workers.
    pub devices: Arc<[DeviceView]>,
    /// The pool connections of aggregate mode, each shown like a miner.
    pub shared: Vec<MinerView>,
    pub pools: Vec<PoolView>,
    pub recent: RecentView,
    pub alerts: AlertsView,
    /// The time line, newest first.
    pub events: Arc<[Arc<EventRow>]>,
    /// The verdict on the pool's published figures; `None` if the pool is not asked or has not answered.
    pub credit: Option<CreditView>,
    pub clock: Option<ClockState>,
    /// The health of the recording; `None` if nothing is recorded.
    pub recording: Option<RecordingHealth>,
}

/// One connected miner.
#[derive(Debug, Clone)]
pub struct MinerView {
    pub session: SessionId,
    pub miner: SocketAddr,
    pub worker: Arc<str>,
    pub user_agent: Arc<str>,
    pub upstream: Option<usize>,
    /// The difficulty that the pool asks for now.
    pub difficulty: f64,
    /// The time when the pool set it; `None` if it has set none, so that 1 is in force.
    pub difficulty_since: Option<NtpTime>,
    /// The highest difficulty of a share's hash in this session.
    pub best: f64,
    pub accepted: u64,
    pub rejected: u64,
    /// Shares that the pool has not answered within `analysis.share_timeout`.
    pub unanswered: u64,
    /// Shares whose answer is not known.
    pub unknown: u64,
    pub hash_rates: HashRates,
    pub connected_for: Duration,
    pub connected_since: NtpTime,
    pub last_share_ago: Option<Duration>,
    pub last_share: Option<NtpTime>,
    pub stale: u64,
    /// The sum of the assigned difficulties of accepted shares.
    pub accepted_difficulty: f64,
    /// The best share that this worker ever found.
    pub best_ever: Option<BestShare>,
    pub extranonce1: Option<Extranonce1>,
    pub extranonce2_size: Option<Extranonce2Size>,
    /// The payout verdict on the miner's present work.
    pub payout: Option<PayoutState>,
}

impl Snapshot {
    pub(super) fn of(
        accounting: &mut Accounting,
        sessions: &SessionMap,
        (up_for, stale_job): (Duration, Duration),
        now: Stamp,
    ) -> Snapshot {
        let pools = accounting.pools.view(sessions.values().map(AsRef::as_ref), now, stale_job);
        let views = |is_such: fn(Role) -> bool| {
            let such = sessions.values().filter(|session| is_such(session.conversation.role));
            let mut views: Vec<_> =
                such.map(|session| MinerView::of(session, accounting, sessions, (now, stale_job))).collect();
            views.sort_by_key(|view| view.session);
            views
        };
        let (miners, shared) = (views(Role::is_with_miner), views(|role| role == Role::Pool));
        Snapshot {
            at: Some(accounting.correct(now)),
            up_for,
            summary: accounting.summary.clone(),
            hash_rates: accounting.totals.hash_rates(now),
            totals: Some(accounting.totals.clone()),
            bests: accounting.bests.clone(),
            best_ever: accounting.state.best().first().cloned(),
            lifetime: accounting.state.lifetime.clone(),
            history: accounting.history.clone(),
            worker_histories: accounting.shown_worker_histories.clone(),
            shown_names: accounting.state.shown_names.clone(),
            miners,
            known_workers: accounting.rules.workers.view(),
            devices: accounting.rules.devices.view(),
            shared,
            pools,
            recent: accounting.recent.view(),
            alerts: accounting.alerts.view(),
            events: accounting.events.view(),
            credit: accounting.rules.credit.newest.clone(),
            clock: Some(accounting.clock.state()),
            recording: accounting.recording(),
        }
    }
}

impl MinerView {
    pub(super) fn of(
        session: &AnalyzedSession,
        accounting: &Accounting,
        sessions: &SessionMap,
        (now, stale_job): (Stamp, Duration),
    ) -> MinerView {
        let (conversation, counts) = (&session.conversation, &session.counts);
        let (extranonce1, extranonce2_size) = session.extranonce();
        MinerView {
            session: conversation.id,
            miner: conversation.miner(),
            worker: session.accepted_worker().cloned().unwrap_or_default(),
            user_agent: session.user_agent.clone(),
            upstream: conversation.upstream(),
            difficulty: session.difficulty().value(),
            difficulty_since: session.difficulty_set.map(|set| accounting.correct(set)),
            best: counts.best,
            accepted: counts.accepted,
            rejected: counts.rejected,
            unanswered: counts.unanswered,
            unknown: counts.unknown,
            hash_rates: session.meter.rates(now),
            connected_for: now.since(session.opened).unwrap_or_default(),
            connected_since: accounting.correct(session.opened),
            last_share_ago: counts.last_share.and_then(|last| now.since(last)),
            last_share: counts.last_share.map(|last| accounting.correct(last)),
            stale: counts.stale,
            accepted_difficulty: counts.accepted_difficulty,
            best_ever: accounting.state.best_of(session.worker()).cloned(),
            extranonce1: extranonce1.cloned(),
            extranonce2_size,
            payout: match conversation.role {
                // Jobs come from the pool connection that carries this miner's work.
                Role::Miner => {
                    conversation.carrier().and_then(|carrier| sessions.get(&carrier)).map(AsRef::as_ref)
                }
                Role::Direct | Role::Pool => Some(session),
            }
            .and_then(|session| session.work.badness(now, stale_job))
            .map(|(payout, _)| payout),
        }
    }
}
