//! What the status sees of this mode, and what enforcement does to it.

use std::sync::Arc;
use std::time::Instant;

use super::Services;
use super::session;
use crate::limits::Counts;
use crate::serving::enforcement::Enforced;
use crate::serving::{Host, Observed, Reception, UpstreamState, Visitor, Volume};
use crate::upstream::{Rank, Upstreams};

impl Host for Services {
    fn reception(&self) -> &Reception {
        &self.reception
    }

    fn sessions(&self) -> usize {
        self.registry.count()
    }

    fn receive(self: &Arc<Self>, visitor: Visitor) -> std::io::Result<()> {
        session::start(self, visitor)
    }
}

impl Observed for Services {
    fn sessions(&self) -> usize {
        self.registry.count()
    }

    fn volume(&self) -> Volume {
        self.registry.volume()
    }

    fn counts(&self) -> Counts {
        self.reception.gatekeeper.counts(Instant::now())
    }

    fn clear(&self, place: usize) -> Option<bool> {
        (place < self.upstreams.count()).then(|| self.upstreams.clear(Rank(place)))
    }

    fn upstreams(&self) -> Vec<UpstreamState> {
        let links = self.hub.links();
        let connections: Vec<_> =
            links.iter().filter_map(|link| Some((link.miners().len(), link.connection()?))).collect();
        let state = |place| {
            let with = || connections.iter().filter(move |(_, connection)| connection.rank == Rank(place));
            let miners = with().map(|(miners, _)| miners).sum();
            let heard = with().filter_map(|(_, connection)| connection.conversation.down.silent_for()).min();
            UpstreamState::of(&self.upstreams, Rank(place), miners, heard)
        };
        (0..self.upstreams.count()).map(state).collect()
    }
}

impl Enforced for Services {
    fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    fn close_sessions_on(&self, upstream: Rank) {
        for link in self.hub.links() {
            if let Some(connection) = link.connection().filter(|connection| connection.rank == upstream) {
                connection.end();
                link.news();
            }
        }
    }
}
