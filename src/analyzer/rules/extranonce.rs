//! `extranonce.*`: has every miner a search space, one of its own, and a large enough one?

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::json;

use super::super::SessionId;
use super::super::finding::{Event, JobSeen};
use super::super::share::JudgedShare;
use super::{Pulse, Tongue};
use crate::clock::NtpTime;
use crate::config::{self, Severity};

const CHANGED: (&str, Severity) = ("extranonce.changed", Severity::High);
const DUPLICATE: (&str, Severity) = ("extranonce.duplicate", Severity::High);
const SMALL: (&str, Severity) = ("extranonce.small", Severity::Medium);

/// A search space has to last for so many seconds: pools send a job every 30 to 60.
const LEAST_SECONDS: f64 = 60.0;
/// A hash rate is known after so many accepted shares, within a third.
const LEAST_SHARES: u64 = 10;

#[derive(Debug)]
pub(super) struct Extranonce {
    /// `rules.min_extranonce2_size`.
    least_size: Option<usize>,
    sessions: BTreeMap<SessionId, Space>,
}

/// What a session searches: with the same, two miners find the same shares.
#[derive(Debug, Clone, Copy)]
struct Space {
    upstream: Option<usize>,
    key: u64,
    /// It has sent a share since it has this space: a connection that is dead, and not known to be,
    /// gets jobs all the same.
    has_mined: bool,
}

impl Extranonce {
    pub(super) fn new(settings: &config::Rules) -> Extranonce {
        Extranonce { least_size: settings.min_extranonce2_size, sessions: BTreeMap::new() }
    }

    pub(super) fn job(&mut self, job: &JobSeen, _at: NtpTime, _tongue: &mut Tongue<'_>) {
        let mut hasher = DefaultHasher::new();
        (job.upstream, &job.space).hash(&mut hasher);
        let key = hasher.finish();
        let space = self.sessions.entry(job.session).or_insert(Space {
            upstream: job.upstream,
            key,
            has_mined: false,
        });
        if space.key != key {
            // Halves of the coinbase change with each job: who mined before a job mines on.
            let has_mined = space.has_mined && space.upstream == job.upstream;
            *space = Space { upstream: job.upstream, key, has_mined };
        }
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut Tongue<'_>) {
        let Some(own) = self.sessions.get_mut(&judged.session) else { return };
        own.has_mined = true;
        let own = *own;
        let same = |(id, other): (&SessionId, &Space)| {
            (*id != judged.session && other.key == own.key && other.has_mined).then_some(*id)
        };
        let Some(other) = self.sessions.iter().find_map(same) else { return };
        let upstream = tongue.upstream(judged.upstream);
        tongue.lasts(DUPLICATE, &upstream, at, || {
            let description = format!("{upstream}: two miners were given the same search space");
            let extranonce1 = judged.extranonce1.as_ref().map(ToString::to_string);
            let evidence = json!({ "extranonce1": extranonce1, "sessions": [judged.session.0, other.0] });
            (description, evidence)
        });
    }

    pub(super) fn event(&mut self, event: &Event, at: NtpTime, tongue: &mut Tongue<'_>) {
        let Event::ExtranonceChanged { session, upstream, from, to } = event else { return };
        let upstream = tongue.upstream(*upstream);
        tongue.happened(CHANGED, &upstream, at, || {
            let description = format!(
                "{upstream}: the extranonce1 was changed from {from} to {to} without being asked for"
            );
            (description, json!({ "session": session.0, "from": from.to_string(), "to": to.to_string() }))
        });
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    pub(super) fn tick(&mut self, sessions: &[Pulse<'_>], now: NtpTime, tongue: &mut Tongue<'_>) {
        for pulse in sessions {
            let Some(size) = pulse.extranonce2_size else { continue };
            let upstream = tongue.upstream(pulse.upstream);
            let subject = format!("{upstream} {}", pulse.worker);
            let bits = pulse.version_mask.map_or(0, |mask| mask.0.count_ones());
            let hashes = 2_f64.powi(32 + 8 * size.bytes() as i32 + bits as i32);
            let seconds = hashes / pulse.hash_rate.max(1.0);
            let is_short = pulse.accepted >= LEAST_SHARES && seconds < LEAST_SECONDS;
            let is_small = self.least_size.is_some_and(|least| size.bytes() < least);
            if !is_short && !is_small {
                tongue.ends(SMALL.0, &subject, now);
                continue;
            }
            tongue.lasts(SMALL, &subject, now, || {
                let description = match is_short {
                    true => format!("{upstream}: {} has searched through its space in {seconds:.1} s", pulse.worker),
                    false => format!("{upstream}: an extranonce2 of {size} bytes is smaller than rules.min_extranonce2_size"),
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
