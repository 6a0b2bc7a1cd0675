//! Guesses the account of a miner that has not authorized yet. It gets its search space before that (wire
//! reference, section 1.4), and search spaces belong to accounts.

use crate::proxy::aggregate::Account;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Caps the addresses that are remembered.
const MAX_ADDRESSES: usize = 8192;
/// Caps the accounts that are expected at one address.
const MAX_EXPECTED: usize = 256;
/// The time for which a miner that was disconnected for another search space is expected back. It takes
/// seconds; a NerdMiner may take a minute (wire reference, section 1.6).
const MAX_RECONNECT_TIME: Duration = Duration::from_secs(90);

/// The likely accounts by address. One address can have miners of several accounts behind it.
#[derive(Debug, Default)]
pub(crate) struct AccountHints {
    addresses: HashMap<IpAddr, AccountHint>,
    /// The oldest first.
    order: VecDeque<IpAddr>,
}

#[derive(Debug, Default)]
struct AccountHint {
    /// The account of the miner that authorized last.
    last: Account,
    /// The accounts of miners that must reconnect, in that order.
    expected: VecDeque<(Account, Instant)>,
}

impl AccountHints {
    /// Notes that a miner of this account has authorized.
    pub(crate) fn remember(&mut self, address: IpAddr, account: &Account) {
        self.of(address).last = account.clone();
    }

    /// Notes that a miner of this account must reconnect. `false` when too many already must.
    pub(crate) fn expect_reconnect(&mut self, address: IpAddr, account: &Account, now: Instant) -> bool {
        let expected = &mut self.of(address).expected;
        expected.retain(|(_, since)| now.saturating_duration_since(*since) < MAX_RECONNECT_TIME);
        let has_room = expected.len() < MAX_EXPECTED;
        if has_room {
            expected.push_back((account.clone(), now));
        }
        has_room
    }

    /// Undoes a wrong guess: the miner was another's, and that account is still expected, before all others.
    pub(crate) fn put_back(&mut self, address: IpAddr, account: Account, now: Instant) {
        self.of(address).expected.push_front((account, now));
    }

    /// The likely account of a miner from this address, and whether one of that account was expected. It no
    /// longer is then.
    pub(crate) fn take(&mut self, address: IpAddr, now: Instant) -> Option<(Account, bool)> {
        let hint = self.addresses.get_mut(&address)?;
        hint.expected.retain(|(_, since)| now.saturating_duration_since(*since) < MAX_RECONNECT_TIME);
        let expected = hint.expected.pop_front().map(|(account, _)| (account, true));
        Some(expected.unwrap_or_else(|| (hint.last.clone(), false)))
    }

    fn of(&mut self, address: IpAddr) -> &mut AccountHint {
        if !self.addresses.contains_key(&address) {
            self.order.push_back(address);
            if self.order.len() > MAX_ADDRESSES {
                if let Some(oldest) = self.order.pop_front() {
                    self.addresses.remove(&oldest);
                }
            }
        }
        self.addresses.entry(address).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> Account {
        Account(name.to_owned())
    }

    #[test]
    fn miners_are_expected_back_in_the_order_they_were_disconnected() {
        let (mut hints, here, now) = (AccountHints::default(), IpAddr::from([10, 0, 0, 1]), Instant::now());
        assert_eq!(hints.take(here, now), None);
        hints.remember(here, &account("last"));
        hints.expect_reconnect(here, &account("one"), now);
        hints.expect_reconnect(here, &account("two"), now);
        hints.expect_reconnect(here, &account("late"), now);
        assert_eq!(hints.take(here, now), Some((account("one"), true)));
        hints.put_back(here, account("one"), now);
        assert_eq!(hints.take(here, now), Some((account("one"), true)));
        assert_eq!(hints.take(here, now), Some((account("two"), true)));
        assert_eq!(hints.take(here, now + MAX_RECONNECT_TIME), Some((account("last"), false)));
        assert_eq!(hints.take([10, 0, 0, 2].into(), now), None);
    }

    #[test]
    fn addresses_and_expectations_are_bounded() {
        let (mut hints, now) = (AccountHints::default(), Instant::now());
        for number in 0..10_000_u32 {
            hints.remember(IpAddr::from(number.to_be_bytes()), &account("a"));
            hints.expect_reconnect([127, 0, 0, 1].into(), &account("a"), now);
        }
        assert!(hints.addresses.len() <= MAX_ADDRESSES && hints.order.len() <= MAX_ADDRESSES);
        let most = hints.addresses.values().map(|hint| hint.expected.len()).max();
        assert!(most <= Some(MAX_EXPECTED));
    }
}
