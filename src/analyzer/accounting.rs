//! The accounting of findings: counts, best shares, alerts and records.

mod devices;
mod reports;
mod workers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::alerts::AlertBook;
use super::enforcement::Enforcement;
use super::events::EventBook;
use super::external_update::ExternalUpdate;
use super::pool_news::pool_events;
use super::pools::{Pools, UpstreamNames};
use super::recent::Recent;
use super::rows;
use super::rules::{RuleSet, SessionSample, good_news};
use super::session_event::{JobSeen, SessionEvent};
use super::setup::Setup;
use super::share::JudgedShare;
use super::system_news::{self, SystemNews};
use super::totals::{AnalyzerCounts, BestShares, BlockCounter, Totals, count_outcome};
use crate::clock::{Clock, ClockReading, ClockState, JobTime, NtpTime, Offset};
use crate::net::Stamp;
use crate::notify::Notifier;
use crate::record::{
    BestShare, GeekTopic, History, JobRow, LifetimeCounts, Recorder, RecordingHealth, SavedFiles, SavedState,
    ShareOutcome, WorkerHistories,
};
use crate::stratum::Difficulty;
use crate::tap::{Role, SessionId};

/// Caps the rows of one session between two ticks, half a second to two apart, while the recorder's queue is crowded.
/// An honest miner has a few. A miner that floods must not crowd out the rows of others.
const MAX_ROWS_WHILE_CROWDED: u32 = 64;

/// All state that outlives a session.
pub(super) struct Accounting {
    pub(super) summary: AnalyzerCounts,
    pub(super) totals: Totals,
    pub(super) bests: BestShares,
    pub(super) state: SavedState,
    pub(super) pools: Pools,
    pub(super) recent: Recent,
    pub(super) alerts: AlertBook,
    pub(super) events: EventBook,
    system_news: SystemNews,
    pub(super) rules: RuleSet,
    blocks: BlockCounter,
    /// The findings that block a pool.
    pub(super) enforcement: Option<Enforcement>,
    /// Nanoseconds to add to a stamp to get the system clock's time.
    pub(super) skew: i64,
    /// The machine's clocks when `skew` was last computed.
    reading: ClockReading,
    /// The clock's state at the last tick.
    clock_state: ClockState,
    /// Shared with the snapshot and the recorder, so that it is copied only on a change.
    pub(super) history: Arc<History>,
    worker_histories: WorkerHistories,
    /// The histories as they are shown and saved, renewed every few seconds.
    pub(super) shown_worker_histories: Arc<WorkerHistories>,
    /// The state has changed since it was last saved.
    unsaved: bool,
    pub(super) clock: Clock,
    pub(super) recorder: Option<Recorder>,
    /// The rows of each session since the last tick, counted while the recorder's queue is crowded.
    rows_while_crowded: HashMap<SessionId, u32>,
    notifier: Option<Notifier>,
    pub(super) upstreams: UpstreamNames,
    near_miss: f64,
    began: Instant,
    /// The total duration of earlier runs.
    seconds_before: u64,
}

