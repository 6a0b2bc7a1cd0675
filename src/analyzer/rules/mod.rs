//! What alerts: one family a file. A rule sees findings in their order, and the sessions twice a
//! second; it knows no time but what it is told. Its thresholds are constants with their reasons, or
//! keys of `[rules]`.
//!
//! A false alarm is a defect. Where chance is involved a rule asks how unlikely what it sees would be
//! with an honest pool and miner, and alerts below [`poisson::FALSE_ALARM_CHANCE`].

mod alert_context;
mod best_block;
mod chain;
mod difficulty;
mod extranonce;
mod good_news;
pub(super) mod internal;
mod payout;
mod poisson;
mod pool;
mod pool_credit;
mod recording;
mod session_sample;
mod share;
mod share_rate;
mod timing;
mod unreachable;
mod unreadable_job;

pub(super) use alert_context::AlertContext;
pub(super) use poisson::longest_gap;
pub use pool_credit::CreditView;
pub(super) use session_sample::SessionSample;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::session_event::{Event, JobSeen};
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
    unreadable_job: unreadable_job::UnreadableJobRule,
    chain: chain::ChainRules,
    credit: pool_credit::CreditRule,
    timing: timing::TimingRules,
    extranonce: extranonce::ExtranonceRules,
    difficulty: difficulty::DifficultyRules,
    share: share::ShareRules,
    share_rate: share_rate::ShareRateRules,
    pool: pool::PoolRules,
    good_news: good_news::GoodNewsRules,
    unreachable: unreachable::UnreachableRule,
    recording: recording::RecordingRules,
}

impl RuleSet {
    pub(super) fn new(settings: &RuleSettings) -> RuleSet {
        let RuleSettings { rules, silence, first_job, account } = settings;
        RuleSet {
            payout: payout::PayoutRules::default(),
            unreadable_job: unreadable_job::UnreadableJobRule::default(),
            chain: chain::ChainRules::default(),
            credit: pool_credit::CreditRule::new(account.clone()),
            timing: timing::TimingRules::new(rules),
            extranonce: extranonce::ExtranonceRules::new(rules),
            difficulty: difficulty::DifficultyRules::default(),
            share: share::ShareRules::default(),
            share_rate: share_rate::ShareRateRules::new(rules),
            pool: pool::PoolRules::new(*silence, *first_job),
            good_news: good_news::GoodNewsRules::default(),
            unreachable: unreachable::UnreachableRule::default(),
            recording: recording::RecordingRules::default(),
        }
    }

    /// The thresholds have changed: those families that have any begin anew, the others go on.
    pub(super) fn set_thresholds(&mut self, rules: &config::RulesConfig) {
        self.timing = timing::TimingRules::new(rules);
        self.extranonce = extranonce::ExtranonceRules::new(rules);
        self.share_rate = share_rate::ShareRateRules::new(rules);
    }

    /// A job came from a pool.
    pub(super) fn job(&mut self, job: &JobSeen, role: Role, at: NtpTime, context: &mut AlertContext<'_>) {
        self.payout.job(job, at, context);
        self.unreadable_job.job(job, at, context);
        self.chain.job(job, at, context);
        self.timing.job(job, at, context);
        self.pool.job(job, at);
        self.share.job(job, at);
        if role.is_with_miner() {
            self.extranonce.job(job);
        }
    }

    /// A job that was excused at first is excused no longer.
    pub(super) fn rejudged(&mut self, job: &JobSeen, at: NtpTime, context: &mut AlertContext<'_>) {
        self.payout.rejudged(job, at, context);
    }

    /// A job came to a miner, from this program.
    pub(super) fn job_forwarded(&mut self, job: &JobSeen, at: NtpTime) {
        self.extranonce.job(job);
        self.share.job(job, at);
    }

    /// A difficulty came to a miner, from this program.
    pub(super) fn difficulty_forwarded(&mut self, event: &Event, at: NtpTime) {
        self.share.event(event, at);
    }

