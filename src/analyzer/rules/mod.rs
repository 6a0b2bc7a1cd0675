//! The rules that raise alerts, one family a file. A rule sees the findings in their order, and the sessions twice a
//! second. It reads no clock: each call carries the time. The thresholds are constants with their reasons, or keys
//! of `[rules]`.
//!
//! A false alarm is a defect. Where chance is involved, a rule computes how likely its observation would be with an
//! honest pool and miner, and raises an alert below [`poisson::FALSE_ALARM_CHANCE`].

mod address_typo;
mod alert_context;
mod best_block;
mod chain;
mod device_loss;
mod device_roll;
mod device_state;
mod device_work;
mod difficulty;
mod extranonce;
pub(super) mod good_news;
pub(super) mod internal;
mod miner_gone;
mod miner_news;
mod payout;
mod poisson;
mod pool;
mod pool_credit;
mod pool_reach;
mod recording;
mod session_sample;
mod share;
mod share_rate;
mod timing;
mod unreadable_job;
mod worker_roll;

pub(super) use alert_context::AlertContext;
use alert_context::AlertType;
pub use device_roll::DeviceView;
pub use device_work::WorkLegs;
pub(super) use poisson::longest_gap;
pub use pool_credit::CreditView;
pub(super) use session_sample::SessionSample;
pub use worker_roll::KnownWorkerView;

use std::time::{Duration, Instant};

use super::session_event::{JobSeen, ProtocolEvent};
use super::share::JudgedShare;
#[cfg(test)]
use crate::clock::ClockState;
use crate::clock::NtpTime;
use crate::config;
use crate::record::RecordingHealth;
use crate::tap::{Role, SessionId};
use crate::work::AddressChain;

/// The rules of all families.
#[derive(Debug)]
pub(super) struct RuleSet {
    pub(super) payout: payout::PayoutRules,
    pub(super) unreadable_job: unreadable_job::UnreadableJobRule,
    pub(super) chain: chain::ChainRules,
    pub(super) credit: pool_credit::CreditRule,
    timing: timing::TimingRules,
    extranonce: extranonce::ExtranonceRules,
    difficulty: difficulty::DifficultyRules,
    pub(super) share: share::ShareRules,
    share_rate: share_rate::ShareRateRules,
    pool: pool::PoolRules,
    pub(super) pool_reach: pool_reach::PoolReachRules,
    pub(super) address_typo: address_typo::AddressTypoRule,
    pub(super) workers: worker_roll::WorkerRoll,
    miner_gone: miner_gone::MinerGoneRule,
    miner_news: miner_news::MinerNews,
    pub(super) devices: device_roll::DeviceRoll,
    recording: recording::RecordingRules,
}

impl RuleSet {
    /// The rules for a pool of these time-outs. `account` is the one that the pool's figures are about; `None`: all.
    /// `chains` are those that workers' addresses may belong to; empty: any.
    pub(super) fn new(
        rules: &config::RulesConfig,
        silence: Duration,
        first_job: Duration,
        account: Option<String>,
        chains: Vec<AddressChain>,
    ) -> RuleSet {
        RuleSet {
            payout: payout::PayoutRules::default(),
            unreadable_job: unreadable_job::UnreadableJobRule::default(),
            chain: chain::ChainRules::default(),
            credit: pool_credit::CreditRule::new(account),
            timing: timing::TimingRules::new(rules),
            extranonce: extranonce::ExtranonceRules::new(rules),
            difficulty: difficulty::DifficultyRules::default(),
            share: share::ShareRules::default(),
            share_rate: share_rate::ShareRateRules::new(rules),
            pool: pool::PoolRules::new(silence, first_job),
            pool_reach: pool_reach::PoolReachRules::default(),
            address_typo: address_typo::AddressTypoRule::new(chains),
            workers: worker_roll::WorkerRoll::default(),
            miner_gone: miner_gone::MinerGoneRule::new(rules.miner_gone_after),
            miner_news: miner_news::MinerNews::default(),
            devices: device_roll::DeviceRoll::default(),
            recording: recording::RecordingRules::default(),
        }
    }

    /// Forgets everything that the rules have seen, as if they began now.
    pub(super) fn start_over(&mut self, rules: &config::RulesConfig) {
        let (silence, first_job) = (self.pool.silence_timeout, self.pool.first_job);
        // The pools, the known workers and the sessions' names do not depend on the clock.
        let (pool_reach, address_typo) =
            (std::mem::take(&mut self.pool_reach), std::mem::take(&mut self.address_typo));
        let (mut workers, miner_news) =
            (std::mem::take(&mut self.workers), std::mem::take(&mut self.miner_news));
        workers.clock_was_set();
        let devices = self.devices.start_over();
        let fresh = RuleSet::new(rules, silence, first_job, self.credit.address.take(), Vec::new());
        *self = RuleSet { pool_reach, address_typo, workers, miner_news, devices, ..fresh };
    }

    /// Applies changed thresholds. Families that have thresholds start afresh, the others go on.
    pub(super) fn set_thresholds(&mut self, rules: &config::RulesConfig) {
        self.timing = timing::TimingRules::new(rules);
        self.extranonce = extranonce::ExtranonceRules::new(rules);
        self.share_rate = share_rate::ShareRateRules::new(rules);
        self.miner_gone.after = rules.miner_gone_after;
    }