impl Accounting {
    pub(super) fn new(setup: Setup, now: Stamp) -> Accounting {
        let Setup { clock, saved, upstreams, .. } = setup;
        let SavedFiles { state, history, worker_histories } = saved;
        let mut alerts = AlertBook::new(&setup.rules.off);
        alerts.restore(&state.alerts, clock.correct(now));
        let chains = setup.expectations.chains();
        let mut rules = RuleSet::new(&setup.rules, setup.silence, setup.first_job, setup.account, chains);
        rules.workers.restore(&state.known_workers);
        rules.devices.least_stall = setup.least_stall.as_secs_f64();
        rules.devices.interval = setup.device_interval.as_secs_f64();
        let events = EventBook::new(setup.events);
        let start = system_news::start(events.newest(), clock.correct(now));
        let mut accounting = Accounting {
            seconds_before: state.lifetime.seconds,
            began: Instant::now(),
            summary: AnalyzerCounts::default(),
            totals: Totals::new(now),
            bests: BestShares::since_restart(&state, clock.correct(now)),
            state,
            pools: Pools::new(upstreams.clone()),
            recent: Recent::default(),
            alerts,
            events,
            system_news: SystemNews::default(),
            rules,
            blocks: BlockCounter::default(),
            enforcement: setup.enforcement,
            skew: 0,
            reading: clock.reading(),
            clock_state: clock.state(),
            history: Arc::new(history),
            shown_worker_histories: Arc::new(worker_histories.clone()),
            worker_histories,
            unsaved: false,
            clock,
            recorder: setup.recorder,
            rows_while_crowded: HashMap::new(),
            notifier: setup.notifier,
            upstreams,
            near_miss: setup.analysis.near_miss,
        };
        accounting.add_events([start]);
        accounting
    }

