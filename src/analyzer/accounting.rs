//! Where findings go: the counts, the best shares, the records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::alerts::AlertBook;
use super::block::{BlockCounter, BlockSeen};
use super::external_update::ExternalUpdate;
use super::pools::Pools;
use super::pools::UpstreamNames;
use super::recent::Recent;
use super::rules::internal;
use super::rules::{AlertContext, CreditView, RuleSet, SessionSample};
use super::session_event::{JobSeen, SessionEvent};
use super::share::JudgedShare;
use super::totals::AnalyzerCounts;
use super::totals::Totals;
use crate::clock::{Clock, ClockReading, ClockState, JobTime, NtpTime, Offset};
use crate::config::{self, Severity};
use crate::net::Stamp;
use crate::notify::Notifier;
use crate::record::{
    AlertRow, BestShare, BlockRecord, GeekTopic, History, JobRow, Recorder, RecordingHealth, SavedState,
    ShareOutcome, ShareRow,
};
use crate::stratum::Difficulty;
use crate::tap::{Role, SessionId};
use crate::util::escape::Printable;
use crate::util::os_error;
use crate::util::supervise::Restart;

/// While the recorder is crowded a session may have so many rows between two rounds, which are half a second
/// apart. An honest miner has a few; one that floods must not take the place of others' rows.
const MAX_ROWS_WHILE_CROWDED: u32 = 64;

/// Everything that outlives a session.
pub(super) struct Accounting {
    pub(super) summary: AnalyzerCounts,
    pub(super) totals: Totals,
    pub(super) bests: BestShares,
    pub(super) state: SavedState,
    pub(super) pools: Pools,
    pub(super) recent: Recent,
    pub(super) alerts: AlertBook,
    rules: RuleSet,
    blocks: BlockCounter,
    /// Nanoseconds that are added to a stamp to get the system's clock.
    pub(super) skew: i64,
    /// The machine's clocks when `skew` was last looked at.
    reading: ClockReading,
    /// As of the last round.
    clock_state: ClockState,
    /// Shared with what is published and what is written, so nothing is copied without need.
    pub(super) history: Arc<History>,
    /// The state has changed since it was last saved.
    unsaved: bool,
    clock: Clock,
    recorder: Option<Recorder>,
    /// Rows of each session since the last round, while the recorder was crowded.
    crowding: HashMap<SessionId, u32>,
    notifier: Option<Notifier>,
    upstreams: UpstreamNames,
    near_miss: f64,
    began: Instant,
    /// How long earlier runs lasted together.
    seconds_before: u64,
}

/// The best shares of this run and of this day; those for ever are in the [`SavedState`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BestShares {
    pub run: Option<BestShare>,
    /// Since midnight, UTC.
    pub day: Option<BestShare>,
}

impl Accounting {
    pub(super) fn new(
        clock: Clock,
        (recorder, notifier): (Option<Recorder>, Option<Notifier>),
        (state, history): (SavedState, History),
        upstreams: UpstreamNames,
        near_miss: f64,
        (alerts, rules): (AlertBook, RuleSet),
        now: Stamp,
    ) -> Accounting {
        Accounting {
            seconds_before: state.lifetime.seconds,
            began: Instant::now(),
            summary: AnalyzerCounts::default(),
            totals: Totals::new(now),
            bests: BestShares::since_restart(&state, clock.correct(now)),
            state,
            pools: Pools::new(upstreams.clone()),
            recent: Recent::default(),
            alerts,
            rules,
            blocks: BlockCounter::default(),
            skew: 0,
            reading: clock.reading(),
            clock_state: clock.state(),
            history: Arc::new(history),
            unsaved: false,
            clock,
            recorder,
            crowding: HashMap::new(),
            notifier,
            upstreams,
            near_miss,
        }
    }

