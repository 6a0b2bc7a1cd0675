//! Names: who a miner says it is, and who it is at the pool.

use std::fmt;

use crate::config::{self, Secret};

/// A miner's user name, in two parts: `account.worker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MinerName {
    whole: String,
    /// Where the worker begins; `None` when there is none.
    dot: Option<usize>,
}

/// A name that a miner has given.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) name: MinerName,
    /// Its own password, where the pool is to hear that.
    pub(super) password: Option<Secret>,
}

/// A name at the pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PoolName(pub(super) String);

/// Whose work a connection to the pool carries: miners of different accounts never share one, for a
/// pool credits all of it to the name it was authorised with first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Account(pub(super) String);

/// How names at the pools are made.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    /// `[aggregate] user`
    template: String,
    /// `[[upstream]] user`, which is what `{user}` stands for at that pool.
    users: Vec<String>,
    /// `aggregate.local_authorize = false`: names go through as they are.
    is_verbatim: bool,
}

impl MinerName {
    /// Pools take what stands before the first dot for the account.
    pub(super) fn new(whole: String) -> MinerName {
        let dot = whole.find('.');
        MinerName { whole, dot }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.whole
    }

    fn account(&self) -> &str {
        self.dot.map_or(&self.whole, |dot| &self.whole[..dot])
    }

    fn worker(&self) -> &str {
        self.dot.map_or("", |dot| &self.whole[dot + 1..])
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Naming {
    pub(super) fn new(config: &config::Config) -> Naming {
        Naming {
            template: config.aggregate.user.clone(),
            users: config.upstreams.iter().map(|upstream| upstream.user.clone()).collect(),
            is_verbatim: !config.aggregate.local_authorize,
        }
    }

    /// The miner's name at the pool of this place.
    pub(super) fn at_pool(&self, name: &MinerName, place: usize) -> PoolName {
        if self.is_verbatim {
            return PoolName(name.whole.clone());
        }
        let user = self.users.get(place).map_or("{user}", String::as_str);
        let user = filled(user, name.account(), name.worker());
        let whole = filled(&self.template, &user, name.worker());
        // Without a worker's name nothing is left behind the dot.
        PoolName(whole.trim_end_matches('.').to_owned())
    }

    /// The name at the pool of this place, where it is the same for every miner.
    pub(super) fn fixed(&self, place: usize) -> Option<PoolName> {
        let user = self.users.get(place)?;
        let whole = self.template.replace("{user}", user);
        (!self.is_verbatim && !whole.contains('{')).then_some(PoolName(whole))
    }

    /// Whose work it is. One for everybody where the configuration names the user of every pool.
    pub(super) fn account(&self, name: &MinerName) -> Account {
        let is_own = self.is_verbatim
            || (self.template.contains("{user}") && self.users.iter().any(|user| user.contains("{user}")));
        if is_own { Account(name.account().to_owned()) } else { Account::default() }
    }
}

/// In one pass: what a miner calls itself is no template.
fn filled(template: &str, user: &str, worker: &str) -> String {
    let parts: Vec<String> = template.split("{user}").map(|part| part.replace("{worker}", worker)).collect();
    parts.join(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn naming(template: &str, users: &[&str]) -> Naming {
        let users = users.iter().map(|user| (*user).to_owned()).collect();
        Naming { template: template.to_owned(), users, is_verbatim: false }
    }

    fn name(text: &str) -> MinerName {
        MinerName::new(text.to_owned())
    }

    #[test]
    fn templates() {
        for (template, user, miner, found) in [
            ("{user}", "{user}", "bc1q.garage", "bc1q"),
            ("{user}.{worker}", "{user}", "bc1q.garage", "bc1q.garage"),
            ("{user}.{worker}", "{user}", "bc1q", "bc1q"),
            ("{user}", "farm", "bc1q.garage", "farm"),
            ("{user}.{worker}", "farm", "bc1q.garage.left", "farm.garage.left"),
            ("{user}", "{user}.{worker}", "bc1q.garage", "bc1q.garage"),
            ("{user}.{worker}", "farm", "x.{user}{worker}", "farm.{user}{worker}"),
        ] {
            let naming = naming(template, &[user]);
            assert_eq!(naming.at_pool(&name(miner), 0).0, found, "{template} {user} {miner}");
        }
    }

    #[test]
    fn a_failover_pool_may_know_us_by_another_name() {
        let naming = naming("{user}.{worker}", &["one", "two"]);
        assert_eq!(naming.at_pool(&name("x.rig"), 1).0, "two.rig");
        assert_eq!(naming.account(&name("x.rig")), Account::default());
    }

    #[test]
    fn accounts_are_kept_apart_where_they_matter() {
        let naming = naming("{user}", &["farm", "{user}"]);
        assert_eq!(naming.account(&name("a.x")), naming.account(&name("a.y")));
        assert_ne!(naming.account(&name("a.x")), naming.account(&name("b.x")));
    }

    #[test]
    fn names_go_through_when_the_pool_is_to_judge_them() {
        let text =
            "[aggregate]\nlocal_authorize = false\n[[upstream]]\nurl = \"stratum+tcp://a:1\"\nuser = \"x\"\n";
        let naming = Naming::new(&config::Config::parse(text, &Overrides::default()).unwrap());
        assert_eq!(naming.at_pool(&name("me.rig"), 0).0, "me.rig");
        assert_eq!(naming.account(&name("me.rig")), Account("me".to_owned()));
    }
}