    /// Records a finding of a session.
    ///
    /// In aggregate mode the analyzer sees a share twice: on the miner's connection and on the pool's. The
    /// miner's work counts on the miner's connection. Jobs and verdicts count on the pool's.
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
            SessionEvent::Job(job) => self.rules.job_forwarded(&job, self.correct(job.at)),
            SessionEvent::NewBlock(job) => self.pools.add_new_block(&job, role),
            SessionEvent::Rejudged(job, at) if role.is_with_pool() => {
                self.enforce(&job);
                self.with_rules(self.correct(at), |rules, context| rules.payout.rejudged(&job, context));
            }
            SessionEvent::Rejudged(..) => {}
            SessionEvent::Protocol(event) => {
                let at = self.correct(event.at);
                if role.is_with_miner() {
                    self.rules.address_typo.event(&event);
                }
                if role.is_with_pool() {
                    self.with_rules(at, |rules, context| rules.event(&event, context));
                } else {
                    self.rules.share.event(&event, at);
                }
            }
            SessionEvent::Closed(session) => self.rules.closed(session),
        }
    }

    /// Takes in an update that comes from outside the conversations.
    pub(super) fn external_update(&mut self, update: &ExternalUpdate) {
        match update {
            ExternalUpdate::Tip(tip) => self.rules.chain.reference(tip, self.correct(tip.at)),
            ExternalUpdate::PoolStats(figures) => {
                self.with_rules(figures.at, |rules, context| rules.credit.pool_figures(figures, context));
            }
            ExternalUpdate::Device(report) => self.device_report(report),
            ExternalUpdate::Pools(pools) => {
                self.add_events(pool_events(self.rules.pool_reach.pools(), pools, self.clock.now()));
                self.rules.pool_reach.set_pools(pools.clone(), Instant::now());
            }
            ExternalUpdate::Reloaded(sections) => {
                self.add_events([system_news::reload(sections, self.clock.now())]);
            }
            ExternalUpdate::NameWorker { worker, name } => self.name_worker(worker, name),
            ExternalUpdate::ForgetWorker(worker) => self.forget_worker(worker),
            // The session tracker applies it.
            ExternalUpdate::Policy(_) => {}
        }
    }

    /// Does the work of a tick: runs the rules' timers, expires alerts, advances the history
    /// and saves the state.
    pub(super) fn tick(&mut self, sessions: &[SessionSample<'_>], now: Stamp) {
        let now = self.correct(now);
        self.clock_state = self.clock.state();
        self.rows_while_crowded.clear();
        // The recorder asks rarely, and a disagreement of the clocks in between must not be missed.
        self.clock.date_certainty();
        let recording = self.recording();
        self.rules.devices.note_gaps(self.summary.gaps);
        self.with_rules(now, |rules, context| rules.tick(sessions, recording.as_ref(), context));
        let rows = self.alerts.expire(now);
        self.record_alerts(rows);
        let news = self.system_news.tick(&self.clock_state, recording.as_ref(), now);
        self.add_events(news);
        self.take_unsaved_alerts();
        Arc::make_mut(&mut self.history).tick(unix_seconds(now));
        self.tick_worker_histories(now);
        self.count_runtime();
        let Some(recorder) = &self.recorder else { return };
        if std::mem::take(&mut self.unsaved) {
            recorder.save_state(self.state.clone());
        }
        recorder.save_history(self.history.clone());
    }

    fn count_runtime(&mut self) {
        self.state.lifetime.seconds = self.seconds_before + self.began.elapsed().as_secs();
    }

    /// Converts a stamp to NTP time.
    pub(super) fn correct(&self, stamp: Stamp) -> NtpTime {
        NtpTime::from_stamp(stamp.shifted(self.skew), self.clock.offset_at(&self.reading).unwrap_or_default())
    }

    /// Reads the machine's clocks. From now on [`Accounting::skew`] has to match this reading.
    pub(super) fn read_clocks(&mut self) -> ClockReading {
        self.reading = self.clock.reading();
        self.reading
    }

    pub(super) fn recording(&self) -> Option<RecordingHealth> {
        self.recorder.as_ref().map(Recorder::health)
    }

    /// Records a share that meets the network's target before the pool has judged it.
    fn block(&mut self, sent: &JudgedShare) {
        let Some(record) = self.block_record(sent, None) else { return };
        let is_every_share = sent.share.is_every_share_worth(1.0);
        let is_routine = is_every_share && self.blocks.is_routine(record.at);
        let level = if is_routine { log::Level::Debug } else { log::Level::Warn };
        log::log!(
            level,
            "a share meets the network's target and awaits the pool's verdict: session {}, worker {:?}, \
             height {}, hash {}",
            record.session,
            record.share.worker,
            record.height.map_or_else(|| "?".to_owned(), |height| height.to_string()),
            record.hash()
        );
        if is_every_share && !is_routine {
            log::info!(
                "the network's difficulty ({}) is not above the miner's: every share meets the network's target, \
                 and the following ones are not reported one by one",
                record.network_difficulty
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
        self.with_rules(at, |rules, context| rules.share(&judged, role, context));
        if role.is_with_miner() {
            self.miner_share(judged);
        }
    }

    /// Counts and records a share on the miner's connection.
    fn miner_share(&mut self, judged: JudgedShare) {
        let at = self.correct(judged.share.at);
        let counts_as_block = self.blocks.counts(&judged.share, at);
        let is_near = self.totals.add_share(&judged, counts_as_block, self.near_miss);
        self.count_lifetime(&judged, counts_as_block);
        if counts_as_block {
            self.with_rules(at, |_, context| good_news::block(&judged, context));
        }
        if is_near {
            self.with_rules(at, |_, context| good_news::near_miss(&judged, context));
        }
        let is_best = self.offer_best(&judged);
        Arc::make_mut(&mut self.history).share(unix_seconds(at), &judged.for_history());
        self.worker_histories.share(&judged.share.worker, unix_seconds(at), &judged.for_history());
        if let Some(record) = self.block_record(&judged, Some(judged.outcome.clone())) {
            self.record_block(record);
        }
        let may_record = self.may_record(judged.session);
        let recorder = self.recorder.as_ref().filter(|_| may_record);
        if let Some(recorder) = recorder {
            recorder.geek(at, GeekTopic::Share, || rows::describe(&judged));
        }
        if let Some(row) = self.share_row(judged) {
            if let Some(recorder) = recorder {
                recorder.record_share(&row);
            }
            self.recent.add_share(Arc::new(row));
        }
        if is_best || counts_as_block {
            self.save_now();
        }
    }

    /// Saves the state at once, after a best share or a block.
    fn save_now(&mut self) {
        self.count_runtime();
        if let Some(recorder) = &self.recorder {
            self.unsaved = false;
            recorder.save_state_now(self.state.clone());
        }
    }

    fn count_lifetime(&mut self, judged: &JudgedShare, counts_as_block: bool) {
        let lifetime = &mut self.state.lifetime;
        let LifetimeCounts { accepted, rejected, unanswered, unknown, .. } = lifetime;
        count_outcome(&judged.outcome, [accepted, rejected, unanswered, unknown]);
        lifetime.accepted_difficulty += judged.credited();
        lifetime.blocks += u64::from(counts_as_block);
        self.unsaved = true;
    }

    /// Offers an accepted share to the best shares. Returns whether it is the best ever. Rejected shares do not
    /// count.
    fn offer_best(&mut self, judged: &JudgedShare) -> bool {
        let share = &judged.share;
        let (ShareOutcome::Accepted, Some(rebuilt)) = (&judged.outcome, &share.rebuilt) else { return false };
        let Ok(difficulty) = Difficulty::new(rebuilt.difficulty) else { return false };
        let at = self.correct(share.at);
        let best = BestShare { worker: share.worker.clone(), difficulty, hash: rebuilt.hash, at };
        self.bests.take(&best, &self.state);
        let before = self.state.best().first().cloned();
        let is_best = self.state.offer(best);
        if is_best {
            log::info!("best share ever: {:.6} by {:?}", rebuilt.difficulty, share.worker);
            // The very first share is not worth an alert.
            if let Some(before) = before {
                self.with_rules(at, |_, context| good_news::best(judged, &before, context));
            }
        }
        is_best
    }

    fn job(&mut self, job: &JobSeen, role: Role) {
        self.enforce(job);
        self.check_clock_by_job(job);
        let at = self.correct(job.at);
        self.totals.add_job(job, at);
        let view = self.recent.add_job(job, at);
        self.pools.set_job(job.upstream, view);
        let upstream = self.upstreams.name(job.upstream);
        self.with_rules(at, |rules, context| rules.job(job, role, context));
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
            session: job.session,
            // In aggregate mode the job is for all miners of the connection.
            miner: role.is_with_miner().then_some(job.miner),
            worker: job.worker.clone(),
        });
        recorder.geek(at, GeekTopic::Job, || job.describe());
    }

    /// Asks to block the job's pool, if the job is a reason.
    fn enforce(&self, job: &JobSeen) {
        if let Some(enforcement) = &self.enforcement {
            enforcement.job(job);
        }
    }

    /// Returns whether a row of this session may be recorded. If not, the row would crowd out those of others.
    fn may_record(&mut self, session: SessionId) -> bool {
        let Some(recorder) = self.recorder.as_ref().filter(|recorder| recorder.is_crowded()) else {
            return true;
        };
        let rows = self.rows_while_crowded.entry(session).or_default();
        *rows = rows.saturating_add(1);
        if *rows > MAX_ROWS_WHILE_CROWDED {
            recorder.count_dropped();
        }
        *rows <= MAX_ROWS_WHILE_CROWDED
    }

    /// Compares the machine's clock with the job's own time, before the rules judge the job by that clock.
    fn check_clock_by_job(&mut self, job: &JobSeen) {
        let ahead = job.time_difference(NtpTime::from_stamp(job.at.shifted(self.skew), Offset::default()));
        let time = JobTime {
            ahead: Offset::from_micros((ahead * 1e6) as i64),
            is_exact: job.chain.network != "testnet",
            is_first: job.gap.is_none(),
        };
        self.clock.job_time(host_of(&self.upstreams.name(job.upstream)), time, &self.reading);
        self.clock_state = self.clock.state();
    }
}

/// The host of a pool's URL. Two ports of one host count as one source of time.
fn host_of(upstream: &str) -> &str {
    let host = upstream.split_once("://").map_or(upstream, |(_, host)| host);
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

/// Seconds since 1970.
fn unix_seconds(time: NtpTime) -> u64 {
    u64::try_from(time.unix_seconds()).unwrap_or(0)
}
