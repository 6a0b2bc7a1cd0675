//! Whether pools give work: what sessions have seen, for the list of pools and for its probes.

use super::{UpstreamId, Upstreams};
use crate::stratum::Login;

impl Upstreams {
    /// A session of this login got its first job from the pool. A pool that had failed because it gave no
    /// work is trusted again.
    pub fn gave_work(&self, id: UpstreamId, login: Option<Login>) {
        let upstream = self.one(id);
        if let Some(login) = login {
            upstream.probe_logins().got_work(login);
        }
        let is_back = upstream.health().gives_no_work();
        if is_back {
            self.recover(&upstream);
        }
    }

    /// The pool gives no work to this login. While it has failed, probes ask as this one, too.
    pub fn note_login(&self, id: UpstreamId, login: Login) {
        self.one(id).probe_logins().may_get_work(login);
    }

    /// A miner with this login, which says the same to whatever pool it comes to, gets work from this pool.
    /// While another one has failed, its probes ask as this miner, too.
    pub fn offer_login(&self, id: UpstreamId, login: &Login) {
        for other in self.order().into_iter().filter(|other| *other != id) {
            let other = self.one(other);
            if other.blocked().is_none() {
                other.probe_logins().may_get_work(login.clone());
            }
        }
    }

    /// Whether the pool counts as failed because it refuses miners, or closes before they have work.
    pub fn turns_miners_away(&self, id: UpstreamId) -> bool {
        self.one(id).health().turns_miners_away()
    }

    /// Whether the pool counts as failed because it gives no work.
    pub fn gives_no_work(&self, id: UpstreamId) -> bool {
        self.one(id).health().gives_no_work()
    }
}
