//! The trait that both modes implement: everything the rest of the program needs of a running mode.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stats::ProxyStats;
use super::{IncomingConnection, ListenerContext, Volume};
use crate::config;
use crate::tap::Conversation;
use crate::upstream::{SetupError, UpstreamId, Upstreams};

/// A mode that serves miners, from the first accepted connection to the end of the last session.
pub trait Proxy: fmt::Debug + Send + Sync + 'static {
    /// The access control and limits of the ports that miners connect to.
    fn listener_context(&self) -> &ListenerContext;

    /// The pools, in their order of preference.
    fn upstreams(&self) -> &Upstreams;

    /// The number of sessions now; `listen.max_miners` bounds it.
    fn sessions(&self) -> usize;

    /// Bytes and messages of all sessions since the start.
    fn volume(&self) -> Volume;

    /// The shared facts of each session, the oldest session first.
    fn conversations(&self) -> Vec<Arc<Conversation>>;

    /// The use that is made of the pools now: one entry a connection to a pool, in no order.
    fn pool_usage(&self) -> Vec<PoolUsage>;

    /// Starts a session for an accepted connection. This runs on the accept path, so nothing here may wait for
    /// the network.
    ///
    /// # Errors
    /// When the system has no room for another thread; the connection is closed then.
    fn serve(self: Arc<Self>, connection: IncomingConnection) -> io::Result<()>;

    /// Ends the sessions on this pool, or moves them to another one.
    fn leave_pool(&self, upstream: UpstreamId);

    /// Moves miners off pools that are not listed any more. The new list is in effect already.
    fn pools_relisted(&self) {}

    /// Sets new bounds and a new target for the miners' difficulties. Miners that are connected go on from
    /// their present difficulty. No effect where the pool sets the difficulty.
    fn set_vardiff(&self, _: &config::VardiffConfig) {}

    /// Ends all sessions: no more is read from miners, shares in flight get their answers within a bounded
    /// time, then the connections close. No connection is accepted any more when this is called.
    fn drain(&self);
}

/// One connection to a pool in aggregate mode, or one session's in passthrough mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUsage {
    pub upstream: UpstreamId,
    /// The sessions that share the connection.
    pub sessions: usize,
    /// The time since the pool last sent something on it; `None` if it never has.
    pub heard_ago: Option<Duration>,
}

impl dyn Proxy {
    /// The figures of this moment, for the status. They are gathered by one thread twice a second, never by a
    /// visitor of the page: some are behind locks that a new session takes, too.
    pub fn stats(&self) -> ProxyStats {
        let usage = self.pool_usage();
        let state = |number| {
            let id = UpstreamId(number);
            let with = || usage.iter().filter(move |one| one.upstream == id);
            let sessions = with().map(|one| one.sessions).sum();
            self.upstreams().state(id, sessions, with().filter_map(|one| one.heard_ago).min())
        };
        ProxyStats {
            sessions: self.sessions(),
            volume: self.volume(),
            counts: self.listener_context().gatekeeper.counts(Instant::now()),
            upstreams: (0..self.upstreams().count()).map(state).collect(),
        }
    }

    /// Whether the pool of this number counts as up.
    pub fn is_up(&self, number: usize) -> bool {
        number < self.upstreams().count() && self.upstreams().is_up(UpstreamId(number))
    }

    /// Puts the pool of this number back into rotation at a person's request. `None` if there is no such
    /// pool, `false` if it was not blocked.
    pub fn unblock(&self, number: usize) -> Option<bool> {
        (number < self.upstreams().count()).then(|| self.upstreams().unblock(UpstreamId(number)))
    }

    /// Checks whether `relist` has room for this list of pools. Nothing changes.
    ///
    /// # Errors
    /// If it has none.
    pub fn check_relist(&self, configured: &[config::UpstreamConfig]) -> Result<(), SetupError> {
        self.upstreams().check_relist(configured)
    }

    /// Takes over another list of pools, or another order. Miners on a pool that stays are not touched; the
    /// others move as soon as another pool works. `on_urls` as for [`Upstreams::relist`].
    ///
    /// # Errors
    /// [`SetupError`]; everything is as before then.
    pub fn relist(
        &self,
        configured: &[config::UpstreamConfig],
        on_urls: impl FnOnce(Vec<String>),
    ) -> Result<(), SetupError> {
        if self.upstreams().relist(configured, on_urls)? {
            self.pools_relisted();
        }
        Ok(())
    }
}
