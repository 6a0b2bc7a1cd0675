//! Names: a miner's own, and its name at the pool.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::config::{self, Secret};
use crate::stratum::shortened;
use crate::work::account_of_worker;

/// A miner's user name, in two parts: `account.worker`, or `address_worker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MinerName {
    whole: String,
    account: Range<usize>,
    /// The start of the worker's name. If the name has no worker, its end.
    worker: usize,
}

/// A name that a miner has authorized.
#[derive(Debug, Clone)]
pub(crate) struct WorkerName {
    pub(crate) name: MinerName,
    /// The miner's own password, if it is passed on to the pool.
    pub(crate) password: Option<Secret>,
}

/// A name at the pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PoolName(pub(crate) String);

/// The account that a connection to the pool mines for. Miners of different accounts never share one, because
/// a pool credits all of it to the name that was authorized first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Account(pub(crate) String);

/// The reason that no one could be credited under a miner's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameFault {
    /// The name is empty at the pool, or has nothing before the worker.
    NoAccount,
    /// A name with control characters, which could harm a connection that others share.
    Unprintable,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameFault::NoAccount => {
                "The user name has no account: it must be address.worker or account.worker"
            }
            NameFault::Unprintable => "The user name has control characters",
        })
    }
}

/// The rules by which names at the pools are made.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    /// `[aggregate] user`
    template: String,
    /// `aggregate.local_authorize = false`: names go through as they are.
    is_verbatim: bool,
}

impl MinerName {
    /// Splits the name as pools do (wire reference, section 4.6).
    pub(crate) fn new(whole: String) -> MinerName {
        let account = account_of_worker(&whole);
        let start = whole.find(account).unwrap_or(0);
        let end = start + account.len();
        let rest = whole[end..].trim_start();
        let rest = rest.strip_prefix(['.', '_']).unwrap_or(rest);
        let worker = whole.len() - rest.len();
        MinerName { account: start..end, worker, whole }
    }

    pub(crate) fn as_str(&self) -> &str {
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
    pub(crate) fn new(config: &config::Config) -> Naming {
        Naming { template: config.aggregate.user.clone(), is_verbatim: !config.aggregate.local_authorize }
    }

    /// The name, decoded from the way a miner writes it. Some percent-encode special characters (wire
    /// reference, section 2.2).
    pub(crate) fn text(&self, written: &str) -> String {
        if self.is_verbatim { shortened(written) } else { shortened(&percent_decoded(written)) }
    }

    /// The reason that a pool with this `[[upstream]] user` could credit nobody for a miner of this name.
    pub(crate) fn fault_of(&self, name: &MinerName, user: &str) -> Option<NameFault> {
        let name = self.at_pool(name, user).0;
        if name.contains(char::is_control) {
            return Some(NameFault::Unprintable);
        }
        let has_account = account_of_worker(&name).contains(char::is_alphanumeric);
        (!has_account).then_some(NameFault::NoAccount)
    }

    /// The miner's name at a pool with this `[[upstream]] user`, which is what `{user}` stands for there.
    pub(crate) fn at_pool(&self, name: &MinerName, user: &str) -> PoolName {
        if self.is_verbatim {
            return PoolName(name.whole.clone());
        }
        let user = filled(user, name.account(), name.worker());
        let whole = filled(&self.template, &user, name.worker());
        // Without a worker's name no dot remains at the end.
        PoolName(whole.trim_end_matches('.').to_owned())
    }

    /// The name at a pool with this `[[upstream]] user`, where it is the same for every miner.
    pub(crate) fn fixed(&self, user: &str) -> Option<PoolName> {
        let whole = self.template.replace("{user}", user);
        (!self.is_verbatim && !whole.contains('{')).then_some(PoolName(whole))
    }

    /// The account of a miner at pools with these `[[upstream]] user`. It is the same for all miners if the
    /// configuration names the user of every pool.
    pub(crate) fn account<'a>(&self, name: &MinerName, mut users: impl Iterator<Item = &'a str>) -> Account {
        let is_own = self.is_verbatim
            || (self.template.contains("{user}") && users.any(|user| user.contains("{user}")));
        if is_own { Account(name.account().to_owned()) } else { Account::default() }
    }
}

/// Decodes `%2E` and the like. The text stays as it is if the result would not be UTF-8.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let encoded = after.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
            u8::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_hex)?, 16).ok()
        });
        bytes.push(encoded.unwrap_or(*first));
        rest = if encoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Fills a template in one pass: the name that a miner gives itself is no template.
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
    fn a_name_without_an_account_is_a_fault_where_the_account_is_the_miners() {
        for nameless in ["", ".", ".rig1", "  ", " .rig", "..", "_", "\u{a0}", "\u{200b}", "-.x"] {
            let fault = |template: &str, user: &str| naming(template).fault_of(&name(nameless), user);
            assert_eq!(fault("{user}", "{user}"), Some(NameFault::NoAccount), "{nameless:?}");
            assert_eq!(fault("{user}.{worker}", "{user}"), Some(NameFault::NoAccount), "{nameless:?}");
            assert_eq!(fault("{user}", "farm"), None, "{nameless:?}");
            assert_eq!(fault("{user}.{worker}", "farm"), None, "{nameless:?}");
        }
        assert_eq!(naming("{worker}").fault_of(&name("acct"), "farm"), Some(NameFault::NoAccount));
        assert_eq!(naming("{user}").fault_of(&name("a\u{7}b.rig"), "{user}"), Some(NameFault::Unprintable));
        assert_eq!(
            naming("{user}").fault_of(&name("acct.r\u{0}g"), "{user}"),
            None,
            "the pool never sees it"
        );
        for good in ["acct", "acct.rig", "17", "é.rig", "me@example.org"] {
            assert_eq!(naming("{user}.{worker}").fault_of(&name(good), "{user}"), None, "{good}");
        }
    }

    #[test]
    fn percent_encoded_names_are_resolved() {
        let read = |text: &str| naming("{user}").text(text);
        for (written, meant) in [
            ("acct%2Erig", "acct.rig"),
            ("acct%2erig%5f1", "acct.rig_1"),
            ("100%", "100%"),
            ("%zz%2", "%zz%2"),
            ("%+1", "%+1"),
            ("%C3%A9", "é"),
            ("%C3", "%C3"),
            ("%20", " "),
        ] {
            assert_eq!(read(written), meant, "{written}");
        }
        let verbatim = Naming { template: "{user}".to_owned(), is_verbatim: true };
        assert_eq!(verbatim.text("acct%2Erig"), "acct%2Erig");
    }

    #[test]
    fn names_are_verbatim_when_the_pool_judges_them() {
        let text = "[aggregate]\nlocal_authorize = false\n[[upstream]]\nurl = \"stratum+tcp://a:1\"\n";
        let naming = Naming::new(&config::Config::parse(text, &Overrides::default()).unwrap());
        assert_eq!(naming.at_pool(&name("me.rig"), "x").0, "me.rig");
        assert_eq!(naming.account(&name("me.rig"), ["x"].into_iter()), Account("me".to_owned()));
    }
}
