//! `extranonce.*`: does every miner have a search space of its own that is large enough?

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::json;

use super::super::share::JudgedShare;
use super::{AlertContext, AlertType, SessionSample};
use crate::analyzer::session_event::{EventKind, JobSeen, ProtocolEvent};
use crate::clock::NtpTime;
use crate::config::{self, Severity};
use crate::tap::{Role, SessionId};
use crate::util::format::count;

const CHANGED: AlertType = ("extranonce.changed", Severity::High);
const DUPLICATE: AlertType = ("extranonce.duplicate", Severity::High);
const SMALL: AlertType = ("extranonce.small", Severity::Medium);

/// The time that a search space has to last. Pools send a job every 30 to 60 s.
const MIN_SPACE_SECONDS: f64 = 60.0;
/// The accepted shares after which the hash rate is known within a third.
const MIN_SHARES: u64 = 10;

/// Caps the sessions that are remembered for one space. Two are enough for an alert.
const MAX_OWNERS_PER_SPACE: usize = 4;

#[derive(Debug)]
pub(super) struct ExtranonceRules {
    /// `rules.min_extranonce2_size`.
    min_size: Option<usize>,
    sessions: BTreeMap<SessionId, SessionSpace>,
    /// The sessions that have mined in each search space, by its key. A session has one space at a time, so there
    /// are no more spaces than sessions.
    owners: HashMap<u64, Vec<SessionId>>,
}

#[derive(Debug, Clone, Copy)]
struct SessionSpace {
    /// The hash of the search space. Two miners with the same space find the same shares.
    key: u64,
    /// When its first and its newest share were sent.
    mined: Option<(NtpTime, NtpTime)>,
}

impl ExtranonceRules {
    pub(super) fn new(settings: &config::RulesConfig) -> ExtranonceRules {
        ExtranonceRules {
            min_size: settings.min_extranonce2_size,
            sessions: BTreeMap::new(),
            owners: HashMap::new(),
        }
    }

    pub(super) fn job(&mut self, job: &JobSeen) {
        let mut hasher = DefaultHasher::new();
        (job.upstream, job.space).hash(&mut hasher);
        let key = hasher.finish();
        let space = self.sessions.entry(job.session).or_insert(SessionSpace { key, mined: None });
        if space.key != key {
            // The coinbase halves change with each job. A session that mined before goes on mining.
            let (before, has_mined) = (std::mem::replace(&mut space.key, key), space.mined.is_some());
            self.remove_owner(before, job.session);
            if has_mined {
                self.add_owner(key, job.session);
            }
        }
    }

    /// Checks whether two sessions mine in one space. A miner that reconnects may get the space it had, while its
    /// dead old connection still gets jobs. So both must have sent shares during the same time.
    pub(super) fn share(&mut self, judged: &JudgedShare, context: &mut AlertContext<'_>) {
        let Some(own) = self.sessions.get_mut(&judged.session) else { return };
        let at = context.at;
        let (first, last) = own.mined.unwrap_or((at, at));
        let mined = (first.min(at), last.max(at));
        own.mined = Some(mined);
        let key = own.key;
        self.add_owner(key, judged.session);
        let Some(owners) = self.owners.get(&key).filter(|owners| owners.len() > 1) else { return };
        let overlaps = |other: &SessionId| {
            let other_mined = self.sessions.get(other).and_then(|space| space.mined);
            *other != judged.session
                && other_mined.is_some_and(|(first, last)| first < mined.1 && mined.0 < last)
        };
        let Some(other) = owners.iter().copied().find(overlaps) else { return };
        let upstream = context.upstream(judged.upstream);
        context.raise(DUPLICATE, upstream, || {
            let description = format!("{upstream}: the pool gave two miners the same search space");
            let extranonce1 = judged.extranonce1.as_ref().map(ToString::to_string);
            (
                description,
                json!({
                    "extranonce1": extranonce1,
                    "sessions": [judged.session.0, other.0],
                    "worker": judged.share.worker,
                }),
            )
        });
    }

    fn add_owner(&mut self, key: u64, session: SessionId) {
        let owners = self.owners.entry(key).or_default();
        if !owners.contains(&session) && owners.len() < MAX_OWNERS_PER_SPACE {
            owners.push(session);
        }
    }

