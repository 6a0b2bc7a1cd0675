//! Implements the trait that the rest of the program sees.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::miner::session;
use crate::config;
use crate::proxy::aggregate::{AggregateServices, ConnectedMiner};
use crate::proxy::{IncomingConnection, ListenerContext, PoolUsage, Proxy, ProxySession, Volume, drain};
use crate::tap::Conversation;
use crate::upstream::{UpstreamId, Upstreams};

/// The time that shares in flight may take to be answered at the end of the program.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(5);

impl Proxy for AggregateServices {
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
        self.registry.all().iter().map(|miner| miner.conversation.clone()).collect()
    }

    fn pool_usage(&self) -> Vec<PoolUsage> {
        let groups = self.router.groups();
        let usage = groups.iter().filter_map(|group| {
            let (sessions, connection) = (group.miners().len(), group.connection()?);
            let heard_ago = connection.conversation.down.silent_for();
            Some(PoolUsage { upstream: connection.upstream, sessions, heard_ago })
        });
        usage.collect()
    }

    fn serve(self: Arc<Self>, connection: IncomingConnection) -> io::Result<()> {
        session::start(&self, connection)
    }

    fn leave_pool(&self, upstream: UpstreamId) {
        for group in self.router.groups() {
            if let Some(connection) = group.connection().filter(|connection| connection.upstream == upstream)
            {
                connection.end();
                group.wake_waiters();
            }
        }
    }

    fn pools_relisted(&self) {
        for group in self.router.groups() {
            group.pools_relisted();
            group.wake_waiters();
        }
    }

    fn set_vardiff(&self, vardiff: &config::VardiffConfig) {
        self.vardiff.store(Arc::new(vardiff.clone()));
        for miner in self.registry.all() {
            miner.work().set_config(self.vardiff.load_full());
        }
    }

    fn drain(&self) {
        drain(&self.registry, MAX_DRAIN_TIME, self.to_analyzer.is_some(), || {
            self.stop.stop();
            self.senders.stop();
            for group in self.router.groups() {
                if let Some(connection) = group.connection() {
                    connection.end();
                }
                group.wake_waiters();
            }
        });
    }
}

impl ProxySession for ConnectedMiner {
    fn conversation(&self) -> &Arc<Conversation> {
        &self.conversation
    }

    fn stop_reading(&self, deadline: Instant) {
        self.disconnect_by(deadline);
    }

    fn is_answered(&self, _: bool) -> bool {
        self.is_settled()
    }

    fn abort(&self) {
        self.close();
    }
}
