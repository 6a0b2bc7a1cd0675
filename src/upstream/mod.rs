//! The list of pools: their order of preference, the health of each, spare connections, and the background
//! probes that find out when a failed pool is back.

mod connect;
mod entry;
mod health;
mod list;
mod probe;
mod probe_logins;
mod probe_work;
mod route;
mod spare;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};

use crate::config;
use crate::stratum::Reconnect;
use crate::util::stop::Stop;

pub use connect::{NoUpstream, PoolConnection};
pub use entry::{PoolInUse, PoolStatus, UpstreamState};
pub use health::{OtherProtocol, PoolFailure, PoolHealth};
pub use list::{UpstreamId, UpstreamList};
pub use route::{SetupError, route_to};

use entry::UpstreamEntry;

/// All configured upstreams. Clones share them.
#[derive(Debug, Clone)]
pub struct Upstreams {
    shared: Arc<UpstreamsShared>,
}

#[derive(Debug)]
struct UpstreamsShared {
    listed: ArcSwap<Listed>,
    failover: config::FailoverConfig,
    /// The addresses that this program listens on for miners.
    own_addresses: Vec<SocketAddr>,
    /// Notified whenever an upstream's health improves, when others are listed, and at the end.
    changed: Condvar,
    /// Guards nothing but the wait for `changed`. A miner that finds a healthy upstream does not take it.
    waiters: Mutex<()>,
    on_failure: FailureHook,
    stop: Stop,
}

/// The upstreams as they are listed now.
#[derive(Debug)]
struct Listed {
    list: UpstreamList,
    /// All upstreams that were ever listed, by their numbers.
    upstreams: Vec<Arc<UpstreamEntry>>,
    /// Since when this order holds.
    since: Instant,
}

/// Called whenever an upstream has failed or is back, because miners then come in a wave.
struct FailureHook(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for FailureHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailureHook")
    }
}

impl Upstreams {
    /// Sets the upstreams up and starts their background work (names, probes, spare connections), which goes
    /// on until `stop`. `on_failure` is called whenever one has failed or is back, and while all have failed:
    /// miners come in waves then. A connection that ends at one of `own_addresses`, on which this program
    /// listens, is no connection to a pool.
    ///
    /// # Errors
    /// [`SetupError`] for unusable certificates, or when a thread can't be started.
    pub fn start(
        own_addresses: &[SocketAddr],
        configured: &[config::UpstreamConfig],
        failover: &config::FailoverConfig,
        on_failure: impl Fn() + Send + Sync + 'static,
        stop: &Stop,
    ) -> Result<Upstreams, SetupError> {
        let none = Listed { list: UpstreamList::new(&[]), upstreams: Vec::new(), since: Instant::now() };
        let shared = UpstreamsShared {
            listed: ArcSwap::from_pointee(none),
            failover: failover.clone(),
            own_addresses: own_addresses.to_vec(),
            changed: Condvar::new(),
            waiters: Mutex::new(()),
            on_failure: FailureHook(Box::new(on_failure)),
            stop: stop.clone(),
        };
        let upstreams = Upstreams { shared: Arc::new(shared) };
        upstreams.list(UpstreamList::new(configured))?;
        Ok(upstreams)
    }

    /// Checks whether there is room for this list. Nothing changes.
    ///
    /// # Errors
    /// If it has none.
    pub fn check_relist(&self, configured: &[config::UpstreamConfig]) -> Result<(), SetupError> {
        self.listed().list.relisted(configured).map(drop)
    }

    /// Takes over another list or another order. Upstreams that are listed as before are not touched. Those
    /// that are not listed any more get no new miners, and [`Upstreams::better_than`] moves the others off
    /// them. `on_urls` gets the URLs of all, by their numbers, before the first connection to a new one.
    /// `false` when nothing has changed.
    ///
    /// # Errors
    /// [`SetupError`]; nothing has changed then.
    pub fn relist(
        &self,
        configured: &[config::UpstreamConfig],
        on_urls: impl FnOnce(Vec<String>),
    ) -> Result<bool, SetupError> {
        let list = &self.shared.listed.load().list;
        let next = list.relisted(configured)?;
        if next == *list {
            return Ok(false);
        }
        on_urls(next.urls());
        let before = self.order();
        self.list(next)?;
        log::info!("the list of pools: {}", self.describe_relisting(&before));
        Ok(true)
    }

    /// The pools that were added, removed and kept, and the present order, for the log.
    fn describe_relisting(&self, before: &[UpstreamId]) -> String {
        let order = self.order();
        let names = |ids: Vec<&UpstreamId>| {
            let names: Vec<String> = ids.into_iter().map(|id| self.name(*id).to_string()).collect();
            names.join(", ")
        };
        let added = names(order.iter().filter(|id| !before.contains(id)).collect());
        let removed = names(before.iter().filter(|id| !order.contains(id)).collect());
        let kept = names(order.iter().filter(|id| before.contains(id)).collect());
        let parts = [("added", added), ("removed", removed), ("kept", kept)];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let mut parts: Vec<String> = parts.map(|(what, names)| format!("{what} {names}")).collect();
        parts.push(format!("from now on in the order {}", names(order.iter().collect())));
        parts.join("; ")
    }

