//! The names that one connection authorized, the pool's verdicts, and the name under which a share goes out.
//!
//! Pools differ: most judge each `mining.authorize`; ckpool judges the first of a connection, ignores all
//! others, and refuses shares under any other name ("Worker mismatch", wire reference, section 2.2).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::Secret;
use crate::proxy::aggregate::PoolName;
use crate::stratum::{RefusalCode, StratumError};

/// Caps the names that are remembered; a farm's workers have one each.
const MAX_NAMES: usize = 8192;

/// The pool's verdict on a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NameStatus {
    Asked,
    Accepted,
    Refused(StratumError),
}

/// The names of one connection.
#[derive(Debug, Default)]
pub(crate) struct PoolNames {
    known: HashMap<PoolName, NameEntry>,
    /// The first that was accepted: shares under it are credited whatever the pool says of other names.
    first_accepted: Option<PoolName>,
    /// The reason that the pool is thought to know no other name than the first.
    single_name: Option<SingleName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SingleName {
    /// The pool leaves further authorizes unanswered.
    Silent,
    /// The pool has refused a share because of its name.
    Mismatch,
}

#[derive(Debug)]
struct NameEntry {
    status: NameStatus,
    /// When the pool was asked last.
    asked_at: Instant,
    /// The password that was accepted.
    password: Option<Secret>,
}

impl PoolNames {
    /// Whether the pool is to be asked about this name, which is noted then. A name that it has accepted is
    /// not; nor one that waits for its verdict, or was refused, within `again`.
    pub(crate) fn ask(&mut self, name: &PoolName, again: Duration, now: Instant) -> bool {
        let is_due = match self.known.get(name) {
            None => self.known.len() < MAX_NAMES,
            Some(entry) if entry.status == NameStatus::Accepted => false,
            Some(entry) => {
                self.single_name.is_none() && now.saturating_duration_since(entry.asked_at) >= again
            }
        };
        if is_due {
            self.note(name, now);
        }
        is_due
    }

    /// Notes that the pool is asked about this name.
    pub(crate) fn note(&mut self, name: &PoolName, now: Instant) {
        if let Some(entry) = self.known.get_mut(name) {
            entry.asked_at = now;
        } else if self.known.len() < MAX_NAMES {
            let entry = NameEntry { status: NameStatus::Asked, asked_at: now, password: None };
            self.known.insert(name.clone(), entry);
        }
    }

    /// The refused names that are due to be asked about again: the pool may have been unable to check them for a
    /// moment.
    pub(crate) fn refused_since(&self, again: Duration, now: Instant) -> Vec<PoolName> {
        let is_due = |entry: &NameEntry| {
            self.single_name.is_none()
                && matches!(entry.status, NameStatus::Refused(_))
                && now.saturating_duration_since(entry.asked_at) >= again
        };
        self.known.iter().filter(|(_, entry)| is_due(entry)).map(|(name, _)| name.clone()).collect()
    }

    /// Records the pool's verdict. An accepted name stays accepted: another miner's wrong password is no
    /// reason to drop it.
    pub(crate) fn record_verdict(&mut self, name: &PoolName, status: NameStatus, password: Option<Secret>) {
        if status == NameStatus::Accepted {
            if self.first_accepted.is_none() {
                self.first_accepted = Some(name.clone());
            } else if self.first_accepted.as_ref() != Some(name)
                && self.single_name == Some(SingleName::Silent)
            {
                // It was only slow.
                self.single_name = None;
            }
        }
        match self.known.get_mut(name) {
            Some(entry) if entry.status == NameStatus::Accepted && status != NameStatus::Accepted => {}
            Some(entry) => (entry.status, entry.password) = (status, password.or(entry.password.take())),
            None => {}
        }
    }

    /// Whether a share was refused because of the name that it went out under.
    pub(crate) fn is_about_a_name(&mut self, refusal: &StratumError) -> bool {
        let reason = refusal.reason.to_ascii_lowercase();
        let is_mismatch =
            reason.contains("mismatch") && (reason.contains("worker") || reason.contains("user"));
        if self.first_accepted.is_some() && is_mismatch {
            self.single_name = Some(SingleName::Mismatch);
        }
        is_mismatch || refusal.code == RefusalCode::Unauthorized
    }

    /// Notes that the pool has left an authorize unanswered. `false` when it was the first.
    pub(crate) fn note_unanswered(&mut self) -> bool {
        let accepted = self.known.values().filter(|entry| entry.status == NameStatus::Accepted).count();
        if accepted == 1 && self.single_name.is_none() {
            self.single_name = Some(SingleName::Silent);
        }
        self.single_name.is_some()
    }

    /// Whether the pool would accept this name with this password, as far as that is known.
    pub(crate) fn would_accept(&self, name: &PoolName, password: Option<&Secret>) -> bool {
        self.single_name.is_some()
            || self.known.get(name).is_some_and(|entry| {
                entry.status == NameStatus::Accepted && entry.password.as_ref() == password
            })
    }

    /// The pool's verdict on the name. `None` when it was never asked, or when the verdict does not matter.
    pub(crate) fn status(&self, name: &PoolName) -> Option<&NameStatus> {
        let entry = self.known.get(name)?;
        let is_irrelevant = self.single_name.is_some() && matches!(entry.status, NameStatus::Refused(_));
        (!is_irrelevant).then_some(&entry.status)
    }

    /// The name that a share of this one goes out under: its own if the pool has accepted it, else the first
    /// that was accepted, since all names of a connection are of one account.
    pub(crate) fn name_for_shares<'a>(&'a self, name: &'a PoolName) -> &'a PoolName {
        let is_known = self.single_name.is_none() && self.status(name) == Some(&NameStatus::Accepted);
        if is_known { name } else { self.first_accepted.as_ref().unwrap_or(name) }
    }

