//! Everything that is shown, as of one moment: the analyzer's snapshot, the state of forwarding, and
//! the program itself. One thread gathers it whenever the analyzer has published, twice a
//! second. Readers take the newest one without a lock.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;
use serde_json::Value;

use super::free_memory::FreeMemory;
use crate::analyzer::{
    Alert, AnalyzerEnded, ExternalUpdate, KnownWorkerView, PoolReach, PoolView, Published, Snapshot,
};
use crate::clock::{ClockState, NtpTime, Offset};
use crate::config::{Config, Severity};
use crate::limits::ConnectionCounts;
use crate::net::Stamp;
use crate::net::interfaces;
use crate::notify::{Notifier, RecipientHealth};
use crate::pool_stats::{PublishedStats, StatsHealth};
use crate::proxy::{Proxy, ProxyStats, Volume};
use crate::reference::{ReferenceView, References};
use crate::upstream::UpstreamState;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise::{self, ServiceHealth, service};

/// The time between two snapshots when there is no analyzer. The analyzer publishes as often.
const INTERVAL: Duration = Duration::from_millis(500);

/// The longest wait for the analyzer. If the analyzer hangs, everything else is still up to date.
const MAX_ANALYZER_WAIT: Duration = Duration::from_secs(1);

/// The thread is reported as stuck when its heartbeat is later than this.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Everything that is shown, as of one moment.
#[derive(Debug, Clone)]
pub struct StatusSnapshot {
    pub program: Arc<ProgramInfo>,
    pub snapshot: Arc<Snapshot>,
    pub runtime: RuntimeStatus,
    /// The time of the snapshot: NTP time if it is known, else the system's.
    pub at: NtpTime,
    pub up_for: Duration,
}

/// The program: its version, start and listeners, and the configuration in effect.
#[derive(Debug, Clone)]
pub struct ProgramInfo {
    pub version: &'static str,
    pub config: Config,
    /// The addresses miners can connect to. Port 0 is replaced by the port that the system chose.
    pub listening: Vec<SocketAddr>,
    pub started: NtpTime,
}

/// The state of forwarding.
#[derive(Debug, Clone, Default)]
pub struct RuntimeStatus {
    /// Connected miners, including those that have not sent anything yet.
    pub sessions: usize,
    pub volume: Volume,
    pub counts: ConnectionCounts,
    /// The addresses by which others can reach this machine. Looked up only while no miner is connected.
    pub own_addresses: Vec<IpAddr>,
    /// All upstreams, indexed by number.
    pub upstreams: Vec<UpstreamState>,
    /// The state of the requests for the pool's own statistics. `None` when they are not configured.
    pub pool_stats: Option<StatsHealth>,
    pub recipients: Vec<RecipientHealth>,
    /// The references in the order of the configuration.
    pub references: Vec<ReferenceView>,
    pub threads: Vec<ServiceHealth>,
    /// The number of panics that service threads have survived.
    pub thread_restarts: u64,
}

impl RuntimeStatus {
    /// The pools as the rules need them, by their numbers.
    pub(super) fn pool_reach(&self) -> Arc<[PoolReach]> {
        let reach = |one: &UpstreamState| PoolReach {
            name: one.name.clone(),
            rank: one.rank,
            status: one.standing,
            gives_no_work: one.gives_no_work,
            reason: one.blocked.clone().or_else(|| one.trouble.as_ref().map(|(reason, _)| reason.clone())),
            is_in_use: one.sessions > 0,
        };
        self.upstreams.iter().map(reach).collect()
    }

    /// Lists the upstreams with their numbers in the order of preference. Upstreams that were removed
    /// from the configuration follow as long as miners are connected to them.
    pub fn listed(&self) -> Vec<(usize, &UpstreamState)> {
        let is_shown = |(_, one): &(usize, &UpstreamState)| one.rank.is_some() || one.sessions > 0;
        let mut listed: Vec<_> = self.upstreams.iter().enumerate().filter(is_shown).collect();
        listed.sort_by_key(|(_, one)| one.rank.unwrap_or(usize::MAX));
        listed
    }
}

/// A handle to the newest [`StatusSnapshot`]. Clones share it.
#[derive(Debug, Clone)]
pub struct StatusSnapshots(Arc<ArcSwap<StatusSnapshot>>);

/// The parts of the program from which a snapshot is gathered.
#[derive(Debug)]
pub struct SnapshotSources {
    pub proxy: Arc<dyn Proxy>,
    /// `None` when analysis is off.
    pub analyzer: Option<Published>,
    pub pool_stats: Option<PublishedStats>,
    pub notifier: Option<Notifier>,
    /// The configuration in effect. A reload changes it.
    pub config: Arc<ArcSwap<Config>>,
    /// The references; none run when analysis is off.
    pub references: References,
    /// Tells the rules which pools can be used and are in use. `None` when analysis is off.
    pub to_rules: Option<Sender<ExternalUpdate>>,
}

impl ProgramInfo {
    /// The facts of a configuration and of the listeners that were opened for it.
    pub fn new(config: &Config, listening: Vec<SocketAddr>) -> ProgramInfo {
        let started = NtpTime::from_timestamp(jiff::Timestamp::now());
        ProgramInfo { version: env!("CARGO_PKG_VERSION"), config: config.clone(), listening, started }
    }
}

