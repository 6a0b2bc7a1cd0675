//! `share.rapid`, `share.silent`: does a miner send as many shares as its hash rate gives?

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;

use super::super::share::JudgedShare;
use super::poisson::{FALSE_ALARM_CHANCE, longest_gap, poisson_at_least};
use super::{AlertContext, AlertType, SessionSample, seconds_between};
use crate::clock::NtpTime;
use crate::config::{self, Severity};
use crate::tap::SessionId;
use crate::util::format::span;
use crate::work::HASHES_PER_DIFFICULTY;

const RAPID: AlertType = ("share.rapid", Severity::Low);
const SILENT: AlertType = ("share.silent", Severity::Low);

/// The time over which shares are counted.
const WINDOW_SECONDS: f64 = 60.0;
/// Caps the shares that are counted for a fast miner.
const MAX_WINDOW_SHARES: usize = 256;
/// The time and the accepted shares from which the hash rate is known to a seventh. Before that, no share rate is
/// compared with it.
const MIN_WATCHED_SECONDS: f64 = 1800.0;
const MIN_KNOWN_SHARES: u64 = 50;
/// The half-life of the usual hash rate. A miner that was paused is compared with its rate before the pause.
const RATE_HALF_LIFE_SECONDS: f64 = 86_400.0;
/// The minimum silence of a miner, and the minimum of accepted shares before it, for an alert. Miners restart within
/// this time.
const MIN_SILENCE_SECONDS: f64 = 600.0;
const MIN_ACCEPTED: u64 = 10;

#[derive(Debug)]
pub(super) struct ShareRateRules {
    /// `rules.rapid_share`
    min_gap: Option<Duration>,
    pub(super) sessions: BTreeMap<SessionId, ShareTiming>,
}

#[derive(Debug, Default)]
pub(super) struct ShareTiming {
    /// When the shares of this difficulty came, the newest first. The last one may be older than the window, as the
    /// start of a burst that was delayed on the way.
    shares: VecDeque<NtpTime>,
    difficulty: f64,
    /// The highest recent hash rate, decaying, and its time.
    usual: f64,
    usual_at: Option<NtpTime>,
    /// The hash rate when the miner last sent a share.
    rate: f64,
}

impl ShareRateRules {
    pub(super) fn new(settings: &config::RulesConfig) -> ShareRateRules {
        ShareRateRules { min_gap: settings.rapid_share, sessions: BTreeMap::new() }
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, context: &mut AlertContext<'_>) {
        let Some(proven) = judged.share.proven() else { return };
        let seen = self.sessions.entry(judged.session).or_default();
        let last = seen.shares.front().copied();
        if seen.difficulty != proven.value() {
            // Counts at two difficulties cannot be added.
            seen.difficulty = proven.value();
            seen.shares.clear();
        }
        seen.shares.truncate(MAX_WINDOW_SHARES - 1);
        let at = context.at;
        seen.shares.push_front(at);
        // The rule of the original program, if `rules.rapid_share` is set.
        let (Some(least), Some(last)) = (self.min_gap, last) else { return };
        let gap = seconds_between(last, at);
        if (0.0..least.as_secs_f64()).contains(&gap) {
            let worker = &judged.share.worker;
            context.raise(RAPID, worker, || {
                let description = format!("{worker}: the miner sent two shares within {:.1} ms", gap * 1e3);
                (description, json!({ "gap_seconds": gap, "session": judged.session.0 }))
            });
        }
    }

    pub(super) fn tick(&mut self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        // Computed once, and only if a miner is silent. Then all of them may be.
        let mut newest = None;
        for sample in sessions {
            let Some(seen) = self.sessions.get_mut(&sample.session) else { continue };
            if self.min_gap.is_none() {
                seen.check_rapid(sample, context);
            }
            match seen.missing_shares(sample) {
                Some(expected) => {
                    let newest = newest.get_or_insert_with(|| newest_sessions(sessions));
                    if newest.get(&(sample.miner, sample.worker)) == Some(&sample.session) {
                        silent(sample, expected, context);
                    }
                }
                None => context.resolve(SILENT.0, sample.worker),
            }
        }
    }
}

