//! `extranonce.*`: has every miner a search space, one of its own, and a large enough one?

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::json;

use super::super::share::JudgedShare;
use super::{AlertContext, SessionSample};
use crate::analyzer::session_event::{JobSeen, ProtocolEvent};
use crate::clock::NtpTime;
use crate::config::{self, Severity};
use crate::tap::{Role, SessionId};
use crate::util::plural::count;

const CHANGED: (&str, Severity) = ("extranonce.changed", Severity::High);
const DUPLICATE: (&str, Severity) = ("extranonce.duplicate", Severity::High);
const SMALL: (&str, Severity) = ("extranonce.small", Severity::Medium);

/// A search space has to last for so many seconds: pools send a job every 30 to 60.
const LEAST_SECONDS: f64 = 60.0;
/// A hash rate is known after so many accepted shares, within a third.
const LEAST_SHARES: u64 = 10;

/// So many sessions with one space are enough to know.
const MOST_OWNERS: usize = 4;

#[derive(Debug)]
pub(super) struct Extranonce {
    /// `rules.min_extranonce2_size`.
    least_size: Option<usize>,
    sessions: BTreeMap<SessionId, SessionSpace>,
    /// Who has mined in a search space, by its key. A session has one space at a time, so there are no
    /// more of them than sessions.
    owners: HashMap<u64, Vec<SessionId>>,
}

#[derive(Debug, Clone, Copy)]
struct SessionSpace {
    /// What it searches: with the same, two miners find the same shares.
    key: u64,
    /// When its first and its newest share were sent.
    mined: Option<(NtpTime, NtpTime)>,
}

impl Extranonce {
    pub(super) fn new(settings: &config::RulesConfig) -> Extranonce {
        Extranonce {
            least_size: settings.min_extranonce2_size,
            sessions: BTreeMap::new(),
            owners: HashMap::new(),
        }
    }

    pub(super) fn job(&mut self, job: &JobSeen) {
        let mut hasher = DefaultHasher::new();
        (job.upstream, job.space).hash(&mut hasher);
        let key = hasher.finish();
        let seen = self.sessions.entry(job.session).or_insert(SessionSpace { key, mined: None });
        if seen.key != key {
            // The halves of the coinbase change with each job: who mined before it mines on.
            let (before, has_mined) = (std::mem::replace(&mut seen.key, key), seen.mined.is_some());
            self.disown(before, job.session);
            if has_mined {
                self.own(key, job.session);
            }
        }
    }

    /// A miner that reconnects may be given the space it had; its old connection, dead and not known to
    /// be, goes on getting jobs. So both must have sent shares while the other one did.
    pub(super) fn share(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let Some(own) = self.sessions.get_mut(&judged.session) else { return };
        let (first, last) = own.mined.unwrap_or((at, at));
        let mined = (first.min(at), last.max(at));
        own.mined = Some(mined);
        let key = own.key;
        self.own(key, judged.session);
        let Some(owners) = self.owners.get(&key).filter(|owners| owners.len() > 1) else { return };
        let overlaps = |other: &SessionId| {
            let other_mined = self.sessions.get(other).and_then(|seen| seen.mined);
            *other != judged.session
                && other_mined.is_some_and(|(first, last)| first < mined.1 && mined.0 < last)
        };
        let Some(other) = owners.iter().copied().find(overlaps) else { return };
        let upstream = tongue.upstream(judged.upstream);
        tongue.lasts(DUPLICATE, upstream, at, || {
            let description = format!("{upstream}: two miners were given the same search space");
            let extranonce1 = judged.extranonce1.as_ref().map(ToString::to_string);
            let evidence = json!({
                "extranonce1": extranonce1,
                "sessions": [judged.session.0, other.0],
                "worker": judged.share.worker,
            });
            (description, evidence)
        });
    }

    fn own(&mut self, key: u64, session: SessionId) {
        let owners = self.owners.entry(key).or_default();
        if !owners.contains(&session) && owners.len() < MOST_OWNERS {
            owners.push(session);
        }
    }

    fn disown(&mut self, key: u64, session: SessionId) {
        if let Some(owners) = self.owners.get_mut(&key) {
            owners.retain(|owner| *owner != session);
            if owners.is_empty() {
                self.owners.remove(&key);
            }
        }
    }

    pub(super) fn event(&mut self, event: &ProtocolEvent, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let ProtocolEvent::ExtranonceChanged { session, upstream, from, to } = event else { return };
        let upstream = tongue.upstream(*upstream);
        tongue.happened(CHANGED, upstream, at, || {
            let description = format!(
                "{upstream}: the extranonce1 was changed from {from} to {to} without being asked for"
            );
            (description, json!({ "session": session.0, "from": from.to_string(), "to": to.to_string() }))
        });
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        if let Some(seen) = self.sessions.remove(&session) {
            self.disown(seen.key, session);
        }
    }

