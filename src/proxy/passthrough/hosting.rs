//! What serving asks of this mode: sessions for visitors, and the end of those on a bad upstream.

use std::io;
use std::sync::Arc;

use super::{Services, session};
use crate::proxy::enforcement::Enforced;
use crate::proxy::{Host, Reception, Visitor};
use crate::upstream::{UpstreamId, Upstreams};

impl Host for Services {
    fn reception(&self) -> &Reception {
        &self.reception
    }

    fn sessions(&self) -> usize {
        self.registry.count()
    }

    fn receive(self: &Arc<Services>, visitor: Visitor) -> io::Result<()> {
        session::start(self, visitor)
    }
}

impl Enforced for Services {
    fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    fn close_sessions_on(&self, upstream: UpstreamId) {
        for session in self.registry.all() {
            if session.conversation.upstream() == Some(upstream.0) {
                session.close();
            }
        }
    }
}