    /// The number of upstreams that were ever listed.
    pub fn count(&self) -> usize {
        self.listed().upstreams.len()
    }

    /// The number of upstreams that are listed.
    pub fn listed_count(&self) -> usize {
        self.listed().list.order.len()
    }

    /// The listed upstreams, the most preferred one first.
    pub fn order(&self) -> Vec<UpstreamId> {
        self.listed().list.order.clone()
    }

    /// Whether a `client.reconnect` leads to a host that is listed.
    pub fn is_listed_host(&self, reconnect: &Reconnect) -> bool {
        let listed = self.listed();
        let mut hosts = listed.list.order.iter().map(|id| &listed.upstreams[id.0].configured.host);
        hosts.any(|host| reconnect.is_to(host))
    }

    /// The number of listed upstreams that are preferred to this one, see [`UpstreamList::rank`].
    pub fn rank(&self, id: UpstreamId) -> Option<usize> {
        self.listed().list.rank(id)
    }

    /// Stops all background work of the upstreams.
    pub fn stop(&self) -> &Stop {
        &self.shared.stop
    }

    /// Host and port, as configured.
    pub fn name(&self, id: UpstreamId) -> Arc<str> {
        self.entry(id).name.clone()
    }

    /// The configuration of the upstream, as of when it was last listed.
    pub fn configured(&self, id: UpstreamId) -> Arc<config::UpstreamConfig> {
        self.entry(id).configured.clone()
    }

    /// Has probes find out at once whether the listed pools that were not tried yet answer. Does not wait for them.
    pub fn try_untried(&self) {
        for upstream in self.order().into_iter().map(|id| self.entry(id)) {
            if !upstream.is_reached() {
                upstream.suspect(PoolFailure::Silent(self.shared.failover.answer_timeout));
            }
        }
    }

    /// Marks a pool as failed, unless it is already.
    pub fn mark_failed(&self, id: UpstreamId, failure: PoolFailure) {
        self.fail(&self.entry(id), failure);
    }

    /// Whether miners of this pool could move to another one that counts as up.
    pub fn has_alternative(&self, id: UpstreamId) -> bool {
        self.order().into_iter().any(|other| other != id && self.is_up(other))
    }

    /// Notes that the pool failed one session while others still use it. A probe finds out.
    pub fn suspect(&self, id: UpstreamId, failure: PoolFailure) {
        let upstream = self.entry(id);
        log::debug!("pool {id} {} is suspected: {failure}", upstream.name);
        upstream.suspect(failure);
    }

    /// The upstream that miners of this one should move to, and since when: a preferred one that has been
    /// healthy for `stable` and is not `avoided`. Miners of one that is not listed any more should move to
    /// any that works.
    pub fn better_than(
        &self,
        id: UpstreamId,
        stable: Duration,
        avoided: &[UpstreamId],
    ) -> Option<(UpstreamId, Instant)> {
        let listed = self.listed();
        let rank = listed.list.rank(id);
        let mut better = listed.list.order.iter().take(rank.unwrap_or(usize::MAX));
        better.find_map(|better| {
            let up_since = listed.upstreams[better.0].up_since().filter(|_| !avoided.contains(better))?;
            if rank.is_none() {
                return Some((*better, Instant::now()));
            }
            let since = up_since.max(listed.since);
            (since.elapsed() >= stable).then_some((*better, since))
        })
    }

    /// The state of the upstream. The mode knows how many sessions are on it, and when it last sent something to
    /// one of them.
    pub fn state(&self, id: UpstreamId, sessions: usize, heard_ago: Option<Duration>) -> UpstreamState {
        self.entry(id).state(self.rank(id), sessions, heard_ago)
    }

    /// Takes the upstream out of rotation. `false` when it was already.
    pub fn block(&self, id: UpstreamId, why: &str) -> bool {
        let upstream = self.entry(id);
        let is_new = upstream.blocked().replace(why.to_owned()).is_none();
        if is_new {
            upstream.spares.clear();
            // Its miners will come in a wave, which is not their fault.
            (self.shared.on_failure.0)();
            log::error!("pool {id} {} is taken out of rotation: {why}", upstream.name);
        }
        is_new
    }

    /// Puts the upstream back into rotation at a person's request. `false` when it was not blocked.
    pub fn unblock(&self, id: UpstreamId) -> bool {
        let upstream = self.entry(id);
        let was_blocked = upstream.blocked().take().is_some();
        if was_blocked {
            log::warn!("pool {id} {} is in rotation again", upstream.name);
            self.wake_waiters();
        }
        was_blocked
    }

