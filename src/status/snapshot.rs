//! Everything that is shown, as of one moment: the analyzer's snapshot, how forwarding goes, and what
//! never changes. One thread gathers it whenever the analyzer has published, which is twice a second; whoever
//! shows it reads the newest without taking a lock.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;

use super::free_memory::FreeMemory;
use crate::analyzer::{AnalyzerEnded, ExternalUpdate, Published, Snapshot};
use crate::clock::{ClockState, NtpTime, Offset};
use crate::config::Config;
use crate::limits::ConnectionCounts;
use crate::net::Stamp;
use crate::net::interfaces;
use crate::notify::{Notifier, RecipientHealth};
use crate::pool_stats::{PublishedStats, StatsHealth};
use crate::proxy::{Proxy, ProxyStats, UpstreamState, Volume};
use crate::reference::{ReferenceView, References};
use crate::upstream::PoolStatus;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;
use crate::util::supervise::{ServiceHealth, service};

/// The time between two gatherings without an analyzer; an analyzer publishes as often.
const INTERVAL: Duration = Duration::from_millis(500);

/// The longest wait for the analyzer. If it hangs, the rest is still shown as of now.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The thread's heartbeat is later than this only if something holds it.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// One moment.
#[derive(Debug, Clone)]
pub struct StatusSnapshot {
    pub facts: Arc<FixedFacts>,
    pub snapshot: Arc<Snapshot>,
    pub around: RuntimeStatus,
    /// By NTP, as far as that is known.
    pub at: NtpTime,
    pub up_for: Duration,
}

/// What never changes while the program runs.
#[derive(Debug, Clone)]
pub struct FixedFacts {
    pub version: &'static str,
    pub config: Config,
    /// Where miners can connect; ports that were asked for as 0 have their number.
    pub listening: Vec<SocketAddr>,
    pub started: NtpTime,
}

/// How forwarding goes.
#[derive(Debug, Clone, Default)]
pub struct RuntimeStatus {
    /// Connected miners, those that have said nothing yet included.
    pub sessions: usize,
    pub volume: Volume,
    pub counts: ConnectionCounts,
    /// This machine's addresses by which others can reach it; looked up only while there is no miner.
    pub own_addresses: Vec<IpAddr>,
    /// By their numbers.
    pub upstreams: Vec<UpstreamState>,
    /// How the asking for the pool's own figures goes; `None` when it is not asked.
    pub pool_stats: Option<StatsHealth>,
    /// Who is told of alerts.
    pub recipients: Vec<RecipientHealth>,
    /// In their order.
    pub references: Vec<ReferenceView>,
    /// The threads that serve everybody.
    pub threads: Vec<ServiceHealth>,
    /// How often one of them has survived a panic.
    pub thread_restarts: u64,
}

impl RuntimeStatus {
    /// Whether a miner that comes now would be given to a pool. One without work counts: it may have some soon.
    fn has_usable_pool(&self) -> bool {
        let is_usable = |one: &UpstreamState| match one.standing {
            PoolStatus::Untried | PoolStatus::Up => true,
            PoolStatus::Failed => one.gives_no_work,
            PoolStatus::Blocked => false,
        };
        self.upstreams.iter().any(|one| one.rank.is_some() && is_usable(one))
    }

    /// The upstreams, with their numbers, in the order of preference; then those that are not listed any
    /// more, as long as miners are with them.
    pub fn listed(&self) -> Vec<(usize, &UpstreamState)> {
        let is_of_use = |(_, one): &(usize, &UpstreamState)| one.rank.is_some() || one.sessions > 0;
        let mut listed: Vec<_> = self.upstreams.iter().enumerate().filter(is_of_use).collect();
        listed.sort_by_key(|(_, one)| one.rank.unwrap_or(usize::MAX));
        listed
    }
}

/// The newest [`StatusSnapshot`]. Clones share it.
#[derive(Debug, Clone)]
pub struct StatusSnapshots(Arc<ArcSwap<StatusSnapshot>>);

