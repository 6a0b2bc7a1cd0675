//! Records whether pools give work, as seen by sessions, for the list of pools and its probes.

use super::{UpstreamId, Upstreams};
use crate::stratum::Login;

impl Upstreams {
    /// Notes that a session with this login got its first job from the pool. A pool that had failed because
    /// it gave no work counts as up again.
    pub fn gave_work(&self, id: UpstreamId, login: Option<Login>) {
        let upstream = self.entry(id);
        if let Some(login) = login {
            upstream.probe_logins().got_work(login);
        }
        let is_back = upstream.health().gives_no_work();
        if is_back {
            self.recover(&upstream);
        }
    }

    /// Notes that the pool gives no work to this login. While it has failed, probes use this login, too.
    pub fn note_login(&self, id: UpstreamId, login: Login) {
        self.entry(id).probe_logins().may_get_work(login);
    }

    /// Offers the login of a miner that gets work from this pool, and that uses the same login at any pool,
    /// to the probes of the other pools that have failed.
    pub fn offer_login(&self, id: UpstreamId, login: &Login) {
        for other in self.order().into_iter().filter(|other| *other != id) {
            let other = self.entry(other);
            if other.blocked().is_none() {
                other.probe_logins().may_get_work(login.clone());
            }
        }
    }

    /// Whether the pool counts as failed because it refuses miners, or closes before they have work.
    pub fn turns_miners_away(&self, id: UpstreamId) -> bool {
        self.entry(id).health().turns_miners_away()
    }

    /// Whether the pool counts as failed because it gives no work.
    pub fn gives_no_work(&self, id: UpstreamId) -> bool {
        self.entry(id).health().gives_no_work()
    }
}
