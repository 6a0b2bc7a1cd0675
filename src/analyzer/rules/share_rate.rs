//! `share.rapid`, `share.silent`: does a miner send as many shares as its hash rate gives?

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;

use super::super::share::JudgedShare;
use super::poisson::{CHANCE, longest_gap, poisson_at_least};
use super::{AlertContext, SessionSample, seconds_between};
use crate::clock::NtpTime;
use crate::config::{self, Severity};
use crate::tap::SessionId;
use crate::util::span::span;
use crate::work::HASHES_PER_DIFFICULTY;

const RAPID: (&str, Severity) = ("share.rapid", Severity::Low);
const SILENT: (&str, Severity) = ("share.silent", Severity::Low);

/// The shares of so many seconds are counted, …
const WINDOW_SECONDS: f64 = 60.0;
/// … of a faster miner the newest so many, …
const MOST_WINDOW: usize = 256;
/// … and compared with the hash rate of at least so many seconds, known from at least so many shares:
/// then its own error is a seventh.
const LEAST_WATCHED: f64 = 1800.0;
const LEAST_KNOWN: u64 = 50;
/// A miner that was paused is compared with what it had done before: half of that is forgotten in a day.
const HALVED_SECONDS: f64 = 86_400.0;
/// No miner is called silent sooner, in seconds, nor before so many shares were accepted. It is no
/// matter of chance: miners restart within this time.
const LEAST_SILENCE: f64 = 600.0;
const LEAST_ACCEPTED: u64 = 10;

#[derive(Debug)]
pub(super) struct Tempo {
    /// `rules.rapid_share`
    least_gap: Option<Duration>,
    sessions: BTreeMap<SessionId, ShareTiming>,
}

#[derive(Debug, Default)]
struct ShareTiming {
    /// When shares of this difficulty came, the newest first. The last one may be older than the window:
    /// what was held up on the way and comes at once began after it.
    shares: VecDeque<NtpTime>,
    difficulty: f64,
    /// The highest hash rate lately, and as of when.
    usual: f64,
    usual_at: Option<NtpTime>,
    /// Hashes per second when it last sent a share.
    rate: f64,
}

