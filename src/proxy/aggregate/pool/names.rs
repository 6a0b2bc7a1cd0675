//! The names that one connection authorized, the pool's verdicts, and the name under which a share goes out.
//!
//! Pools differ: most judge each `mining.authorize`; ckpool judges the first of a connection, ignores all
//! others, and refuses shares under any other name ("Worker mismatch", wire reference, section 2.2).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::Secret;
use crate::proxy::aggregate::identity::PoolName;
use crate::stratum::{RefusalCode, StratumError};

/// Caps the names that are remembered; a farm's workers have one each.
const MOST: usize = 8192;

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
    voice: Option<PoolName>,
    /// The reason that the pool is thought to know no other name than the first.
    single: Option<Single>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Single {
    /// It leaves further authorizes unanswered.
    Silent,
    /// It has refused a share because of its name.
    Mismatch,
}

#[derive(Debug)]
struct NameEntry {
    standing: NameStatus,
    /// When the pool was asked last.
    asked: Instant,
    /// The password that was accepted.
    password: Option<Secret>,
}

impl PoolNames {
    /// Whether the pool is to be asked about this name, which is noted then. A name that it has accepted is
    /// not; nor one that waits for its verdict, or was refused, within `again`.
    pub(crate) fn ask(&mut self, name: &PoolName, again: Duration, now: Instant) -> bool {
        let is_due = match self.known.get(name) {
            None => self.known.len() < MOST,
            Some(entry) if entry.standing == NameStatus::Accepted => false,
            Some(entry) => self.single.is_none() && now.saturating_duration_since(entry.asked) >= again,
        };
        if is_due {
            self.note(name, now);
        }
        is_due
    }

    /// Notes that the pool is asked about this name.
    pub(crate) fn note(&mut self, name: &PoolName, now: Instant) {
        if let Some(entry) = self.known.get_mut(name) {
            entry.asked = now;
        } else if self.known.len() < MOST {
            let entry = NameEntry { standing: NameStatus::Asked, asked: now, password: None };
            self.known.insert(name.clone(), entry);
        }
    }

    /// The refused names that are due to be asked about again: the pool may have been unable to check them for a
    /// moment.
    pub(crate) fn refused_since(&self, again: Duration, now: Instant) -> Vec<PoolName> {
        let is_due = |entry: &NameEntry| {
            self.single.is_none()
                && matches!(entry.standing, NameStatus::Refused(_))
                && now.saturating_duration_since(entry.asked) >= again
        };
        self.known.iter().filter(|(_, entry)| is_due(entry)).map(|(name, _)| name.clone()).collect()
    }

    /// Records the pool's verdict. An accepted name stays accepted: another miner's wrong password is no
    /// reason to drop it.
    pub(crate) fn judge(&mut self, name: &PoolName, standing: NameStatus, password: Option<Secret>) {
        if standing == NameStatus::Accepted {
            if self.voice.is_none() {
                self.voice = Some(name.clone());
            } else if self.voice.as_ref() != Some(name) && self.single == Some(Single::Silent) {
                // It was only slow.
                self.single = None;
            }
        }
        match self.known.get_mut(name) {
            Some(entry) if entry.standing == NameStatus::Accepted && standing != NameStatus::Accepted => {}
            Some(entry) => (entry.standing, entry.password) = (standing, password.or(entry.password.take())),
            None => {}
        }
    }

    /// Whether a share was refused because of the name that it went out under.
    pub(crate) fn is_about_a_name(&mut self, refusal: &StratumError) -> bool {
        let reason = refusal.reason.to_ascii_lowercase();
        let is_mismatch =
            reason.contains("mismatch") && (reason.contains("worker") || reason.contains("user"));
        if self.voice.is_some() && is_mismatch {
            self.single = Some(Single::Mismatch);
        }
        is_mismatch || refusal.code == RefusalCode::Unauthorized
    }

    /// Notes that the pool has left an authorize unanswered. `false` when it was the first.
    pub(crate) fn is_ignored(&mut self) -> bool {
        let accepted = self.known.values().filter(|entry| entry.standing == NameStatus::Accepted).count();
        if accepted == 1 && self.single.is_none() {
            self.single = Some(Single::Silent);
        }
        self.single.is_some()
    }

    /// Whether the pool would accept this name with this password, as far as that is known.
    pub(crate) fn vouches_for(&self, name: &PoolName, password: Option<&Secret>) -> bool {
        self.single.is_some()
            || self.known.get(name).is_some_and(|entry| {
                entry.standing == NameStatus::Accepted && entry.password.as_ref() == password
            })
    }

    /// The pool's verdict on the name. `None` when it was never asked, or when the verdict does not matter.
    pub(crate) fn standing(&self, name: &PoolName) -> Option<&NameStatus> {
        let entry = self.known.get(name)?;
        let is_spoken_for = self.single.is_some() && matches!(entry.standing, NameStatus::Refused(_));
        (!is_spoken_for).then_some(&entry.standing)
    }

    /// The name that a share of this one goes out under: its own if the pool has accepted it, else the first
    /// that was accepted, since all names of a connection are of one account.
    pub(crate) fn voice<'a>(&'a self, name: &'a PoolName) -> &'a PoolName {
        let is_known = self.single.is_none() && self.standing(name) == Some(&NameStatus::Accepted);
        if is_known { name } else { self.voice.as_ref().unwrap_or(name) }
    }

