//! What there is to see, published by the analyzer for whoever shows it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::hashrate::HashRates;
use super::ledger::{Bests, Ledger};
use super::session::Session;
use super::{History, SessionId, Summary, Totals};
use crate::clock::ClockState;
use crate::net::Stamp;
use crate::record::{BestShare, Health, Lifetime};

/// One moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub up_for: Duration,
    pub summary: Summary,
    /// `None` before the first moment was published.
    pub totals: Option<Totals>,
    pub hash_rates: HashRates,
    pub bests: Bests,
    pub best_ever: Option<BestShare>,
    pub lifetime: Lifetime,
    /// The charts' time series.
    pub history: Arc<History>,
    pub miners: Vec<MinerView>,
    pub clock: Option<ClockState>,
    /// How the recording goes; `None` when nothing is recorded.
    pub recording: Option<Health>,
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
    /// The best share's own difficulty, in this session.
    pub best: f64,
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub hash_rates: HashRates,
    pub connected_for: Duration,
    pub last_share_ago: Option<Duration>,
}

impl Snapshot {
    pub(super) fn of<'a>(
        ledger: &Ledger,
        sessions: impl Iterator<Item = &'a Session>,
        up_for: Duration,
        now: Stamp,
    ) -> Snapshot {
        let mut miners: Vec<MinerView> = sessions.map(|session| MinerView::of(session, now)).collect();
        miners.sort_by_key(|miner| miner.session);
        Snapshot {
            up_for,
            summary: ledger.summary.clone(),
            hash_rates: ledger.totals.hash_rates(now),
            totals: Some(ledger.totals.clone()),
            bests: ledger.bests.clone(),
            best_ever: ledger.state.best().first().cloned(),
            lifetime: ledger.state.lifetime.clone(),
            history: ledger.history.clone(),
            miners,
            clock: Some(ledger.clock_state()),
            recording: ledger.recording(),
        }
    }
}

impl MinerView {
    fn of(session: &Session, now: Stamp) -> MinerView {
        let (conversation, tally) = (&session.conversation, &session.tally);
        MinerView {
            session: conversation.id,
            miner: conversation.miner(),
            worker: session.worker().to_owned(),
            user_agent: session.user_agent.clone(),
            upstream: conversation.upstream(),
            difficulty: session.difficulty().value(),
            best: tally.best,
            accepted: tally.accepted,
            rejected: tally.rejected,
            unanswered: tally.unanswered,
            hash_rates: session.meter.rates(now),
            connected_for: now.since(conversation.opened).unwrap_or_default(),
            last_share_ago: tally.last_share.and_then(|last| now.since(last)),
        }
    }
}