    fn remove_owner(&mut self, key: u64, session: SessionId) {
        if let Some(owners) = self.owners.get_mut(&key) {
            owners.retain(|owner| *owner != session);
            if owners.is_empty() {
                self.owners.remove(&key);
            }
        }
    }

    pub(super) fn event(&mut self, event: &ProtocolEvent, context: &mut AlertContext<'_>) {
        let EventKind::ExtranonceChanged { from, to } = &event.kind else { return };
        let upstream = context.upstream(event.upstream);
        context.report(CHANGED, upstream, || {
            let description = format!(
                "{upstream}: the pool changed the extranonce1 from {from} to {to}, which the miner had not asked for"
            );
            (description, json!({ "session": event.session.0, "from": from.to_string(), "to": to.to_string() }))
        });
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        if let Some(space) = self.sessions.remove(&session) {
            self.remove_owner(space.key, session);
        }
    }

    pub(super) fn tick(&mut self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        for sample in sessions {
            let Some(size) = sample.extranonce2_size else { continue };
            let bits = sample.version_mask.map_or(0, |mask| mask.0.count_ones());
            let hashes = 2_f64.powi(32 + 8 * size.bytes() as i32 + bits as i32);
            let seconds = hashes / sample.hash_rate.max(1.0);
            let is_short = sample.accepted >= MIN_SHARES && seconds < MIN_SPACE_SECONDS;
            // In aggregate mode, Sluice divides the pool's space itself.
            let is_pools_space = sample.role == Role::Direct;
            let is_small = is_pools_space && self.min_size.is_some_and(|least| size.bytes() < least);
            if !is_short && !is_small && !context.alerts.is_open(SMALL.0) {
                continue;
            }
            let upstream = context.upstream(sample.upstream);
            let subject = format!("{upstream} {}", sample.worker);
            if !is_short && !is_small {
                context.resolve(SMALL.0, &subject);
                continue;
            }
            context.raise(SMALL, &subject, || {
                let description = match is_short {
                    true => {
                        format!("{upstream}: {} searches its whole space in {seconds:.1} s", sample.worker)
                    }
                    false => format!(
                        "{upstream}: the pool's extranonce2 of {} is smaller than rules.min_extranonce2_size",
                        count(size.bytes() as u64, "byte")
                    ),
                };
                (
                    description,
                    json!({
                        "extranonce2_size": size.bytes(),
                        "version_bits": bits,
                        "hash_rate": sample.hash_rate,
                        "seconds": seconds,
                        "session": sample.session.0,
                    }),
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{test_clock, test_time};
    use super::*;
    use crate::analyzer::alerts::AlertBook;
    use crate::stratum::{Extranonce2Size, VersionMask};

    /// Returns whether a space of this many bytes is reported as too small.
    fn is_small(bytes: u8, mask: Option<u32>, hash_rate: f64, accepted: u64) -> bool {
        let sample = SessionSample {
            hash_rate,
            accepted,
            watched: 600.0,
            extranonce2_size: Some(Extranonce2Size::new(bytes).unwrap()),
            version_mask: mask.map(VersionMask),
            ..SessionSample::for_tests()
        };
        let (mut alerts, mut rules) =
            (AlertBook::new(&[]), ExtranonceRules::new(&config::RulesConfig::default()));
        let tick = |context: &mut AlertContext<'_>| rules.tick(&[sample], context);
        AlertContext::for_tests(&mut alerts, &test_clock(), test_time(0), tick);
        let view = alerts.view();
        assert!(view.alerts.iter().all(|alert| alert.severity == Severity::Medium));
        view.counts.contains_key("extranonce.small")
    }

    #[test]
    fn a_space_is_small_if_it_does_not_last_a_minute() {
        // A byte is enough for a NerdMiner, and lasts an ASIC of 1 TH/s a second.
        assert!(!is_small(1, None, 300e3, 100));
        assert!(is_small(1, None, 1e12, 100));
        // Two bytes last 100 TH/s for 2.8 s, or with sixteen version bits for two days.
        assert!(is_small(2, None, 100e12, 100));
        assert!(!is_small(2, Some(0x1fff_e000), 100e12, 100));
        // Braiins' six and public-pool's four bytes are plenty.
        assert!(!is_small(4, None, 1e15, 100));
        // Three shares are too few to know the hash rate.
        assert!(!is_small(1, None, 1e12, 3));
    }
}
