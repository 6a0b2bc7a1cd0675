//! What alerts: one family a file. A rule sees findings in their order, and the sessions twice a
//! second; it knows no time but what it is told. Its thresholds are constants with their reasons, or
//! keys of `[rules]`.
//!
//! A false alarm is a defect. Where chance is involved a rule asks how unlikely what it sees would be
//! with an honest pool and miner, and alerts below [`poisson::CHANCE`].

mod alert_context;
mod best_block;
mod blind;
mod chain;
mod difficulty;
mod extranonce;
mod good_news;
pub(super) mod internal;
mod payout;
mod poisson;
mod pool;
mod pool_credit;
mod reachable;
mod recording;
mod session_sample;
mod share;
mod share_rate;
mod timing;

pub(super) use alert_context::AlertContext;
pub(super) use poisson::longest_gap;
pub use pool_credit::CreditView;
pub(super) use session_sample::SessionSample;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::session_event::{JobSeen, ProtocolEvent};
use super::share::JudgedShare;
use crate::clock::NtpTime;
use crate::config;
use crate::pool_stats::PoolFigures;
use crate::record::RecordingHealth;
use crate::reference;
use crate::tap::{Role, SessionId};

/// What the rules are made of.
#[derive(Debug, Clone)]
pub(super) struct RuleSettings {
    pub(super) rules: config::RulesConfig,
    /// `failover.silence_timeout`
    pub(super) silence: Duration,
    /// `failover.first_job_timeout`
    pub(super) first_job: Duration,
    /// Whose work the pool's figures are about; `None`: everybody's.
    pub(super) account: Option<String>,
}

/// All families.
#[derive(Debug)]
pub(super) struct RuleSet {
    payout: payout::PayoutRules,
    blind: blind::Blind,
    chain: chain::ChainRules,
    credit: pool_credit::Credit,
    timing: timing::Timing,
    extranonce: extranonce::Extranonce,
    difficulty: difficulty::DifficultyRules,
    share: share::ShareRules,
    tempo: share_rate::Tempo,
    pool: pool::Pool,
    news: good_news::GoodNewsRules,
    reachable: reachable::Reachable,
    recording: recording::RecordingRules,
}

impl RuleSet {
    pub(super) fn new(settings: &RuleSettings) -> RuleSet {
        let RuleSettings { rules, silence, first_job, account } = settings;
        RuleSet {
            payout: payout::PayoutRules::default(),
            blind: blind::Blind::default(),
            chain: chain::ChainRules::default(),
            credit: pool_credit::Credit::new(account.clone()),
            timing: timing::Timing::new(rules),
            extranonce: extranonce::Extranonce::new(rules),
            difficulty: difficulty::DifficultyRules::default(),
            share: share::ShareRules::default(),
            tempo: share_rate::Tempo::new(rules),
            pool: pool::Pool::new(*silence, *first_job),
            news: good_news::GoodNewsRules::default(),
            reachable: reachable::Reachable::default(),
            recording: recording::RecordingRules::default(),
        }
    }

    /// The thresholds have changed: those families that have any begin anew, the others go on.
    pub(super) fn judge_by(&mut self, rules: &config::RulesConfig) {
        self.timing = timing::Timing::new(rules);
        self.extranonce = extranonce::Extranonce::new(rules);
        self.tempo = share_rate::Tempo::new(rules);
    }

    /// A job came from a pool.
    pub(super) fn job(&mut self, job: &JobSeen, role: Role, at: NtpTime, tongue: &mut AlertContext<'_>) {
        self.payout.job(job, at, tongue);
        self.blind.job(job, at, tongue);
        self.chain.job(job, at, tongue);
        self.timing.job(job, at, tongue);
        self.pool.job(job, at);
        self.share.job(job, at);
        if role.is_with_miner() {
            self.extranonce.job(job);
        }
    }

    /// A job that was excused at first is excused no longer.
    pub(super) fn rejudged(&mut self, job: &JobSeen, at: NtpTime, tongue: &mut AlertContext<'_>) {
        self.payout.rejudged(job, at, tongue);
    }

    /// A job came to a miner, from this program.
    pub(super) fn passed_on(&mut self, job: &JobSeen, at: NtpTime) {
        self.extranonce.job(job);
        self.share.job(job, at);
    }

    /// A difficulty came to a miner, from this program.
    pub(super) fn difficulty_passed_on(&mut self, event: &ProtocolEvent, at: NtpTime) {
        self.share.event(event, at);
    }

