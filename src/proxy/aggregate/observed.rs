//! What the status sees of this mode, and what enforcement does to it.

use std::sync::Arc;
use std::time::Instant;

use super::AggregateServices;
use super::miner::session;
use crate::config;
use crate::limits::ConnectionCounts;
use crate::proxy::enforcement::Enforced;
use crate::proxy::{Host, IncomingConnection, ListenerContext, Observed, Tuned, UpstreamState, Volume};
use crate::upstream::{RelistError, UpstreamId, Upstreams};

impl Host for AggregateServices {
    fn reception(&self) -> &ListenerContext {
        &self.reception
    }

    fn sessions(&self) -> usize {
        self.registry.count()
    }

    fn receive(self: &Arc<Self>, visitor: IncomingConnection) -> std::io::Result<()> {
        session::start(self, visitor)
    }
}

impl Observed for AggregateServices {
    fn sessions(&self) -> usize {
        self.registry.count()
    }

    fn volume(&self) -> Volume {
        self.registry.volume()
    }

    fn counts(&self) -> ConnectionCounts {
        self.reception.gatekeeper.counts(Instant::now())
    }

    fn clear(&self, place: usize) -> Option<bool> {
        (place < self.upstreams.count()).then(|| self.upstreams.clear(UpstreamId(place)))
    }

    fn upstreams(&self) -> Vec<UpstreamState> {
        let links = self.hub.links();
        let connections: Vec<_> =
            links.iter().filter_map(|link| Some((link.miners().len(), link.connection()?))).collect();
        let state = |place| {
            let with =
                || connections.iter().filter(move |(_, connection)| connection.upstream == UpstreamId(place));
            let miners = with().map(|(miners, _)| miners).sum();
            let heard = with().filter_map(|(_, connection)| connection.conversation.down.silent_for()).min();
            UpstreamState::of(&self.upstreams, UpstreamId(place), miners, heard)
        };
        (0..self.upstreams.count()).map(state).collect()
    }
}

impl Tuned for AggregateServices {
    fn relist(
        &self,
        configured: &[config::UpstreamConfig],
        tell: &mut dyn FnMut(Vec<String>),
    ) -> Result<(), RelistError> {
        if self.upstreams.relist(configured, tell)? {
            for link in self.hub.links() {
                link.sort_out();
                link.news();
            }
        }
        Ok(())
    }

    fn set_vardiff(&self, vardiff: &config::VardiffConfig) {
        self.vardiff.store(Arc::new(vardiff.clone()));
        for miner in self.registry.all() {
            miner.desk().change(self.vardiff.load_full());
        }
    }
}

impl Enforced for AggregateServices {
    fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    fn close_sessions_on(&self, upstream: UpstreamId) {
        for link in self.hub.links() {
            if let Some(connection) = link.connection().filter(|connection| connection.upstream == upstream) {
                connection.end();
                link.news();
            }
        }
    }
}