    /// What following a line has brought up.
    ///
    /// What many miners do on one connection to the pool is seen twice. Their work counts where they
    /// do it; what the pool gives and says of it, where the pool does.
    pub(super) fn take(&mut self, finding: SessionEvent, role: Role) {
        match finding {
            SessionEvent::Message(direction) if role.is_with_miner() => self.summary.message(direction),
            SessionEvent::Unreadable => self.summary.unreadable += 1,
            SessionEvent::Submitted if role.is_with_miner() => {
                self.summary.shares += 1;
                self.totals.submitted += 1;
            }
            SessionEvent::Block(block) if role.is_with_miner() => self.block(&block),
            SessionEvent::Message(_) | SessionEvent::Submitted | SessionEvent::Block(_) => {}
            SessionEvent::Judged(judged) => self.judged(*judged, role),
            SessionEvent::Job(job) if role.is_with_pool() => self.job(&job, role),
            SessionEvent::Job(job) => self.rules.passed_on(&job, self.correct(job.at)),
            SessionEvent::Rejudged(job, at) if role.is_with_pool() => {
                let at = self.correct(at);
                self.judge(|rules, tongue| rules.rejudged(&job, at, tongue));
            }
            SessionEvent::Rejudged(..) => {}
            SessionEvent::Event(event, at) if role.is_with_pool() => {
                let at = self.correct(at);
                self.judge(|rules, tongue| rules.event(&event, at, tongue));
            }
            SessionEvent::Event(event, at) => self.rules.difficulty_passed_on(&event, self.correct(at)),
            SessionEvent::Closed(session) => self.rules.closed(session),
        }
    }

    /// News from outside the conversations.
    pub(super) fn heard(&mut self, news: &ExternalUpdate) {
        match news {
            ExternalUpdate::Tip(tip) => {
                let at = self.correct(tip.at);
                self.rules.tip(tip, at);
            }
            ExternalUpdate::Figures(figures) => self.judge(|rules, tongue| rules.figures(figures, tongue)),
            ExternalUpdate::PoolsUsable(are_usable) => self.rules.pools_usable(*are_usable),
            // The follower's business.
            ExternalUpdate::Judgement(_) => {}
        }
    }

