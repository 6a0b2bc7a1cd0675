//! Aggregate mode: many miners on one connection to the pool.
//!
//! - [`miner`]: a connected miner: its two threads, its requests and replies, its difficulty and its jobs.
//! - [`group`]: the miners that share a connection: which account and connection a miner belongs to, who has
//!   which part of the search space, and who gets what the pool sends.
//! - [`pool`]: one connection to a pool: connecting, reading, open requests, names, and the manager that
//!   replaces it.
//! - `jobs`: jobs as the pool sent them and as miners have them. `outbox`: lines to one peer, sent now or
//!   queued.
//! - `identity`: names of miners, and at the pool. `mode`: what the rest of the program sees.

mod group;
mod identity;
mod jobs;
mod limits;
mod miner;
mod mode;
mod outbox;
pub mod pool;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::{ListenerContext, Proxy, Registry, StartError, start_upstreams};
use crate::config::{self, Config, Mode};
use crate::net::Stamp;
use crate::stratum::{Difficulty, Extranonce1, Extranonce2Size, VersionMask};
use crate::tap::SessionId;
use crate::tap::ToAnalyzer;
use crate::upstream::Upstreams;
use crate::util::stop::Stop;

use group::account_router::AccountRouter;
use group::extranonce_space::{ExtranonceSpace, ExtranonceSplit};
use group::prefixes::{Prefix, PrefixTable};
use group::senders::Senders;
use group::{JobChange, LeaseError, MinerGroup};
use identity::{Account, MinerName, NameFault, Naming, PoolName, WorkerName};
use jobs::{JobNumbers, MinerJob, PoolJob, SpaceId};
use miner::ConnectedMiner;
use miner::difficulty_cache::DifficultyCache;
use miner::replies::ReplySlot;
use miner::work::{ExtranonceLease, MinerWork};
use outbox::{Outbox, WakeReason};
use pool::connection::SharedConnection;
use pool::names::NameStatus;
use pool::pending::Requester;

pub use limits::Limits;

/// Shared by all sessions.
#[derive(Debug)]
pub(crate) struct AggregateServices {
    config: Config,
    limits: Limits,
    vardiff: ArcSwap<config::VardiffConfig>,
    naming: Naming,
    upstreams: Upstreams,
    listener_context: ListenerContext,
    router: AccountRouter,
    senders: Arc<Senders>,
    registry: Registry<ConnectedMiner>,
    difficulty_cache: DifficultyCache,
    to_analyzer: ToAnalyzer,
    numbers: JobNumbers,
    last_space_id: AtomicU64,
    sessions: AtomicU64,
    /// The version bits that the last pool granted.
    last_mask: AtomicU32,
    stop: Stop,
}

/// Starts the mode. Copies of all conversations go to `to_analyzer`. `own`: the addresses that miners connect
/// to, which are no pools.
///
/// # Errors
/// [`StartError`] when an upstream or a thread can't be set up.
pub(crate) fn start(
    config: &Config,
    limits: Limits,
    to_analyzer: ToAnalyzer,
    own: &[SocketAddr],
    stop: &Stop,
) -> Result<Arc<dyn Proxy>, StartError> {
    // Connections end with the sessions, after what is in flight was answered.
    let pools_stop = Stop::new();
    let (listener_context, upstreams) = start_upstreams(config, own, &pools_stop)?;
    let services = Arc::new(AggregateServices {
        vardiff: ArcSwap::from_pointee(config.vardiff.clone()),
        naming: Naming::new(config),
        config: config.clone(),
        limits,
        upstreams,
        listener_context,
        router: AccountRouter::default(),
        senders: Senders::start().map_err(StartError::Thread)?,
        registry: Registry::default(),
        difficulty_cache: DifficultyCache::default(),
        to_analyzer,
        numbers: JobNumbers::default(),
        last_space_id: AtomicU64::new(0),
        sessions: AtomicU64::new(1),
        last_mask: AtomicU32::new(VersionMask::BIP320.0),
        stop: pools_stop,
    });
    miner::vardiff_timer::start(&services, stop).map_err(StartError::Thread)?;
    Ok(services)
}

/// The name at a pool with this `[[upstream]] user` of a miner that calls itself `worker`. In passthrough
/// mode it is the same.
pub fn name_at_pool<'a>(config: &Config, worker: &'a str, user: Option<&str>) -> Cow<'a, str> {
    match (config.mode, user) {
        (Mode::Aggregate, Some(user)) => {
            let name = MinerName::new(worker.to_owned());
            Naming::new(config).at_pool(&name, user).0.into()
        }
        _ => worker.into(),
    }
}

impl AggregateServices {
    fn next_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    fn next_space_id(&self) -> SpaceId {
        SpaceId(self.last_space_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The account of a miner of this name.
    fn account(&self, name: &MinerName) -> Account {
        let listed: Vec<_> =
            self.upstreams.order().into_iter().map(|upstream| self.upstreams.configured(upstream)).collect();
        self.naming.account(name, listed.iter().map(|upstream| upstream.user.as_str()))
    }

    /// The reason that one of the listed pools could credit nobody for a miner of this name, if there is one.
    fn name_fault(&self, name: &MinerName) -> Option<NameFault> {
        let configured = |upstream| self.upstreams.configured(upstream);
        self.upstreams
            .order()
            .into_iter()
            .find_map(|upstream| self.naming.fault_of(name, &configured(upstream).user))
    }

    /// Authorizes the configured name in advance, if all miners have the same name at this pool.
    fn authorize_own(&self, connection: &SharedConnection) {
        let configured = &connection.configured;
        if let Some(name) = self.naming.fixed(&configured.user) {
            connection.authorize(&name, configured.password.expose(), self.limits.authorize_retry);
        }
    }

    /// The version bits that a pool will probably grant.
    fn likely_mask(&self) -> Option<VersionMask> {
        let mask = VersionMask(self.last_mask.load(Ordering::Relaxed));
        (!mask.is_empty()).then_some(mask)
    }

    fn remember_mask(&self, mask: Option<VersionMask>) {
        self.last_mask.store(mask.unwrap_or_default().0, Ordering::Relaxed);
    }

    /// Remembers the difficulty of a miner that leaves.
    fn remember(&self, miner: &ConnectedMiner) {
        let work = miner.work();
        if let Some(difficulty) = work.proven_difficulty() {
            self.difficulty_cache.remember(miner.address().ip(), work.user_agent(), difficulty);
        }
    }

    /// Logs how long a job took to reach so many miners.
    fn fanned_out(&self, miners: usize, readable_at: Stamp) {
        if let Some(spread) = Stamp::now().since(readable_at) {
            log::debug!("a job went to {miners} miners within {spread:.1?}");
        }
    }
}

fn difficulty_line(difficulty: Difficulty) -> String {
    // Plain decimals: some readers know no exponents.
    format!("{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{}]}}\n", difficulty.value())
}

fn set_extranonce_line(extranonce1: &Extranonce1, size: Extranonce2Size) -> String {
    format!("{{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"{extranonce1}\",{size}]}}\n")
}

fn set_version_mask_line(mask: VersionMask) -> String {
    format!("{{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"{mask}\"]}}\n")
}
