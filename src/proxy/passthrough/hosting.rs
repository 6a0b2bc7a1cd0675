//! What serving asks of this mode: sessions for visitors, and the end of those on a bad upstream.

use std::io;
use std::sync::Arc;

use super::{PassthroughServices, session};
use crate::proxy::enforcement::Enforced;
use crate::proxy::{Host, IncomingConnection, ListenerContext};
use crate::upstream::{UpstreamId, Upstreams};

impl Host for PassthroughServices {
    fn reception(&self) -> &ListenerContext {
        &self.reception
    }

    fn sessions(&self) -> usize {
        self.registry.count()
    }

    fn receive(self: &Arc<PassthroughServices>, visitor: IncomingConnection) -> io::Result<()> {
        session::start(self, visitor)
    }
}

impl Enforced for PassthroughServices {
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