impl Tempo {
    pub(super) fn new(settings: &config::RulesConfig) -> Tempo {
        Tempo { least_gap: settings.rapid_share, sessions: BTreeMap::new() }
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let Some(proven) = judged.share.proven() else { return };
        let seen = self.sessions.entry(judged.session).or_default();
        let last = seen.shares.front().copied();
        if seen.difficulty != proven.value() {
            // Counts at two difficulties can't be added.
            seen.difficulty = proven.value();
            seen.shares.clear();
        }
        seen.shares.truncate(MOST_WINDOW - 1);
        seen.shares.push_front(at);
        // The original program's rule, where it is asked for.
        let (Some(least), Some(last)) = (self.least_gap, last) else { return };
        let gap = seconds_between(last, at);
        if (0.0..least.as_secs_f64()).contains(&gap) {
            let worker = &judged.share.worker;
            tongue.lasts(RAPID, worker, at, || {
                let description = format!("{worker}: two shares within {:.1} ms", gap * 1e3);
                (description, json!({ "gap_seconds": gap, "session": judged.session.0 }))
            });
        }
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    pub(super) fn tick(
        &mut self,
        sessions: &[SessionSample<'_>],
        now: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        let is_silent_open = tongue.is_open(SILENT.0);
        // Looked up only when somebody is silent: then it may be everybody.
        let mut newest = None;
        for pulse in sessions {
            let Some(seen) = self.sessions.get_mut(&pulse.session) else { continue };
            if self.least_gap.is_none() {
                seen.rapid(pulse, now, tongue);
            }
            match seen.silent(pulse) {
                Some(expected) => {
                    let newest = newest.get_or_insert_with(|| newest_sessions(sessions));
                    if newest.get(&(pulse.miner, pulse.worker)) == Some(&pulse.session) {
                        silent(pulse, expected, now, tongue);
                    }
                }
                None if is_silent_open => tongue.ends(SILENT.0, pulse.worker, now),
                None => {}
            }
        }
    }
}

impl ShareTiming {
    /// Far more shares in a minute than the hash rate gives.
    fn rapid(&mut self, pulse: &SessionSample<'_>, now: NtpTime, tongue: &mut AlertContext<'_>) {
        let is_older = |at: &NtpTime| seconds_between(*at, now) > WINDOW_SECONDS;
        while self.shares.len() > 1 && self.shares.get(self.shares.len() - 2).is_some_and(is_older) {
            self.shares.pop_back();
        }
        if pulse.watched < LEAST_WATCHED || pulse.accepted < LEAST_KNOWN {
            return;
        }
        let passed = self.usual_at.replace(now).map_or(0.0, |at| seconds_between(at, now).max(0.0));
        self.usual = pulse.hash_rate.max(self.usual * 0.5_f64.powf(passed / HALVED_SECONDS));
        let Some(oldest) = self.shares.back() else { return };
        let span = seconds_between(*oldest, now);
        // From the oldest one on, which does not count itself; at once with a new difficulty.
        let (count, span) = match self.shares.len() {
            MOST_WINDOW => (MOST_WINDOW as f64 - 1.0, span),
            length if span > WINDOW_SECONDS => (length as f64 - 1.0, span),
            length => (length as f64, WINDOW_SECONDS),
        };
        let expected = self.usual * span / HASHES_PER_DIFFICULTY / self.difficulty;
        let worker = pulse.worker;
        if poisson_at_least(count, expected) >= CHANCE {
            // Between the two it would begin and end time and again.
            if count <= expected && tongue.is_open(RAPID.0) {
                tongue.ends(RAPID.0, worker, now);
            }
            return;
        }
        tongue.persists(RAPID, worker, now, || {
            let description =
                format!("{worker}: {count:.0} shares in {span:.0} s, where {expected:.1} are expected");
            let evidence = json!({
                "shares": count, "seconds": span, "expected": expected,
                "difficulty": self.difficulty, "hash_rate": self.usual, "session": pulse.session.0,
            });
            (description, evidence)
        });
    }

    /// How many shares it should have sent, when it sent none for far longer than chance explains.
    fn silent(&mut self, pulse: &SessionSample<'_>) -> Option<f64> {
        let silence = pulse.share_silent?;
        if silence < WINDOW_SECONDS || self.rate == 0.0 {
            self.rate = pulse.hash_rate;
        }
        if silence < LEAST_SILENCE || pulse.accepted < LEAST_ACCEPTED {
            return None;
        }
        let per_second = self.rate / HASHES_PER_DIFFICULTY / pulse.difficulty.max(f64::MIN_POSITIVE);
        let watched = pulse.watched.min(3600.0);
        // The last one is why the rate was looked at.
        let known_from = per_second * watched - 1.0;
        (silence > longest_gap(known_from, watched)).then_some(silence * per_second)
    }
}

/// Each miner's newest connection: when it has come back, nobody knows yet that the others are dead.
fn newest_sessions<'a>(sessions: &[SessionSample<'a>]) -> HashMap<(IpAddr, &'a str), SessionId> {
    let mut newest = HashMap::with_capacity(sessions.len());
    for pulse in sessions {
        let session = newest.entry((pulse.miner, pulse.worker)).or_insert(pulse.session);
        *session = pulse.session.max(*session);
    }
    newest
}

fn silent(pulse: &SessionSample<'_>, expected: f64, now: NtpTime, tongue: &mut AlertContext<'_>) {
    let (worker, silence) = (pulse.worker, pulse.share_silent.unwrap_or_default());
    tongue.persists(SILENT, worker, now, || {
        let description =
            format!("{worker}: connected, and no share for {}", span(Duration::from_secs_f64(silence)));
        let evidence = json!({ "seconds": silence, "expected_shares": expected, "session": pulse.session.0 });
        (description, evidence)
    });
}
