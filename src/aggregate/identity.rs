//! Names: who a miner says it is, and who it is at the pool.

use std::fmt;
use std::ops::Range;

use crate::config::{self, Secret};
use crate::work::account_of_worker;

/// A miner's user name, in two parts: `account.worker`, or `address_worker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MinerName {
    whole: String,
    account: Range<usize>,
    /// Where the worker begins; the end when there is none.
    worker: usize,
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
    /// `aggregate.local_authorize = false`: names go through as they are.
    is_verbatim: bool,
}

impl MinerName {
    /// Divided as pools do it (wire reference, section 4.6).
    pub(super) fn new(whole: String) -> MinerName {
        let account = account_of_worker(&whole);
        let start = whole.find(account).unwrap_or(0);
        let end = start + account.len();
        let rest = whole[end..].trim_start();
        let rest = rest.strip_prefix(['.', '_']).unwrap_or(rest);
        let worker = whole.len() - rest.len();
        MinerName { account: start..end, worker, whole }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.whole
    }

    fn account(&self) -> &str {
        &self.whole[self.account.clone()]
    }

    fn worker(&self) -> &str {
        &self.whole[self.worker..]
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Naming {
    pub(super) fn new(config: &config::Config) -> Naming {
        Naming { template: config.aggregate.user.clone(), is_verbatim: !config.aggregate.local_authorize }
    }

    /// The miner's name at a pool with this `[[upstream]] user`, which is what `{user}` stands for there.
    pub(super) fn at_pool(&self, name: &MinerName, user: &str) -> PoolName {
        if self.is_verbatim {
            return PoolName(name.whole.clone());
        }
        let user = filled(user, name.account(), name.worker());
        let whole = filled(&self.template, &user, name.worker());
        // Without a worker's name nothing is left behind the dot.
        PoolName(whole.trim_end_matches('.').to_owned())
    }

    /// The name at a pool with this `[[upstream]] user`, where it is the same for every miner.
    pub(super) fn fixed(&self, user: &str) -> Option<PoolName> {
        let whole = self.template.replace("{user}", user);
        (!self.is_verbatim && !whole.contains('{')).then_some(PoolName(whole))
    }

    /// Whose work it is, with pools of these `[[upstream]] user`. One for everybody where the
    /// configuration names the user of every pool.
    pub(super) fn account<'a>(&self, name: &MinerName, mut users: impl Iterator<Item = &'a str>) -> Account {
        let is_own = self.is_verbatim
            || (self.template.contains("{user}") && users.any(|user| user.contains("{user}")));
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

    fn naming(template: &str) -> Naming {
        Naming { template: template.to_owned(), is_verbatim: false }
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
            let naming = naming(template);
            assert_eq!(naming.at_pool(&name(miner), user).0, found, "{template} {user} {miner}");
        }
    }

    #[test]
    fn names_are_divided_as_pools_do_it() {
        let address = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
        for (text, account, worker) in [
            (format!("{address}_rig0"), address, "rig0"),
            (format!("{address}.rig_0.x"), address, "rig_0.x"),
            (format!(" {address} .rig"), address, "rig"),
            (address.to_owned(), address, ""),
            ("my_farm.rig".to_owned(), "my_farm", "rig"),
            ("my_farm".to_owned(), "my_farm", ""),
            ("..".to_owned(), "", "."),
            (String::new(), "", ""),
        ] {
            let name = name(&text);
            assert_eq!((name.account(), name.worker()), (account, worker), "{text:?}");
        }
    }

    #[test]
    fn accounts_are_kept_apart_where_they_matter() {
        let naming = naming("{user}");
        let account = |miner, users: &[&str]| naming.account(&name(miner), users.iter().copied());
        assert_eq!(account("a.x", &["farm", "{user}"]), account("a.y", &["farm", "{user}"]));
        assert_ne!(account("a.x", &["farm", "{user}"]), account("b.x", &["farm", "{user}"]));
        assert_eq!(account("a.x", &["one", "two"]), Account::default());
    }

    #[test]
    fn names_go_through_when_the_pool_is_to_judge_them() {
        let text = "[aggregate]\nlocal_authorize = false\n[[upstream]]\nurl = \"stratum+tcp://a:1\"\n";
        let naming = Naming::new(&config::Config::parse(text, &Overrides::default()).unwrap());
        assert_eq!(naming.at_pool(&name("me.rig"), "x").0, "me.rig");
        assert_eq!(naming.account(&name("me.rig"), ["x"].into_iter()), Account("me".to_owned()));
    }
}
