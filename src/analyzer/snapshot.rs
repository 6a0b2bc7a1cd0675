//! What there is to see, published by the analyzer for whoever shows it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::accounting::Accounting;
use super::alerts::AlertsView;
use super::best_shares::BestShares;
use super::hashrate::HashRates;
use super::pools::PoolView;
use super::recent::RecentView;
use super::rules::CreditView;
use super::session::AnalyzedSession;
use super::verdicts::PayoutState;
use super::{AnalyzerCounts, History, Totals};
use crate::clock::{ClockState, NtpTime};
use crate::net::Stamp;
use crate::record::{BestShare, LifetimeCounts, RecordingHealth};
use crate::stratum::{Extranonce1, Extranonce2Size};
use crate::tap::{Role, SessionId};

/// One moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When it was made; `None` before the first moment was published.
    pub at: Option<NtpTime>,
    pub up_for: Duration,
    pub summary: AnalyzerCounts,
    /// `None` before the first moment was published.
    pub totals: Option<Totals>,
    pub hash_rates: HashRates,
    pub bests: BestShares,
    pub best_ever: Option<BestShare>,
    pub lifetime: LifetimeCounts,
    /// The charts' time series.
    pub history: Arc<History>,
    pub miners: Vec<MinerView>,
    /// Connections to pools that carry the work of many miners, as if each were one.
    pub shared: Vec<MinerView>,
    pub pools: Vec<PoolView>,
    pub recent: RecentView,
    pub alerts: AlertsView,
    /// What the pool publishes, judged; `None` when it is not asked, or has not answered.
    pub credit: Option<CreditView>,
    pub clock: Option<ClockState>,
    /// How the recording goes; `None` when nothing is recorded.
    pub recording: Option<RecordingHealth>,
}

/// One connected miner.
#[derive(Debug, Clone)]
pub struct MinerView {
    pub session: SessionId,
    pub miner: SocketAddr,
    pub worker: String,
    pub user_agent: String,
    pub upstream: Option<usize>,
    /// What the pool asks for now.
    pub difficulty: f64,
    /// When the pool set it; `None` while it has set none, and 1 holds.
    pub difficulty_since: Option<NtpTime>,
    /// The best share's own difficulty, in this session.
    pub best: f64,
    pub accepted: u64,
    pub rejected: u64,
    /// Shares that the pool has not answered in `analysis.share_timeout`.
    pub unanswered: u64,
    /// Shares of which nobody knows what the pool said.
    pub unknown: u64,
    pub hash_rates: HashRates,
    pub connected_for: Duration,
    pub connected_since: NtpTime,
    pub last_share_ago: Option<Duration>,
    pub last_share: Option<NtpTime>,
    pub stale: u64,
    /// Sum of what was asked for, over accepted shares.
    pub accepted_difficulty: f64,
    /// The best share that its worker ever found.
    pub best_ever: Option<BestShare>,
    pub extranonce1: Option<Extranonce1>,
    pub extranonce2_size: Option<Extranonce2Size>,
    /// Of what it works on.
    pub payout: Option<PayoutState>,
}

impl Snapshot {
    pub(super) fn of(
        ledger: &mut Accounting,
        sessions: &HashMap<SessionId, AnalyzedSession>,
        (up_for, stale_job): (Duration, Duration),
        now: Stamp,
    ) -> Snapshot {
        let pools = ledger.pools.view(sessions.values(), now, stale_job);
        let views = |is_such: fn(Role) -> bool| {
            let such = sessions.values().filter(|session| is_such(session.conversation.role));
            let mut views: Vec<_> =
                such.map(|session| MinerView::of(session, ledger, sessions, (now, stale_job))).collect();
            views.sort_by_key(|view| view.session);
            views
        };
        let (miners, shared) = (views(Role::is_with_miner), views(|role| role == Role::Pool));
        Snapshot {
            at: Some(ledger.correct(now)),
            up_for,
            summary: ledger.summary.clone(),
            hash_rates: ledger.totals.hash_rates(now),
            totals: Some(ledger.totals.clone()),
            bests: ledger.bests.clone(),
            best_ever: ledger.state.best().first().cloned(),
            lifetime: ledger.state.lifetime.clone(),
            history: ledger.history.clone(),
            miners,
            shared,
            pools,
            recent: ledger.recent.view(),
            alerts: ledger.alerts.view(),
            credit: ledger.credit().cloned(),
            clock: Some(ledger.clock_state()),
            recording: ledger.recording(),
        }
    }
}

impl MinerView {
    pub(super) fn of(
        session: &AnalyzedSession,
        ledger: &Accounting,
        sessions: &HashMap<SessionId, AnalyzedSession>,
        (now, stale_job): (Stamp, Duration),
    ) -> MinerView {
        let (conversation, tally) = (&session.conversation, &session.tally);
        let (extranonce1, extranonce2_size) = session.extranonce();
        MinerView {
            session: conversation.id,
            miner: conversation.miner(),
            worker: session.worker().to_owned(),
            user_agent: session.user_agent.clone(),
            upstream: conversation.upstream(),
            difficulty: session.difficulty().value(),
            difficulty_since: session.difficulty_set.map(|set| ledger.correct(set)),
            best: tally.best,
            accepted: tally.accepted,
            rejected: tally.rejected,
            unanswered: tally.unanswered,
            unknown: tally.unknown,
            hash_rates: session.meter.rates(now),
            connected_for: now.since(session.opened).unwrap_or_default(),
            connected_since: ledger.correct(session.opened),
            last_share_ago: tally.last_share.and_then(|last| now.since(last)),
            last_share: tally.last_share.map(|last| ledger.correct(last)),
            stale: tally.stale,
            accepted_difficulty: tally.accepted_difficulty,
            best_ever: ledger.state.best_of(session.worker()).cloned(),
            extranonce1: extranonce1.cloned(),
            extranonce2_size,
            payout: match conversation.role {
                // Who is paid is settled between this program and the pool.
                Role::Miner => conversation.carrier().and_then(|carrier| sessions.get(&carrier)),
                Role::Direct | Role::Pool => Some(session),
            }
            .and_then(|session| session.badness(now, stale_job))
            .map(|(payout, _)| payout),
        }
    }
}
