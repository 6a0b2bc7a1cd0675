//! The listed upstreams and their order. Each has a number for as long as the program runs, whatever is
//! listed later: sessions, jobs and records refer to it.

use std::fmt;

use super::route::SetupError;
use crate::config;

/// Caps the different upstreams of one run.
const MAX_UPSTREAMS: usize = 256;

/// An upstream's number: its position in the first list, or the next free one when it came later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamId(pub usize);

impl fmt::Display for UpstreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // People count from one.
        write!(f, "#{}", self.0 + 1)
    }
}

/// All upstreams that were ever listed, and the present order of preference.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamList {
    /// All upstreams by their numbers, those that are not listed any more included.
    pub known: Vec<config::UpstreamConfig>,
    /// The listed upstreams, the most preferred one first.
    pub order: Vec<UpstreamId>,
}

impl UpstreamList {
    /// The first list.
    pub fn new(configured: &[config::UpstreamConfig]) -> UpstreamList {
        UpstreamList { known: configured.to_vec(), order: (0..configured.len()).map(UpstreamId).collect() }
    }

    /// The next list. An upstream with the same settings keeps its number.
    ///
    /// # Errors
    /// There were too many different upstreams.
    pub fn relisted(&self, configured: &[config::UpstreamConfig]) -> Result<UpstreamList, SetupError> {
        let mut next = UpstreamList { known: self.known.clone(), order: Vec::new() };
        for one in configured {
            let is_it = |(number, known): &(usize, &config::UpstreamConfig)| {
                *known == one && !next.order.contains(&UpstreamId(*number))
            };
            let known = next.known.iter().enumerate().find(is_it).map(|(number, _)| number);
            let number = known.unwrap_or_else(|| {
                next.known.push(one.clone());
                next.known.len() - 1
            });
            next.order.push(UpstreamId(number));
        }
        if next.known.len() > MAX_UPSTREAMS {
            return Err(SetupError("too many different pools since the start; restart Sluice".to_owned()));
        }
        Ok(next)
    }

    /// The number of upstreams that are preferred to this one: 0 for the best. `None` for one that is not
    /// listed any more.
    pub fn rank(&self, id: UpstreamId) -> Option<usize> {
        self.order.iter().position(|listed| *listed == id)
    }

    /// The URLs of all, by their numbers.
    pub fn urls(&self) -> Vec<String> {
        self.known.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(hosts: &[&str]) -> Vec<config::UpstreamConfig> {
        hosts.iter().map(|host| config::UpstreamConfig::new(*host, 3333)).collect()
    }

    fn order(listing: &UpstreamList) -> Vec<usize> {
        listing.order.iter().map(|id| id.0).collect()
    }

    #[test]
    fn an_upstream_that_stays_keeps_its_number() {
        let first = UpstreamList::new(&list(&["a", "b"]));
        let second = first.relisted(&list(&["c", "b"])).unwrap();
        assert_eq!(order(&second), [2, 1]);
        assert_eq!((second.rank(UpstreamId(0)), second.rank(UpstreamId(1))), (None, Some(1)));
        let third = second.relisted(&list(&["b", "a", "c"])).unwrap();
        assert_eq!(order(&third), [1, 0, 2]);
        assert_eq!(third.urls()[2], "stratum+tcp://c:3333");
    }

    #[test]
    fn another_setting_makes_another_upstream() {
        let mut changed = list(&["a"]);
        changed[0].user = "farm".to_owned();
        assert_eq!(order(&UpstreamList::new(&list(&["a"])).relisted(&changed).unwrap()), [1]);
    }

    #[test]
    fn the_same_one_twice_has_two_numbers() {
        let twice = UpstreamList::new(&list(&["a", "a"]));
        assert_eq!(order(&twice.relisted(&list(&["a", "a"])).unwrap()), [0, 1]);
    }

    #[test]
    fn the_upstreams_of_one_run_are_bounded() {
        let mut listing = UpstreamList::new(&list(&["a"]));
        for number in 0..MAX_UPSTREAMS - 1 {
            listing = listing.relisted(&list(&[&format!("pool-{number}")])).unwrap();
        }
        assert!(listing.relisted(&list(&["one-too-many"])).is_err());
        assert_eq!(order(&listing.relisted(&list(&["a"])).unwrap()), [0]);
    }
}