    /// Whether the upstream is out of rotation.
    pub fn is_blocked(&self, id: UpstreamId) -> bool {
        self.entry(id).blocked().is_some()
    }

    /// Whether the upstream counts as up.
    pub fn is_up(&self, id: UpstreamId) -> bool {
        self.entry(id).up_since().is_some()
    }

    /// Whether the next miner would get this upstream.
    fn is_next(&self, id: UpstreamId) -> bool {
        self.order().into_iter().find(|id| self.is_up(*id)) == Some(id)
    }

    fn listed(&self) -> Arc<Listed> {
        self.shared.listed.load_full()
    }

    /// The entry of an upstream. Numbers come from the list, and none is ever taken back.
    fn entry(&self, id: UpstreamId) -> Arc<UpstreamEntry> {
        self.shared.listed.load().upstreams[id.0].clone()
    }

    /// Sets up the new upstreams, stops those that are not listed any more, and puts the new order into
    /// effect.
    fn list(&self, list: UpstreamList) -> Result<(), SetupError> {
        let before = self.listed();
        let was_listed = |id: &UpstreamId| before.list.rank(*id).is_some();
        let mut upstreams = before.upstreams.clone();
        let mut added = Vec::new();
        for (number, configured) in list.known.iter().enumerate() {
            let id = UpstreamId(number);
            if list.rank(id).is_none() || was_listed(&id) {
                continue;
            }
            let stop = self.shared.stop.child();
            let started = UpstreamEntry::new(id, configured, &self.shared, stop.clone())
                .map(Arc::new)
                .and_then(|entry| self.start_work(&entry).map(|()| entry));
            match started {
                Ok(entry) => {
                    entry.inherit_block(&before.upstreams);
                    added.push(entry);
                }
                Err(why) => {
                    stop.stop();
                    added.iter().for_each(|entry| entry.stop.stop());
                    return Err(why);
                }
            }
        }
        for entry in &added {
            match upstreams.get_mut(entry.id.0) {
                Some(slot) => *slot = entry.clone(),
                None => upstreams.push(entry.clone()),
            }
        }
        let gone = before.list.order.iter().filter(|id| list.rank(**id).is_none());
        let gone: Vec<UpstreamId> = gone.copied().collect();
        self.shared.listed.store(Arc::new(Listed { list, upstreams, since: Instant::now() }));
        // New miners do not choose them any more, so nothing is begun in vain.
        gone.iter().for_each(|id| before.upstreams[id.0].stop.stop());
        if !before.upstreams.is_empty() {
            // New pools are probed at once, so that a mistake in the configuration shows before a miner needs
            // them.
            let untried = || PoolFailure::Dial(String::from("not tried yet"));
            added.iter().for_each(|entry| entry.suspect(untried()));
        }
        self.wake_waiters();
        Ok(())
    }

    fn start_work(&self, upstream: &Arc<UpstreamEntry>) -> Result<(), SetupError> {
        probe::start(self, upstream).and_then(|()| spare::start(self, upstream)).map_err(SetupError::thread)
    }

    fn fail(&self, upstream: &UpstreamEntry, failure: PoolFailure) {
        if upstream.stop.is_stopped() {
            // The pool is not listed any more, so that its connections were given up.
            return;
        }
        let text = failure.to_string();
        if let Some(pause) = upstream.fail(failure) {
            (self.shared.on_failure.0)();
            log::warn!("pool {} {}: {text}; next try in {pause:.1?}", upstream.id, upstream.name);
        }
    }

    /// Marks a pool as up after a good probe.
    fn recover(&self, upstream: &UpstreamEntry) {
        if upstream.recover() {
            log::info!("pool {} {} is back", upstream.id, upstream.name);
            (self.shared.on_failure.0)();
            self.wake_waiters();
        }
    }

    /// Marks a pool as still failed after a probe.
    fn still_failing(&self, upstream: &UpstreamEntry, failure: PoolFailure) {
        let is_choice = failure.is_about_work();
        upstream.health().still_failed(failure, Instant::now());
        if is_choice {
            // Miners that have no other pool take it all the same.
            self.wake_waiters();
        }
        // While no pool is up at all, miners have reason to reconnect again and again.
        if !self.order().into_iter().any(|id| self.is_up(id)) {
            (self.shared.on_failure.0)();
        }
    }

    /// Notes that a probe was answered, while it may still wait long for a job.
    fn answered(&self, upstream: &UpstreamEntry) {
        let is_choice = upstream.health().answered();
        if is_choice {
            self.wake_waiters();
        }
    }

    fn wake_waiters(&self) {
        // Taking the lock once makes sure that no thread is between its check and its wait.
        drop(self.shared.waiters.lock());
        self.shared.changed.notify_all();
    }
}
