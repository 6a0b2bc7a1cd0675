//! Whose a miner probably is that has not said so: it gets its search space before it says who it is
//! (wire reference, section 1.4), and search spaces belong to accounts.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::proxy::aggregate::identity::Account;

/// The most addresses that are remembered.
const MOST: usize = 8192;
/// The most accounts that are expected at one of them.
const MOST_EXPECTED: usize = 256;
/// A miner that was sent away for another search space comes again within seconds; a NerdMiner may take
/// a minute (wire reference, section 1.6).
const SOON: Duration = Duration::from_secs(90);

/// By address. An address can have miners of several accounts behind it.
#[derive(Debug, Default)]
pub(crate) struct AccountHints {
    addresses: HashMap<IpAddr, AccountHint>,
    /// The oldest first.
    order: VecDeque<IpAddr>,
}

#[derive(Debug, Default)]
struct AccountHint {
    /// Who was there last.
    last: Account,
    /// Who was sent away to come again, in that order.
    expected: VecDeque<(Account, Instant)>,
}

impl AccountHints {
    /// A miner of this account is there.
    pub(crate) fn remember(&mut self, address: IpAddr, account: &Account) {
        self.of(address).last = account.clone();
    }

    /// A miner of this account was sent away, and comes again. `false` when too many have been.
    pub(crate) fn expect(&mut self, address: IpAddr, account: &Account, now: Instant) -> bool {
        let expected = &mut self.of(address).expected;
        expected.retain(|(_, since)| now.saturating_duration_since(*since) < SOON);
        let has_room = expected.len() < MOST_EXPECTED;
        if has_room {
            expected.push_back((account.clone(), now));
        }
        has_room
    }

    /// It was another who came: that one is expected still, before all others.
    pub(crate) fn put_back(&mut self, address: IpAddr, account: Account, now: Instant) {
        self.of(address).expected.push_front((account, now));
    }

    /// Whose the miner is that comes from there; and whether one of that account is expected, and no
    /// longer is.
    pub(crate) fn take(&mut self, address: IpAddr, now: Instant) -> Option<(Account, bool)> {
        let guess = self.addresses.get_mut(&address)?;
        guess.expected.retain(|(_, since)| now.saturating_duration_since(*since) < SOON);
        let expected = guess.expected.pop_front().map(|(account, _)| (account, true));
        Some(expected.unwrap_or_else(|| (guess.last.clone(), false)))
    }

    fn of(&mut self, address: IpAddr) -> &mut AccountHint {
        if !self.addresses.contains_key(&address) {
            self.order.push_back(address);
            if self.order.len() > MOST {
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
    fn who_was_sent_away_comes_again_in_that_order() {
        let (mut guesses, here, now) = (AccountHints::default(), IpAddr::from([10, 0, 0, 1]), Instant::now());
        assert_eq!(guesses.take(here, now), None);
        guesses.remember(here, &account("last"));
        guesses.expect(here, &account("one"), now);
        guesses.expect(here, &account("two"), now);
        guesses.expect(here, &account("late"), now);
        assert_eq!(guesses.take(here, now), Some((account("one"), true)));
        guesses.put_back(here, account("one"), now);
        assert_eq!(guesses.take(here, now), Some((account("one"), true)));
        assert_eq!(guesses.take(here, now), Some((account("two"), true)));
        assert_eq!(guesses.take(here, now + SOON), Some((account("last"), false)));
        assert_eq!(guesses.take([10, 0, 0, 2].into(), now), None);
    }

    #[test]
    fn addresses_and_expectations_are_bounded() {
        let (mut guesses, now) = (AccountHints::default(), Instant::now());
        for number in 0..10_000_u32 {
            guesses.remember(IpAddr::from(number.to_be_bytes()), &account("a"));
            guesses.expect([127, 0, 0, 1].into(), &account("a"), now);
        }
        assert!(guesses.addresses.len() <= MOST && guesses.order.len() <= MOST);
        let most = guesses.addresses.values().map(|guess| guess.expected.len()).max();
        assert!(most <= Some(MOST_EXPECTED));
    }
}