    /// The first name that was accepted, and the password that a miner brought for it.
    pub(crate) fn accepted(&self) -> Option<(&PoolName, Option<&Secret>)> {
        let name = self.voice.as_ref()?;
        Some((name, self.known.get(name).and_then(|entry| entry.password.as_ref())))
    }

    /// Whether the pool has accepted any name.
    pub(crate) fn has_voice(&self) -> bool {
        self.voice.is_some()
    }

    /// Whether every name that the pool was asked about was refused.
    pub(crate) fn are_all_refused(&self) -> bool {
        !self.known.is_empty()
            && self.known.values().all(|entry| matches!(entry.standing, NameStatus::Refused(_)))
    }

    /// A name that was refused, and the refusal.
    pub(crate) fn first_refusal(&self) -> Option<(&PoolName, &StratumError)> {
        self.known.iter().find_map(|(name, entry)| match &entry.standing {
            NameStatus::Refused(refusal) => Some((name, refusal)),
            NameStatus::Asked | NameStatus::Accepted => None,
        })
    }

    /// Whether there is a name that was not refused.
    pub(crate) fn is_any_welcome(&self) -> bool {
        self.known.values().any(|entry| !matches!(entry.standing, NameStatus::Refused(_)))
    }

    /// Whether the pool has given no verdict on any name.
    pub(crate) fn are_all_open(&self) -> bool {
        !self.known.is_empty() && self.known.values().all(|entry| entry.standing == NameStatus::Asked)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.known.len() >= MOST
    }

    /// Drops the names that no miner has any more.
    pub(crate) fn retain(&mut self, is_used: impl Fn(&PoolName) -> bool) {
        let voice = self.voice.clone();
        self.known.retain(|name, _| Some(name) == voice.as_ref() || is_used(name));
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
    fn who_was_refused_is_asked_about_again_in_a_while() {
        let (mut names, now) = (PoolNames::default(), Instant::now());
        assert!(names.ask(&name("a"), AGAIN, now) && !names.ask(&name("a"), AGAIN, now));
        names.judge(&name("a"), refused(), None);
        assert!(names.are_all_refused() && names.refused_since(AGAIN, now).is_empty());
        assert_eq!(names.refused_since(AGAIN, now + AGAIN), [name("a")]);
        assert!(names.ask(&name("a"), AGAIN, now + AGAIN));
        names.judge(&name("a"), NameStatus::Accepted, None);
        assert!(!names.ask(&name("a"), AGAIN, now + 3 * AGAIN));
        // Another miner gave a wrong password.
        names.judge(&name("a"), refused(), None);
        assert_eq!(names.standing(&name("a")), Some(&NameStatus::Accepted));
    }

    #[test]
    fn shares_go_out_under_a_name_that_is_credited() {
        let (mut names, now) = (PoolNames::default(), Instant::now());
        for one in ["a", "b", "c"] {
            names.ask(&name(one), AGAIN, now);
        }
        assert_eq!(names.voice(&name("b")), &name("b"), "nobody was accepted yet");
        names.judge(&name("a"), NameStatus::Accepted, None);
        assert_eq!(names.voice(&name("b")), &name("a"));
        names.judge(&name("b"), NameStatus::Accepted, None);
        assert_eq!(names.voice(&name("b")), &name("b"));
        assert!(names.is_about_a_name(&StratumError::new(RefusalCode::Other, "Worker mismatch")));
        assert!(!names.is_about_a_name(&StratumError::new(RefusalCode::LowDifficulty, "high-hash")));
        assert_eq!(names.voice(&name("b")), &name("a"));
        assert!(!names.ask(&name("c"), AGAIN, now + 2 * AGAIN) && names.vouches_for(&name("c"), None));
    }

    #[test]
    fn silence_after_the_first_authorize_is_no_refusal() {
        let (mut names, now) = (PoolNames::default(), Instant::now());
        names.ask(&name("a"), AGAIN, now);
        assert!(!names.is_ignored());
        names.judge(&name("a"), NameStatus::Accepted, Some(Secret::new("right")));
        assert!(names.vouches_for(&name("a"), Some(&Secret::new("right"))));
        assert!(!names.vouches_for(&name("a"), Some(&Secret::new("wrong"))));
        names.ask(&name("b"), AGAIN, now);
        assert!(names.is_ignored() && names.vouches_for(&name("b"), None));
        // The pool was only slow.
        names.judge(&name("b"), NameStatus::Accepted, None);
        assert!(!names.is_ignored() && names.voice(&name("b")) == &name("b"));
        assert!(!names.vouches_for(&name("c"), None));
    }

    #[test]
    fn names_are_bounded_and_room_can_be_made() {
        let (mut names, now) = (PoolNames::default(), Instant::now());
        let all = (0..=MOST).filter(|number| names.ask(&name(&number.to_string()), AGAIN, now)).count();
        assert_eq!((all, names.is_full()), (MOST, true));
        names.judge(&name("7"), NameStatus::Accepted, None);
        names.retain(|name| name.0 == "9");
        assert!(names.standing(&name("7")).is_some() && names.standing(&name("8")).is_none());
        assert!(names.ask(&name("new"), AGAIN, now));
    }
}