    /// The first name that was accepted, and the password that a miner brought for it.
    pub(crate) fn accepted(&self) -> Option<(&PoolName, Option<&Secret>)> {
        let name = self.first_accepted.as_ref()?;
        Some((name, self.known.get(name).and_then(|entry| entry.password.as_ref())))
    }

    /// Whether the pool has accepted any name.
    pub(crate) fn has_accepted(&self) -> bool {
        self.first_accepted.is_some()
    }

    /// Whether every name that the pool was asked about was refused.
    pub(crate) fn are_all_refused(&self) -> bool {
        !self.known.is_empty()
            && self.known.values().all(|entry| matches!(entry.status, NameStatus::Refused(_)))
    }

    /// A name that was refused, and the refusal.
    pub(crate) fn first_refusal(&self) -> Option<(&PoolName, &StratumError)> {
        self.known.iter().find_map(|(name, entry)| match &entry.status {
            NameStatus::Refused(refusal) => Some((name, refusal)),
            NameStatus::Asked | NameStatus::Accepted => None,
        })
    }

    /// Whether there is a name that was not refused.
    pub(crate) fn has_unrefused(&self) -> bool {
        self.known.values().any(|entry| !matches!(entry.status, NameStatus::Refused(_)))
    }

    /// Whether the pool has given no verdict on any name.
    pub(crate) fn are_all_pending(&self) -> bool {
        !self.known.is_empty() && self.known.values().all(|entry| entry.status == NameStatus::Asked)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.known.len() >= MAX_NAMES
    }

    /// Drops the names that no miner has any more.
    pub(crate) fn retain(&mut self, is_used: impl Fn(&PoolName) -> bool) {
        let first_accepted = self.first_accepted.clone();
        self.known.retain(|name, _| Some(name) == first_accepted.as_ref() || is_used(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGAIN: Duration = Duration::from_secs(60);

    fn name(text: &str) -> PoolName {
        PoolName(text.to_owned())
    }

    fn refused() -> NameStatus {
        NameStatus::Refused(StratumError::new(RefusalCode::Other, "database is busy"))
    }

    #[test]
    fn a_refused_name_is_asked_about_again_later() {
        let (mut names, now) = (PoolNames::default(), Instant::now());
        assert!(names.ask(&name("a"), AGAIN, now) && !names.ask(&name("a"), AGAIN, now));
        names.record_verdict(&name("a"), refused(), None);
        assert!(names.are_all_refused() && names.refused_since(AGAIN, now).is_empty());
        assert_eq!(names.refused_since(AGAIN, now + AGAIN), [name("a")]);
        assert!(names.ask(&name("a"), AGAIN, now + AGAIN));
        names.record_verdict(&name("a"), NameStatus::Accepted, None);
        assert!(!names.ask(&name("a"), AGAIN, now + 3 * AGAIN));
        // Another miner gave a wrong password.
        names.record_verdict(&name("a"), refused(), None);
        assert_eq!(names.status(&name("a")), Some(&NameStatus::Accepted));
    }

    #[test]
    fn shares_go_out_under_a_name_that_is_credited() {
        let (mut names, now) = (PoolNames::default(), Instant::now());
        for one in ["a", "b", "c"] {
            names.ask(&name(one), AGAIN, now);
        }
        assert_eq!(names.name_for_shares(&name("b")), &name("b"), "nobody was accepted yet");
        names.record_verdict(&name("a"), NameStatus::Accepted, None);
        assert_eq!(names.name_for_shares(&name("b")), &name("a"));
        names.record_verdict(&name("b"), NameStatus::Accepted, None);
        assert_eq!(names.name_for_shares(&name("b")), &name("b"));
        assert!(names.is_about_a_name(&StratumError::new(RefusalCode::Other, "Worker mismatch")));
        assert!(!names.is_about_a_name(&StratumError::new(RefusalCode::LowDifficulty, "high-hash")));
        assert_eq!(names.name_for_shares(&name("b")), &name("a"));
        assert!(!names.ask(&name("c"), AGAIN, now + 2 * AGAIN) && names.would_accept(&name("c"), None));
    }

    #[test]
    fn silence_after_the_first_authorize_is_no_refusal() {
        let (mut names, now) = (PoolNames::default(), Instant::now());
        names.ask(&name("a"), AGAIN, now);
        assert!(!names.note_unanswered());
        names.record_verdict(&name("a"), NameStatus::Accepted, Some(Secret::new("right")));
        assert!(names.would_accept(&name("a"), Some(&Secret::new("right"))));
        assert!(!names.would_accept(&name("a"), Some(&Secret::new("wrong"))));
        names.ask(&name("b"), AGAIN, now);
        assert!(names.note_unanswered() && names.would_accept(&name("b"), None));
        // The pool was only slow.
        names.record_verdict(&name("b"), NameStatus::Accepted, None);
        assert!(!names.note_unanswered() && names.name_for_shares(&name("b")) == &name("b"));
        assert!(!names.would_accept(&name("c"), None));
    }

    #[test]
    fn names_are_bounded_and_room_can_be_made() {
        let (mut names, now) = (PoolNames::default(), Instant::now());
        let all = (0..=MAX_NAMES).filter(|number| names.ask(&name(&number.to_string()), AGAIN, now)).count();
        assert_eq!((all, names.is_full()), (MAX_NAMES, true));
        names.record_verdict(&name("7"), NameStatus::Accepted, None);
        names.retain(|name| name.0 == "9");
        assert!(names.status(&name("7")).is_some() && names.status(&name("8")).is_none());
        assert!(names.ask(&name("new"), AGAIN, now));
    }
}