impl ShareTiming {
    /// Checks for far more shares in a minute than the hash rate gives.
    fn check_rapid(&mut self, sample: &SessionSample<'_>, context: &mut AlertContext<'_>) {
        let now = context.at;
        let is_older = |at: &NtpTime| seconds_between(*at, now) > WINDOW_SECONDS;
        while self.shares.len() > 1 && self.shares.get(self.shares.len() - 2).is_some_and(is_older) {
            self.shares.pop_back();
        }
        if sample.watched < MIN_WATCHED_SECONDS || sample.accepted < MIN_KNOWN_SHARES {
            return;
        }
        let passed = self.usual_at.replace(now).map_or(0.0, |at| seconds_between(at, now).max(0.0));
        self.usual = sample.hash_rate.max(self.usual * 0.5_f64.powf(passed / RATE_HALF_LIFE_SECONDS));
        let Some(oldest) = self.shares.back() else { return };
        let span = seconds_between(*oldest, now);
        // The window begins with the oldest share, which does not count. With a new difficulty it begins at once.
        let (count, span) = match self.shares.len() {
            MAX_WINDOW_SHARES => (MAX_WINDOW_SHARES as f64 - 1.0, span),
            length if span > WINDOW_SECONDS => (length as f64 - 1.0, span),
            length => (length as f64, WINDOW_SECONDS),
        };
        let expected = self.usual * span / HASHES_PER_DIFFICULTY / self.difficulty;
        let worker = sample.worker;
        if poisson_at_least(count, expected) >= FALSE_ALARM_CHANCE {
            // Between the two limits the alert would begin and end again and again.
            if count <= expected {
                context.resolve(RAPID.0, worker);
            }
            return;
        }
        context.raise(RAPID, worker, || {
            let description = format!(
                "{worker}: the miner sent {count:.0} shares in {span:.0} s, where {expected:.1} are expected"
            );
            (
                description,
                json!({
                    "shares": count, "seconds": span, "expected": expected,
                    "difficulty": self.difficulty, "hash_rate": self.usual, "session": sample.session.0,
                }),
            )
        });
    }

    /// The shares that the miner should have sent, if it has sent none for far longer than chance explains.
    fn missing_shares(&mut self, sample: &SessionSample<'_>) -> Option<f64> {
        let silence = sample.share_silent?;
        if silence < WINDOW_SECONDS || self.rate == 0.0 {
            self.rate = sample.hash_rate;
        }
        if silence < MIN_SILENCE_SECONDS || sample.accepted < MIN_ACCEPTED {
            return None;
        }
        let per_second = self.rate / HASHES_PER_DIFFICULTY / sample.difficulty.max(f64::MIN_POSITIVE);
        let watched = sample.watched.min(3600.0);
        // The last share is left out, because it is the one that set the rate.
        let known_from = per_second * watched - 1.0;
        (silence > longest_gap(known_from, watched)).then_some(silence * per_second)
    }
}

/// The newest session of each miner. After a miner reconnects, its old sessions may be dead.
fn newest_sessions<'a>(sessions: &[SessionSample<'a>]) -> HashMap<(IpAddr, &'a str), SessionId> {
    let mut newest = HashMap::with_capacity(sessions.len());
    for sample in sessions {
        let session = newest.entry((sample.miner, sample.worker)).or_insert(sample.session);
        *session = sample.session.max(*session);
    }
    newest
}

fn silent(sample: &SessionSample<'_>, expected: f64, context: &mut AlertContext<'_>) {
    let (worker, silence) = (sample.worker, sample.share_silent.unwrap_or_default());
    context.raise(SILENT, worker, || {
        let description = format!(
            "{worker}: the miner is connected and has sent no share for {}",
            span(Duration::from_secs_f64(silence))
        );
        (description, json!({ "seconds": silence, "expected_shares": expected, "session": sample.session.0 }))
    });
}