    pub(super) fn tick(
        &mut self,
        sessions: &[SessionSample<'_>],
        now: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        for pulse in sessions {
            let Some(size) = pulse.extranonce2_size else { continue };
            let bits = pulse.version_mask.map_or(0, |mask| mask.0.count_ones());
            let hashes = 2_f64.powi(32 + 8 * size.bytes() as i32 + bits as i32);
            let seconds = hashes / pulse.hash_rate.max(1.0);
            let is_short = pulse.accepted >= LEAST_SHARES && seconds < LEAST_SECONDS;
            // What is left of the pool's space after it was divided here says nothing of the pool.
            let is_the_pools = pulse.role == Role::Direct;
            let is_small = is_the_pools && self.least_size.is_some_and(|least| size.bytes() < least);
            if !is_short && !is_small && !tongue.is_open(SMALL.0) {
                continue;
            }
            let upstream = tongue.upstream(pulse.upstream);
            let subject = format!("{upstream} {}", pulse.worker);
            if !is_short && !is_small {
                tongue.ends(SMALL.0, &subject, now);
                continue;
            }
            tongue.persists(SMALL, &subject, now, || {
                let description = match is_short {
                    true => format!(
                        "{upstream}: {} has searched through its space in {seconds:.1} s",
                        pulse.worker
                    ),
                    false => format!(
                        "{upstream}: an extranonce2 of {} is smaller than rules.min_extranonce2_size",
                        count(size.bytes() as u64, "byte")
                    ),
                };
                let evidence = json!({
                    "extranonce2_size": size.bytes(),
                    "version_bits": bits,
                    "hash_rate": pulse.hash_rate,
                    "seconds": seconds,
                    "session": pulse.session.0,
                });
                (description, evidence)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::alerts::AlertBook;
    use crate::clock::ClockState;
    use crate::record::SavedState;
    use crate::stratum::{Extranonce2Size, VersionMask};
    use std::net::{IpAddr, Ipv4Addr};

    /// Whether a space of so many bytes is too small for a miner.
    fn is_small(bytes: u8, mask: Option<u32>, hash_rate: f64, accepted: u64) -> bool {
        let now = NtpTime::from_timestamp(jiff::Timestamp::from_second(1_790_000_000).unwrap());
        let pulse = SessionSample {
            waits_for_work: false,
            job_silent: None,
            session: SessionId(1),
            role: Role::Direct,
            upstream: None,
            worker: "rig",
            miner: IpAddr::V4(Ipv4Addr::LOCALHOST),
            hash_rate,
            difficulty: 1.0,
            accepted,
            watched: 600.0,
            pool_silent: None,
            unanswered: 0,
            share_silent: None,
            jobs: None,
            unread: None,
            extranonce2_size: Some(Extranonce2Size::new(bytes).unwrap()),
            version_mask: mask.map(VersionMask),
            payout: None,
        };
        let clock = ClockState::Unsynchronised { since: now, reason: crate::clock::UnsyncReason::Off };
        let (mut alerts, mut rows) = (AlertBook::new(&[]), Vec::new());
        let mut tongue = AlertContext {
            alerts: &mut alerts,
            rows: &mut rows,
            upstreams: &[],
            clock: &clock,
            state: &mut SavedState::default(),
            unsaved: &mut false,
        };
        Extranonce::new(&config::RulesConfig::default()).tick(&[pulse], now, &mut tongue);
        let view = alerts.view();
        assert!(view.alerts.iter().all(|alert| alert.severity == Severity::Medium));
        view.counts.contains_key("extranonce.small")
    }

    #[test]
    fn a_space_is_small_by_how_long_it_lasts() {
        // A byte is enough for a NerdMiner, and lasts an ASIC of 1 TH/s a second.
        assert!(!is_small(1, None, 300e3, 100));
        assert!(is_small(1, None, 1e12, 100));
        // Two bytes last 100 TH/s for 2.8 s, or with sixteen version bits for two days.
        assert!(is_small(2, None, 100e12, 100));
        assert!(!is_small(2, Some(0x1fff_e000), 100e12, 100));
        // Braiins' six and public-pool's four bytes are plenty.
        assert!(!is_small(4, None, 1e15, 100));
        // Nobody knows the hash rate from three shares.
        assert!(!is_small(1, None, 1e12, 3));
    }
}