    /// What is due twice a second: states end that are not seen any more, the history counts the
    /// seconds, and what is kept is saved.
    pub(super) fn round(&mut self, sessions: &[SessionSample<'_>], now: Stamp) {
        let now = self.correct(now);
        self.clock_state = self.clock.state();
        self.crowding.clear();
        // The recorder asks rarely; a disagreement in between must not be missed.
        self.clock.date_certainty();
        self.judge(|rules, tongue| rules.tick(sessions, now, tongue));
        if let Some(health) = self.recording() {
            self.judge(|rules, tongue| rules.recording(&health, now, tongue));
        }
        let rows = self.alerts.expire(now);
        self.record_alerts(rows);
        Arc::make_mut(&mut self.history).tick(unix(now));
        self.save();
    }

    /// Has the state saved if there is news; the history has always.
    fn save(&mut self) {
        let run = self.began.elapsed().as_secs();
        self.state.lifetime.seconds = self.seconds_before + run;
        let Some(recorder) = &self.recorder else { return };
        if std::mem::take(&mut self.unsaved) {
            recorder.save_state(self.state.clone());
        }
        recorder.save_history(self.history.clone());
    }

    /// A stamp in NTP time.
    pub(super) fn correct(&self, stamp: Stamp) -> NtpTime {
        NtpTime::from_stamp(stamp.shifted(self.skew), self.clock.offset_at(&self.reading).unwrap_or_default())
    }

    /// Reads the machine's clocks. From now on [`Accounting::skew`] must belong to this reading.
    pub(super) fn read_clocks(&mut self) -> ClockReading {
        self.reading = self.clock.reading();
        self.reading
    }

    /// Threads of this program have survived a panic.
    pub(super) fn restarted(&mut self, restarts: &[Restart]) {
        let at = self.clock.now();
        for restart in restarts {
            self.judge(|_, tongue| internal::restarted(restart, at, tongue));
        }
    }

    /// The thresholds have changed.
    pub(super) fn judge_by(&mut self, thresholds: &config::RulesConfig) {
        self.rules.judge_by(thresholds);
    }

    /// The system's clock was set.
    pub(super) fn clock_was_set(&mut self, skew: i64, rules: RuleSet) {
        self.skew = skew;
        self.rules = rules;
    }

    /// Whether the pool has lately accepted shares of this session's for jobs that nobody could read.
    pub(super) fn accepts_unseen(&self, session: crate::tap::SessionId) -> bool {
        self.rules.accepts_unseen(session)
    }

    /// What the pool publishes, judged.
    pub(super) fn credit(&self) -> Option<&CreditView> {
        self.rules.credit()
    }

    pub(super) fn clock_state(&self) -> ClockState {
        self.clock.state()
    }

    pub(super) fn recording(&self) -> Option<RecordingHealth> {
        self.recorder.as_ref().map(Recorder::health)
    }

    /// A share that meets the network's target, before anybody has judged it.
    fn block(&mut self, block: &BlockSeen) {
        let record = self.block_record(block, None);
        let is_routine = block.is_every_share && self.blocks.is_routine(record.at);
        let level = if is_routine { log::Level::Debug } else { log::Level::Warn };
        log::log!(
            level,
            "a share meets the network's target, and waits for the pool's verdict: session {}, worker {:?}, \
             height {}, hash {}",
            block.session,
            block.share.worker,
            block.height.map_or_else(|| "?".to_owned(), |height| height.to_string()),
            record.hash()
        );
        if block.is_every_share && !is_routine {
            log::info!(
                "the network's difficulty ({}) is not above what is asked of the miner: every share meets its \
                 target, and those that follow are not told one by one",
                block.network_difficulty
            );
        }
        self.record_block(record);
    }

    fn judged(&mut self, judged: JudgedShare, role: Role) {
        if role.is_with_pool() {
            self.pools.count_share(&judged);
            self.totals.add_answer(&judged);
        }
        let at = self.correct(judged.share.at);
        self.judge(|rules, tongue| rules.share(&judged, role, at, tongue));
        if role.is_with_miner() {
            self.found(judged);
        }
    }

    /// A miner's share.
    fn found(&mut self, judged: JudgedShare) {
        let at = self.correct(judged.share.at);
        let counts_as_block = self.blocks.counts(&judged.share, at);
        let is_near = self.totals.add_share(&judged, counts_as_block, self.near_miss);
        self.count_for_life(&judged, counts_as_block);
        if counts_as_block {
            self.judge(|rules, tongue| rules.block(&judged, at, tongue));
        }
        if is_near {
            self.judge(|rules, tongue| rules.near_miss(&judged, at, tongue));
        }
        let is_best = self.offer_best(&judged);
        Arc::make_mut(&mut self.history).share(unix(at), &judged.for_history());
        if let Some(block) = BlockSeen::of(&judged.share, &judged.block_finder()) {
            let record = self.block_record(&block, Some(judged.outcome.clone()));
            self.record_block(record);
        }
        let row = self.share_row(&judged).map(Arc::new);
        let may_record = self.may_record(judged.session);
        if let Some(recorder) = self.recorder.as_ref().filter(|_| may_record) {
            let at = self.correct(judged.share.at);
            recorder.geek(at, GeekTopic::Share, || describe(&judged));
            if let Some(row) = &row {
                recorder.record_share(row);
            }
        }
        if let Some(row) = row {
            self.recent.add_share(row);
        }
        if is_best || counts_as_block {
            self.save_now();
        }
    }

    /// Has the state saved at once: it has news that nobody wants to lose.
    fn save_now(&mut self) {
        self.state.lifetime.seconds = self.seconds_before + self.began.elapsed().as_secs();
        if let Some(recorder) = &self.recorder {
            self.unsaved = false;
            recorder.save_state_now(self.state.clone());
        }
    }

    fn count_for_life(&mut self, judged: &JudgedShare, counts_as_block: bool) {
        let lifetime = &mut self.state.lifetime;
        match &judged.outcome {
            ShareOutcome::Accepted => {
                lifetime.accepted += 1;
                lifetime.accepted_difficulty += judged.share.assigned.map_or(0.0, Difficulty::value);
            }
            ShareOutcome::Rejected { .. } => lifetime.rejected += 1,
            ShareOutcome::Unanswered => lifetime.unanswered += 1,
            ShareOutcome::Unknown => lifetime.unknown += 1,
        }
        lifetime.blocks += u64::from(counts_as_block);
        self.unsaved = true;
    }

    /// A refused share is as good a lottery ticket as any, but none to be proud of. Returns whether it is
    /// the best ever.
    fn offer_best(&mut self, judged: &JudgedShare) -> bool {
        let share = &judged.share;
        let (ShareOutcome::Accepted, Some(rebuilt)) = (&judged.outcome, &share.rebuilt) else { return false };
        let Ok(difficulty) = Difficulty::new(rebuilt.difficulty) else { return false };
        let at = self.correct(share.at);
        let best = BestShare { worker: share.worker.clone(), difficulty, hash: rebuilt.hash, at };
        self.bests.take(&best, &self.state);
        let before = self.state.best().first().map(|best| best.difficulty.value());
        let is_best = self.state.offer(best);
        if is_best {
            log::info!("best share ever: {:.6} by {:?}", rebuilt.difficulty, share.worker);
            // The very first one is no news.
            if let Some(before) = before {
                self.judge(|rules, tongue| rules.best(judged, before, at, tongue));
            }
        }
        is_best
    }

    fn job(&mut self, job: &JobSeen, role: Role) {
        self.witness_time(job);
        let at = self.correct(job.at);
        self.totals.add_job(job, at);
        let view = self.recent.add_job(job, at);
        self.pools.set_job(job.upstream, view);
        let upstream = self.upstreams.name(job.upstream);
        self.judge(|rules, tongue| rules.job(job, role, at, tongue));
        let may_record = self.may_record(job.session);
        let Some(recorder) = self.recorder.as_ref().filter(|_| may_record) else { return };
        recorder.record_job(&JobRow {
            pool: upstream,
            job_id: job.job_id.clone(),
            height: job.height,
            ntime: job.ntime,
            at,
            receive_gap: job.gap,
            prevhash_age: job.block_age,
            branches: job.branches,
        });
        recorder.geek(at, GeekTopic::Job, || job.describe());
    }

    /// Whether a row of this session may be recorded. `false` when it would take the place of others' rows.
    fn may_record(&mut self, session: SessionId) -> bool {
        let Some(recorder) = self.recorder.as_ref().filter(|recorder| recorder.is_crowded()) else {
            return true;
        };
        let rows = self.crowding.entry(session).or_default();
        *rows = rows.saturating_add(1);
        if *rows > MAX_ROWS_WHILE_CROWDED {
            recorder.count_dropped();
        }
        *rows <= MAX_ROWS_WHILE_CROWDED
    }

    /// A job's own time is a witness against a wrong clock, before that clock judges the job.
    fn witness_time(&mut self, job: &JobSeen) {
        let ahead = job.time_difference(NtpTime::from_stamp(job.at.shifted(self.skew), Offset::default()));
        let time = JobTime {
            ahead: Offset::from_micros((ahead * 1e6) as i64),
            is_exact: job.chain.network != "testnet",
            is_first: job.gap.is_none(),
        };
        self.clock.job_time(host_of(&self.upstreams.name(job.upstream)), time, &self.reading);
        self.clock_state = self.clock.state();
    }

    /// Lets the rules see something, and records what they say.
    fn judge(&mut self, see: impl FnOnce(&mut RuleSet, &mut AlertContext<'_>)) {
        let mut rows = Vec::new();
        let upstreams = self.upstreams.all();
        let mut tongue = AlertContext {
            alerts: &mut self.alerts,
            rows: &mut rows,
            upstreams: &upstreams,
            clock: &self.clock_state,
            state: &mut self.state,
            unsaved: &mut self.unsaved,
        };
        see(&mut self.rules, &mut tongue);
        self.record_alerts(rows);
    }

    fn record_alerts(&self, rows: impl IntoIterator<Item = AlertRow>) {
        for row in rows {
            let said = Printable(&row.description);
            match row.severity {
                Severity::Info => log::info!("{}: {said}", row.id),
                Severity::Low | Severity::Medium | Severity::High => log::warn!("{}: {said}", row.id),
            }
            if let Some(recorder) = &self.recorder {
                recorder.record_alert(&row);
            }
            if let Some(notifier) = &self.notifier {
                notifier.notify(&row);
            }
        }
    }

    /// `None` for a submit that could not be read.
    fn share_row(&self, judged: &JudgedShare) -> Option<ShareRow> {
        let share = &judged.share;
        let submit = share.submit.as_ref()?;
        let rebuilt = share.rebuilt.as_ref();
        Some(ShareRow {
            at: self.correct(share.at),
            miner: judged.miner,
            worker: share.worker.clone(),
            job_id: submit.job_id.clone(),
            nonce: submit.nonce,
            share_difficulty: share.difficulty(),
            job_age: share.job_age,
            is_block: rebuilt.map(|rebuilt| rebuilt.is_block),
            msg_id: share.id.to_string(),
            assigned_difficulty: share.assigned,
            outcome: judged.outcome.clone(),
            response: judged.answered_after,
            ntime: submit.ntime,
            version: rebuilt.map(|rebuilt| rebuilt.version()),
            extranonce1: judged.extranonce1.clone(),
            extranonce2: submit.extranonce2.clone(),
            hash: rebuilt.map(|rebuilt| rebuilt.hash),
            height: share.height,
            network_difficulty: share.network_difficulty,
            upstream: self.upstreams.name(judged.upstream),
            session: judged.session,
            user_agent: judged.user_agent.clone(),
        })
    }

    fn block_record(&self, block: &BlockSeen, outcome: Option<ShareOutcome>) -> BlockRecord {
        BlockRecord {
            at: self.correct(block.at),
            header: block.header,
            coinbase: block.coinbase.clone(),
            height: block.height,
            share_difficulty: block.share_difficulty,
            network_difficulty: block.network_difficulty,
            job: block.job.clone(),
            share: block.share.clone(),
            extranonce1: block.extranonce1.clone(),
            miner: block.miner,
            session: block.session,
            upstream: self.upstreams.name(block.upstream),
            user_agent: block.user_agent.clone(),
            outcome,
        }
    }

    fn record_block(&self, block: BlockRecord) {
        if let Some(recorder) = &self.recorder {
            if let Err(error) = recorder.record_block(block) {
                log::error!(
                    "a share that meets the network's target is not on the disk: {}",
                    os_error::describe(&error)
                );
            }
        }
    }
}

impl BestShares {
    /// What was found earlier today is still the day's.
    fn since_restart(state: &SavedState, now: NtpTime) -> BestShares {
        BestShares { run: None, day: best_of_day(state, now) }
    }

    fn take(&mut self, share: &BestShare, state: &SavedState) {
        if self.day.as_ref().is_none_or(|best| best.at.date() != share.at.date()) {
            // A new day, or the clock was wrong and is right now: then the day's best is known already.
            self.day = best_of_day(state, share.at);
        }
        for best in [&mut self.run, &mut self.day] {
            if best.as_ref().is_none_or(|best| share.difficulty > best.difficulty) {
                *best = Some(share.clone());
            }
        }
    }
}

/// The best share of this day among the best ever, which is the day's best if it is there.
fn best_of_day(state: &SavedState, day: NtpTime) -> Option<BestShare> {
    state.best().iter().find(|best| best.at.date() == day.date()).cloned()
}

/// The host of a pool's URL. Two ports of one host are one witness.
fn host_of(upstream: &str) -> &str {
    let host = upstream.split_once("://").map_or(upstream, |(_, host)| host);
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

/// Seconds since 1970.
fn unix(time: NtpTime) -> u64 {
    u64::try_from(time.unix_seconds()).unwrap_or(0)
}

fn describe(judged: &JudgedShare) -> String {
    let share = &judged.share;
    let hash = share.rebuilt.as_ref().map_or_else(String::new, |rebuilt| rebuilt.hash.to_string());
    let fault = share.fault.as_deref().unwrap_or("none");
    format!(
        "session {} worker {:?}: {}, difficulty {:?} of {:?}, hash {hash}, stale {}, fault: {fault}",
        judged.session,
        share.worker,
        judged.outcome.name(),
        share.difficulty(),
        share.assigned.map(Difficulty::value),
        share.stale,
    )
}