    /// A share's verdict is known, or never will be. Of what this program has judged itself a pool is
    /// never accused.
    pub(super) fn share(
        &mut self,
        judged: &JudgedShare,
        role: Role,
        at: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        if role.is_with_miner() {
            self.timing.share(judged, at, tongue);
            self.extranonce.share(judged, at, tongue);
            self.tempo.share(judged, at, tongue);
        }
        if role.is_with_pool() {
            self.blind.share(judged, at, tongue);
            self.difficulty.share(judged, at, tongue);
            self.credit.share(judged, at);
        }
        self.share.share(judged, role, at, tongue);
    }

    /// Something else happened in a session.
    pub(super) fn event(&mut self, event: &ProtocolEvent, at: NtpTime, tongue: &mut AlertContext<'_>) {
        self.blind.event(event, at, tongue);
        self.extranonce.event(event, at, tongue);
        self.difficulty.event(event, at, tongue);
        self.share.event(event, at);
        self.pool.event(event, at, tongue);
    }

    /// Whether any pool can be used.
    pub(super) fn pools_usable(&mut self, are_usable: bool) {
        self.reachable.heard(are_usable, Instant::now());
    }

    /// A reference works on this.
    pub(super) fn tip(&mut self, tip: &reference::Tip, at: NtpTime) {
        self.chain.reference(tip, at);
    }

    /// The pool publishes this.
    pub(super) fn figures(&mut self, figures: &Arc<PoolFigures>, tongue: &mut AlertContext<'_>) {
        self.credit.figures(figures, tongue);
    }

    /// What the pool publishes, judged.
    pub(super) fn credit(&self) -> Option<&CreditView> {
        self.credit.view()
    }

    /// A share is better than any before, of which the best had this difficulty.
    pub(super) fn best(
        &mut self,
        judged: &JudgedShare,
        before: f64,
        at: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        self.news.best(judged, before, at, tongue);
    }

    /// A share meets the network's target, and that is news.
    pub(super) fn block(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut AlertContext<'_>) {
        self.news.block(judged, at, tongue);
    }

    /// A share is no block, but near.
    pub(super) fn near_miss(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut AlertContext<'_>) {
        self.news.near_miss(judged, at, tongue);
    }

    /// How the recording goes.
    pub(super) fn recording(
        &mut self,
        health: &RecordingHealth,
        now: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        self.recording.tick(health, now, tongue);
    }

    /// Whether the pool has lately accepted shares of this session's for jobs that nobody could read.
    pub(super) fn accepts_unseen(&self, session: SessionId) -> bool {
        self.blind.accepts_unseen(session)
    }

    /// A session is over.
    pub(super) fn closed(&mut self, session: SessionId) {
        self.blind.closed(session);
        self.chain.closed(session);
        self.extranonce.closed(session);
        self.difficulty.closed(session);
        self.share.closed(session);
        self.tempo.closed(session);
        self.pool.closed(session);
    }

    /// Time has passed.
    pub(super) fn tick(
        &mut self,
        sessions: &[SessionSample<'_>],
        now: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        let with = |is_such: fn(Role) -> bool| -> Vec<SessionSample<'_>> {
            sessions.iter().filter(|pulse| is_such(pulse.role)).cloned().collect()
        };
        let (pools, miners) = (with(Role::is_with_pool), with(Role::is_with_miner));
        self.payout.tick(&pools, now, tongue);
        self.blind.tick(&pools, now, tongue);
        self.chain.tick(&pools, now, tongue);
        self.credit.tick(now);
        self.timing.tick(&pools, now, tongue);
        self.extranonce.tick(&miners, now, tongue);
        self.share.tick(now, tongue);
        self.tempo.tick(&miners, now, tongue);
        self.pool.tick(&pools, now, tongue);
        self.reachable.tick(Instant::now(), now, tongue);
    }
}

/// A difficulty in a sentence: `1`, `0.00015`, `1.4e14`.
fn number(value: f64) -> String {
    if (1e-6..1e6).contains(&value) {
        let text = format!("{value:.6}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{value:.2e}")
}

/// Seconds from `then` to `now`; negative when a clock was set back.
fn seconds_between(then: NtpTime, now: NtpTime) -> f64 {
    now.timestamp().duration_since(then.timestamp()).as_secs_f64()
}
