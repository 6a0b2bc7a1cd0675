//! Whether pools give work: what sessions have seen, for the list of pools and for its probes.

use super::{UpstreamId, Upstreams};
use crate::stratum::Login;

impl Upstreams {
    /// A session of this login got its first job from the pool. A pool that had failed because it gave no
    /// work is trusted again.
    pub fn gave_work(&self, id: UpstreamId, login: Option<Login>) {
        let upstream = self.one(id);
        if login.is_some() {
            *upstream.login() = login;
        }
        let is_back = upstream.health().gives_no_work();
        if is_back {
            self.recover(&upstream);
        }
    }

    /// The pool gives no work to this login, which a probe uses if the pool has never given work to another.
    pub fn note_login(&self, id: UpstreamId, login: Login) {
        self.one(id).login().get_or_insert(login);
    }

    /// Whether the pool counts as failed because it gives no work.
    pub fn gives_no_work(&self, id: UpstreamId) -> bool {
        self.one(id).health().gives_no_work()
    }
}