impl StatusSnapshots {
    /// Gathers a snapshot now, and then in the thread `survey` each time the analyzer publishes, until
    /// `stop`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(sources: SnapshotSources, program: ProgramInfo, stop: &Stop) -> io::Result<StatusSnapshots> {
        let (mut program, began) = (Arc::new(program), Instant::now());
        let first = sources.gather(&program, began);
        let snapshots = StatusSnapshots(Arc::new(ArcSwap::from_pointee(first)));
        let (published, thread_stop) = (snapshots.clone(), stop.clone());
        let (mut memory, mut last_sent) = (FreeMemory::new(began), Arc::from([]));
        service("survey").beats_within(STUCK_AFTER).start(move || {
            while sources.wait(&thread_stop).is_ok() {
                supervise::beat();
                let config = sources.config.load();
                if program.config != **config {
                    program = Arc::new(ProgramInfo { config: (**config).clone(), ..(*program).clone() });
                }
                drop(config);
                let status = sources.gather(&program, began);
                let pools = status.runtime.pool_reach();
                if last_sent != pools {
                    let update = ExternalUpdate::Pools(pools.clone());
                    // If the queue is full, the update is sent in the next round.
                    if sources.to_rules.as_ref().is_some_and(|rules| rules.try_send(update).is_ok()) {
                        last_sent = pools;
                    }
                }
                memory.update(status.runtime.sessions, Instant::now());
                published.0.store(Arc::new(status));
            }
        })?;
        Ok(snapshots)
    }

    /// A snapshot that never changes, for tests and pictures.
    pub fn fixed(status: StatusSnapshot) -> StatusSnapshots {
        StatusSnapshots(Arc::new(ArcSwap::from_pointee(status)))
    }

    pub fn newest(&self) -> Arc<StatusSnapshot> {
        self.0.load_full()
    }
}

impl StatusSnapshot {
    /// The analyzer's view of the upstream with this index.
    pub fn pool(&self, place: usize) -> Option<&PoolView> {
        self.snapshot.pools.iter().find(|pool| pool.place == place)
    }

    /// The known workers that have no connection.
    pub fn offline_workers(&self) -> impl Iterator<Item = &KnownWorkerView> {
        self.snapshot.known_workers.iter().filter(|known| !known.is_connected)
    }

    /// The alerts that have not ended.
    pub fn active_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.snapshot.alerts.alerts.iter().map(AsRef::as_ref).filter(|alert| alert.ended.is_none())
    }

    /// The active alerts whose state is not visibly over. An alert ends only when its state has been over for a minute.
    pub fn present_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.active_alerts().filter(|alert| !self.is_visibly_over(alert))
    }

    fn is_visibly_over(&self, alert: &Alert) -> bool {
        let is_back = |name: &str| {
            let mut known = self.snapshot.known_workers.iter();
            known.any(|known| &*known.worker == name && known.is_connected)
        };
        match (alert.id, alert.evidence["worker"].as_str(), alert.evidence["workers"].as_array()) {
            ("miner.gone", Some(name), _) => is_back(name),
            ("miner.gone", None, Some(names)) => names.iter().filter_map(Value::as_str).all(is_back),
            ("pool.failed_over", ..) => {
                let listed = self.runtime.listed();
                let mut spare = listed.iter().skip(1);
                !spare.any(|(_, one)| one.sessions > 0)
            }
            _ => false,
        }
    }

    /// The number of active alerts by severity.
    pub fn active_by_severity(&self) -> [(&'static str, usize); 4] {
        [Severity::High, Severity::Medium, Severity::Low, Severity::Info].map(|severity| {
            let active = self.active_alerts().filter(|alert| alert.severity == severity);
            (severity.as_str(), active.count())
        })
    }

    /// Converts a stamp of the system's clock to NTP time, as far as the offset is known.
    pub fn time_of(&self, stamp: Stamp) -> NtpTime {
        NtpTime::from_stamp(stamp, offset(&self.snapshot))
    }

    /// The time from then to this snapshot; zero if the clock was set back.
    pub fn age_of(&self, then: NtpTime) -> Duration {
        self.at.timestamp().duration_since(then.timestamp()).try_into().unwrap_or_default()
    }
}

fn offset(snapshot: &Snapshot) -> Offset {
    match &snapshot.clock {
        Some(ClockState::Synchronised { offset, .. }) => *offset,
        _ => Offset::default(),
    }
}

impl SnapshotSources {
    /// Waits until the analyzer publishes or the interval ends.
    fn wait(&self, stop: &Stop) -> Result<(), Stopped> {
        match self.analyzer.as_ref().map(|analyzer| analyzer.wait_for_next(MAX_ANALYZER_WAIT)) {
            Some(Ok(())) => stop.check(),
            Some(Err(AnalyzerEnded)) | None => stop.sleep(INTERVAL),
        }
    }

    fn gather(&self, program: &Arc<ProgramInfo>, began: Instant) -> StatusSnapshot {
        let snapshot = self.analyzer.as_ref().map(Published::snapshot).unwrap_or_default();
        let offset = offset(&snapshot);
        let ProxyStats { sessions, volume, counts, upstreams } = self.proxy.stats();
        StatusSnapshot {
            program: program.clone(),
            at: NtpTime::from_stamp(Stamp::now(), offset),
            up_for: began.elapsed(),
            runtime: RuntimeStatus {
                sessions,
                volume,
                counts,
                own_addresses: if sessions == 0 { interfaces::addresses() } else { Vec::new() },
                upstreams,
                pool_stats: self.pool_stats.as_ref().map(PublishedStats::health),
                recipients: self.notifier.as_ref().map(Notifier::health).unwrap_or_default(),
                references: self.references.views(),
                threads: supervise::health(),
                thread_restarts: supervise::restarts(u64::MAX).0,
            },
            snapshot,
        }
    }
}