/// What is gathered from.
#[derive(Debug)]
pub struct Sources {
    pub proxy: Arc<dyn Proxy>,
    /// `None` when analysis is off.
    pub analyzer: Option<Published>,
    pub pool_stats: Option<PublishedStats>,
    pub notifier: Option<Notifier>,
    /// The configuration in effect; a reload changes it.
    pub config: Arc<ArcSwap<Config>>,
    /// None run when analysis is off.
    pub references: References,
    /// To the rules: whether any pool can be used. `None` when analysis is off.
    pub to_rules: Option<Sender<ExternalUpdate>>,
}

impl FixedFacts {
    /// Of a configuration and the listeners that were opened for it.
    pub fn new(config: &Config, listening: Vec<SocketAddr>) -> FixedFacts {
        let started = NtpTime::from_timestamp(jiff::Timestamp::now());
        FixedFacts { version: env!("CARGO_PKG_VERSION"), config: config.clone(), listening, started }
    }
}

impl StatusSnapshots {
    /// Gathers now, and then after each publishing of the analyzer in the thread `survey` until `stop`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(sources: Sources, facts: FixedFacts, stop: &Stop) -> io::Result<StatusSnapshots> {
        let (mut facts, began) = (Arc::new(facts), Instant::now());
        let first = sources.gather(&facts, began);
        let sights = StatusSnapshots(Arc::new(ArcSwap::from_pointee(first)));
        let (published, until) = (sights.clone(), stop.clone());
        let (mut memory, mut told) = (FreeMemory::new(began), None);
        service("survey").beats_within(STUCK_AFTER).start(move || {
            while sources.wait(&until).is_ok() {
                supervise::beat();
                let config = sources.config.load();
                if facts.config != **config {
                    facts = Arc::new(FixedFacts { config: (**config).clone(), ..(*facts).clone() });
                }
                drop(config);
                let sight = sources.gather(&facts, began);
                let are_usable = sight.around.has_usable_pool();
                let news = ExternalUpdate::PoolsUsable(are_usable);
                // What finds no room is sent in the next round.
                if told != Some(are_usable)
                    && sources.to_rules.as_ref().is_some_and(|rules| rules.try_send(news).is_ok())
                {
                    told = Some(are_usable);
                }
                memory.look(sight.around.sessions, Instant::now());
                published.0.store(Arc::new(sight));
            }
            Ok::<(), Stopped>(())
        })?;
        Ok(sights)
    }

    /// One that stays as it is, for tests and pictures.
    pub fn fixed(sight: StatusSnapshot) -> StatusSnapshots {
        StatusSnapshots(Arc::new(ArcSwap::from_pointee(sight)))
    }

    /// The newest.
    pub fn newest(&self) -> Arc<StatusSnapshot> {
        self.0.load_full()
    }
}

impl StatusSnapshot {
    /// What a stamp of the system's clock is by NTP, as far as that is known.
    pub fn time_of(&self, stamp: Stamp) -> NtpTime {
        NtpTime::from_stamp(stamp, offset(&self.snapshot))
    }

    /// The time from a stamp of the system's clock to this moment; none if the clock was set back.
    pub fn since(&self, stamp: Stamp) -> Duration {
        let age = self.at.timestamp().duration_since(self.time_of(stamp).timestamp());
        age.try_into().unwrap_or_default()
    }
}

fn offset(snapshot: &Snapshot) -> Offset {
    match &snapshot.clock {
        Some(ClockState::Synchronised { offset, .. }) => *offset,
        _ => Offset::default(),
    }
}

impl Sources {
    /// Waits until there is something new.
    fn wait(&self, stop: &Stop) -> Result<(), Stopped> {
        match self.analyzer.as_ref().map(|analyzer| analyzer.wait_for_next(MAX_WAIT)) {
            Some(Ok(())) => stop.check(),
            Some(Err(AnalyzerEnded)) | None => stop.sleep(INTERVAL),
        }
    }

    fn gather(&self, facts: &Arc<FixedFacts>, began: Instant) -> StatusSnapshot {
        let snapshot = self.analyzer.as_ref().map(Published::snapshot).unwrap_or_default();
        let offset = offset(&snapshot);
        let ProxyStats { sessions, volume, counts, upstreams } = self.proxy.stats();
        StatusSnapshot {
            facts: facts.clone(),
            at: NtpTime::from_stamp(Stamp::now(), offset),
            up_for: began.elapsed(),
            around: RuntimeStatus {
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