    pub(super) fn job(&mut self, job: &JobSeen, role: Role, context: &mut AlertContext<'_>) {
        self.payout.job(job, context);
        self.unreadable_job.job(job, context);
        self.chain.job(job, context);
        self.timing.job(job, context);
        self.pool.job(job, context.at);
        self.share.job(job, context.at);
        if role.is_with_miner() {
            self.extranonce.job(job);
        }
    }

    /// Handles a job that aggregate mode has sent to a miner.
    pub(super) fn job_forwarded(&mut self, job: &JobSeen, at: NtpTime) {
        self.extranonce.job(job);
        self.share.job(job, at);
    }

    /// Handles a share whose verdict is known, or never will be. Shares that Sluice has judged itself are never held
    /// against a pool.
    pub(super) fn share(&mut self, judged: &JudgedShare, role: Role, context: &mut AlertContext<'_>) {
        if role.is_with_miner() {
            self.timing.share(judged, context);
            self.extranonce.share(judged, context);
            self.share_rate.share(judged, context);
            self.devices.share(judged);
        }
        if role.is_with_pool() {
            self.unreadable_job.share(judged, context);
            self.difficulty.share(judged, context);
            self.credit.share(judged, context.at);
        }
        self.share.share(judged, role, context);
    }

    pub(super) fn event(&mut self, event: &ProtocolEvent, context: &mut AlertContext<'_>) {
        self.unreadable_job.event(event, context);
        self.extranonce.event(event, context);
        self.difficulty.event(event, context);
        self.share.event(event, context.at);
        self.pool.event(event, context);
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.unreadable_job.closed(session);
        self.address_typo.closed(session);
        self.chain.sessions.remove(&session);
        self.extranonce.closed(session);
        self.difficulty.sessions.remove(&session);
        self.share.sessions.remove(&session);
        self.share_rate.sessions.remove(&session);
        self.pool.intervals.remove(&session);
    }

    /// Runs the checks that depend on the time.
    pub(super) fn tick(
        &mut self,
        sessions: &[SessionSample<'_>],
        recording: Option<&RecordingHealth>,
        context: &mut AlertContext<'_>,
    ) {
        context.is_tick = true;
        let select = |is_selected: fn(Role) -> bool| -> Vec<SessionSample<'_>> {
            sessions.iter().filter(|sample| is_selected(sample.role)).cloned().collect()
        };
        let (pools, miners) = (select(Role::is_with_pool), select(Role::is_with_miner));
        self.payout.tick(&pools, context);
        self.unreadable_job.tick(&pools, context);
        self.chain.tick(&pools, context);
        self.credit.tick(context.at);
        self.timing.tick(&pools, context);
        self.extranonce.tick(&miners, context);
        self.share.tick(context);
        self.share_rate.tick(&miners, context);
        self.pool.tick(&pools, context);
        self.pool_reach.tick(Instant::now(), context);
        self.address_typo.tick(context);
        self.miners(&miners, context);
        self.devices.tick(&miners, self.pool_reach.is_out(), context);
        if let Some(health) = recording {
            self.recording.tick(health, context);
        }
    }

    /// Checks which known workers are connected. While no pool can be used, miners can't stay connected.
    fn miners(&mut self, miners: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        let changes = self.workers.update(miners, context.at, self.pool_reach.is_out());
        let state = &*context.state;
        self.workers.refresh_view(|worker| Some(state.best_of(worker)?.difficulty.value()));
        self.miner_gone.tick(&self.workers, context);
        self.miner_news.tick(&self.workers, changes, self.miner_gone.after, context);
        self.save_workers(context, false);
    }

    /// Saves the known workers and tells the last news, at the end of the program.
    pub(super) fn end(&mut self, context: &mut AlertContext<'_>) {
        self.miner_news.flush(context);
        self.save_workers(context, true);
    }

    /// Saves the known workers, after one was forgotten by hand.
    pub(super) fn save_workers_now(&mut self, context: &mut AlertContext<'_>) {
        self.save_workers(context, true);
    }

    fn save_workers(&mut self, context: &mut AlertContext<'_>, is_end: bool) {
        if let Some(workers) = self.workers.unsaved(context.at, is_end) {
            context.state.known_workers = workers;
            *context.unsaved = true;
        }
    }
}

/// Formats a difficulty for a sentence: `1`, `0.00015`, `1.4e14`.
fn number(value: f64) -> String {
    if (1e-6..1e6).contains(&value) {
        let text = format!("{value:.6}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{value:.2e}")
}

/// Seconds from `then` to `now`. Negative if a clock was set back.
fn seconds_between(then: NtpTime, now: NtpTime) -> f64 {
    now.timestamp().duration_since(then.timestamp()).as_secs_f64()
}

/// A time for tests, in seconds from a fixed moment.
#[cfg(test)]
fn test_time(seconds: i64) -> NtpTime {
    NtpTime::from_timestamp(jiff::Timestamp::from_second(1_790_000_000 + seconds).unwrap())
}

/// A clock without NTP, for tests.
#[cfg(test)]
fn test_clock() -> ClockState {
    ClockState::Unsynchronised { since: test_time(0), reason: crate::clock::UnsyncReason::Off }
}
