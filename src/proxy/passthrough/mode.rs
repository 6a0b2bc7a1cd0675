//! Implements the trait that the rest of the program sees.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::PassthroughServices;
use super::session::{self, PassthroughSession};
use crate::proxy::{
    IncomingConnection, ListenerContext, PoolUsage, Proxy, ProxySession, Registry, Volume, drain,
};
use crate::tap::Conversation;
use crate::upstream::{UpstreamId, Upstreams};

/// The time that shares in flight may take to be answered at the end of the program.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(10);

impl Proxy for PassthroughServices {
    fn listener_context(&self) -> &ListenerContext {
        &self.listener_context
    }

    fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    fn sessions(&self) -> usize {
        self.registry.count()
    }

    fn volume(&self) -> Volume {
        self.registry.volume()
    }

    fn conversations(&self) -> Vec<Arc<Conversation>> {
        self.registry.all().iter().map(|session| session.conversation.clone()).collect()
    }

    fn pool_usage(&self) -> Vec<PoolUsage> {
        let usage = |session: &Arc<PassthroughSession>| {
            let upstream = UpstreamId(session.conversation.upstream()?);
            Some(PoolUsage { upstream, sessions: 1, heard_ago: session.conversation.down.silent_for() })
        };
        self.registry.all().iter().filter_map(usage).collect()
    }

    fn serve(self: Arc<Self>, connection: IncomingConnection) -> io::Result<()> {
        session::start(&self, connection)
    }

    fn leave_pool(&self, upstream: UpstreamId) {
        for session in self.registry.all() {
            if session.conversation.upstream() == Some(upstream.0) {
                session.close();
            }
        }
    }

    fn drain(&self) {
        drain(&self.registry, MAX_DRAIN_TIME, self.to_analyzer.is_some(), || ());
    }
}

impl ProxySession for PassthroughSession {
    fn conversation(&self) -> &Arc<Conversation> {
        &self.conversation
    }

    fn stop_reading(&self, _: Instant) {
        self.pause_miner();
    }

    fn is_answered(&self, is_analyzed: bool) -> bool {
        PassthroughSession::is_answered(self, is_analyzed)
    }

    fn end_drained(&self) {
        self.close();
    }

    fn abort(&self) {
        PassthroughSession::abort(self);
    }
}

impl Registry<PassthroughSession> {
    /// Whether any session that this pool has given work to got bytes from it lately: then the silence of
    /// another session is not the pool's. Answers to a subscribe do not count.
    pub(super) fn has_bytes_from(&self, upstream: UpstreamId, within: Duration) -> bool {
        self.any(|session| {
            let conversation = &session.conversation;
            conversation.upstream() == Some(upstream.0)
                && (conversation.clock.job_ago().is_some()
                    || conversation.dropped_copies.load(Ordering::Relaxed) > 0)
                && conversation.down.silent_for().is_some_and(|time| time < within)
        })
    }
}