    /// A share's verdict is known, or never will be. Of what this program has judged itself a pool is
    /// never accused.
    pub(super) fn share(
        &mut self,
        judged: &JudgedShare,
        role: Role,
        at: NtpTime,
        context: &mut AlertContext<'_>,
    ) {
        if role.is_with_miner() {
            self.timing.share(judged, at, context);
            self.extranonce.share(judged, at, context);
            self.share_rate.share(judged, at, context);
        }
        if role.is_with_pool() {
            self.unreadable_job.share(judged, at, context);
            self.difficulty.share(judged, at, context);
            self.credit.share(judged, at);
        }
        self.share.share(judged, role, at, context);
    }

    /// Something else happened in a session.
    pub(super) fn event(&mut self, event: &Event, at: NtpTime, context: &mut AlertContext<'_>) {
        self.unreadable_job.event(event, at, context);
        self.extranonce.event(event, at, context);
        self.difficulty.event(event, at, context);
        self.share.event(event, at);
        self.pool.event(event, at, context);
    }

    /// Whether any pool can be used.
    pub(super) fn pools_usable(&mut self, are_usable: bool) {
        self.unreachable.set_usable(are_usable, Instant::now());
    }

    /// A reference works on this.
    pub(super) fn tip(&mut self, tip: &reference::Tip, at: NtpTime) {
        self.chain.reference(tip, at);
    }

    /// The pool publishes this.
    pub(super) fn figures(&mut self, figures: &Arc<PoolFigures>, context: &mut AlertContext<'_>) {
        self.credit.pool_figures(figures, context);
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
        context: &mut AlertContext<'_>,
    ) {
        self.good_news.best(judged, before, at, context);
    }

    /// A share meets the network's target, and that is news.
    pub(super) fn block(&mut self, judged: &JudgedShare, at: NtpTime, context: &mut AlertContext<'_>) {
        self.good_news.block(judged, at, context);
    }

    /// A share is no block, but near.
    pub(super) fn near_miss(&mut self, judged: &JudgedShare, at: NtpTime, context: &mut AlertContext<'_>) {
        self.good_news.near_miss(judged, at, context);
    }

    /// How the recording goes.
    pub(super) fn recording(
        &mut self,
        health: &RecordingHealth,
        now: NtpTime,
        context: &mut AlertContext<'_>,
    ) {
        self.recording.tick(health, now, context);
    }

    /// Whether the pool has lately accepted shares of this session's for jobs that nobody could read.
    pub(super) fn accepts_unseen(&self, session: SessionId) -> bool {
        self.unreadable_job.accepts_unseen(session)
    }

    /// A session is over.
    pub(super) fn closed(&mut self, session: SessionId) {
        self.unreadable_job.closed(session);
        self.chain.closed(session);
        self.extranonce.closed(session);
        self.difficulty.closed(session);
        self.share.closed(session);
        self.share_rate.closed(session);
        self.pool.closed(session);
    }

    /// Time has passed.
    pub(super) fn tick(
        &mut self,
        sessions: &[SessionSample<'_>],
        now: NtpTime,
        context: &mut AlertContext<'_>,
    ) {
        let with = |is_such: fn(Role) -> bool| -> Vec<SessionSample<'_>> {
            sessions.iter().filter(|sample| is_such(sample.role)).cloned().collect()
        };
        let (pools, miners) = (with(Role::is_with_pool), with(Role::is_with_miner));
        self.payout.tick(&pools, now, context);
        self.unreadable_job.tick(&pools, now, context);
        self.chain.tick(&pools, now, context);
        self.credit.tick(now);
        self.timing.tick(&pools, now, context);
        self.extranonce.tick(&miners, now, context);
        self.share.tick(now, context);
        self.share_rate.tick(&miners, now, context);
        self.pool.tick(&pools, now, context);
        self.unreachable.tick(Instant::now(), now, context);
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
