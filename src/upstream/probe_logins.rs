//! The logins with which probes ask a pool for work: the one that the pool gave work to last, and those of
//! the last few accounts that were refused or got none. One account without work is no proof against the
//! pool.

use std::collections::VecDeque;

use super::{UpstreamId, Upstreams};
use crate::stratum::Login;
use crate::work::account_of_worker;

/// Caps the accounts that are remembered beside the one that got work. Each may cost a probe of
/// `failover.first_job_timeout`, so more would only delay the others.
const MAX_OTHERS: usize = 4;

/// The logins for one pool's probes.
#[derive(Debug, Default)]
pub(super) struct ProbeLogins {
    /// The login that the pool gave work to last.
    served: Option<Login>,
    /// One login of each account, the next one to try first.
    others: VecDeque<Login>,
    is_others_turn: bool,
}

impl ProbeLogins {
    /// Notes that the pool gives work to this login.
    pub(super) fn got_work(&mut self, login: Login) {
        self.others.retain(|other| account(other) != account(&login));
        self.served = Some(login);
        self.is_others_turn = false;
    }

    /// Adds the login of a miner that the pool may give work to. A new account is tried next.
    pub(super) fn may_get_work(&mut self, login: Login) {
        let is_its = |other: &Login| account(other) == account(&login);
        if self.served.as_ref().is_some_and(is_its) {
            return;
        }
        match self.others.iter().position(is_its) {
            Some(index) => self.others[index] = login,
            None => {
                // The one that was tried last is dropped.
                self.others.truncate(MAX_OTHERS - 1);
                self.others.push_front(login);
            }
        }
    }

    /// Removes a login that the pool refuses. Returns whether others are left to try.
    pub(super) fn refused(&mut self, login: &Login) -> bool {
        self.served = self.served.take().filter(|served| served != login);
        self.others.retain(|other| other != login);
        self.served.is_some() || !self.others.is_empty()
    }

    /// Removes a login that is refused by a pool which refuses every miner, unless no other login is known.
    pub(super) fn refused_like_others(&mut self, login: &Login) {
        if usize::from(self.served.is_some()) + self.others.len() > 1 {
            self.refused(login);
        }
    }

    /// The login of the next probe. A pool that counts as up is asked as the login that it gave work to; one
    /// that has failed, as that one and the others in turn.
    pub(super) fn next(&mut self, has_failed: bool) -> Option<Login> {
        let is_others_turn = self.served.is_none() || (has_failed && self.is_others_turn);
        self.is_others_turn = !has_failed || !self.is_others_turn;
        let other = if is_others_turn { self.others.pop_front() } else { None };
        match other {
            Some(login) => {
                self.others.push_back(login.clone());
                Some(login)
            }
            None => self.served.clone(),
        }
    }
}

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

    /// Whether the pool counts as failed because it gives no work.
    pub fn gives_no_work(&self, id: UpstreamId) -> bool {
        self.entry(id).health().gives_no_work()
    }
}

fn account(login: &Login) -> &str {
    account_of_worker(&login.user)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str) -> Login {
        Login::new(user, "x")
    }

    fn tried(logins: &mut ProbeLogins, times: usize) -> Vec<String> {
        (0..times).filter_map(|_| logins.next(true)).map(|login| login.user).collect()
    }

    #[test]
    fn accounts_take_turns_and_only_the_last_few_are_known() {
        let mut logins = ProbeLogins::default();
        assert_eq!(logins.next(true), None);
        for user in ["a.1", "b.1", "a.2"] {
            logins.may_get_work(login(user));
        }
        assert_eq!(tried(&mut logins, 3), ["b.1", "a.2", "b.1"]);
        (0..100).for_each(|account| logins.may_get_work(login(&format!("c{account}.1"))));
        assert_eq!(tried(&mut logins, 5), ["c99.1", "c98.1", "c97.1", "c96.1", "c99.1"]);
    }

    #[test]
    fn a_login_that_the_pool_refuses_is_not_tried_again() {
        let mut logins = ProbeLogins::default();
        logins.got_work(login("a.1"));
        logins.may_get_work(login("b.1"));
        assert!(logins.refused(&login("b.1")));
        assert_eq!(tried(&mut logins, 2), ["a.1", "a.1"]);
        assert!(!logins.refused(&login("a.1")));
        assert_eq!(logins.next(true), None);
    }

    #[test]
    fn the_last_login_of_a_pool_that_refuses_all_is_kept() {
        let mut logins = ProbeLogins::default();
        ["a.1", "b.1"].into_iter().for_each(|user| logins.may_get_work(login(user)));
        logins.refused_like_others(&login("b.1"));
        logins.refused_like_others(&login("a.1"));
        assert_eq!(tried(&mut logins, 2), ["a.1", "a.1"]);
    }

    #[test]
    fn a_working_pool_is_probed_with_the_login_it_gave_work_to() {
        let mut logins = ProbeLogins::default();
        logins.may_get_work(login("a.1"));
        logins.got_work(login("b.1"));
        logins.may_get_work(login("b.2"));
        for _ in 0..3 {
            assert_eq!(logins.next(false), Some(login("b.1")));
        }
        assert_eq!(tried(&mut logins, 3), ["a.1", "b.1", "a.1"]);
        logins.got_work(login("a.1"));
        assert_eq!(tried(&mut logins, 2), ["a.1", "a.1"]);
    }
}
