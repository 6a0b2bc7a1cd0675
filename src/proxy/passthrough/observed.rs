//! How forwarding goes, for the observer.

use std::time::Instant;

use super::PassthroughServices;
use crate::config;
use crate::limits::ConnectionCounts;
use crate::proxy::{Observed, Tuned, UpstreamState, Volume};
use crate::upstream::{RelistError, UpstreamId};

impl Observed for PassthroughServices {
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
        let sessions = self.registry.all();
        let state = |place| {
            let with = || sessions.iter().filter(move |one| one.conversation.upstream() == Some(place));
            let heard_ago = with().filter_map(|one| one.conversation.down.silent_for()).min();
            UpstreamState::of(&self.upstreams, UpstreamId(place), with().count(), heard_ago)
        };
        (0..self.upstreams.count()).map(state).collect()
    }
}

impl Tuned for PassthroughServices {
    fn relist(
        &self,
        configured: &[config::UpstreamConfig],
        tell: &mut dyn FnMut(Vec<String>),
    ) -> Result<(), RelistError> {
        self.upstreams.relist(configured, tell).map(drop)
    }

    fn set_vardiff(&self, _: &config::VardiffConfig) {}
}
