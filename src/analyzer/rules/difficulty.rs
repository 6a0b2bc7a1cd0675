//! `difficulty.*`: is a share held to what was asked for, and does the pool know what it asks for?

use std::collections::{BTreeMap, VecDeque};

use serde_json::json;

use super::super::share::JudgedShare;
use super::{AlertContext, seconds_between};
use crate::analyzer::session_event::ProtocolEvent;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::ShareOutcome;
use crate::stratum::says_low_difficulty;
use crate::tap::SessionId;

const MISMATCH: (&str, Severity) = ("difficulty.mismatch", Severity::High);
const ERRATIC: (&str, Severity) = ("difficulty.erratic", Severity::Low);

/// One share may meet a change that is under way; so many in a row do not.
const LEAST_SHARES: u32 = 3;
/// A difficulty that was multiplied or divided by at least this, …
const JUMP: f64 = 16.0;
/// … in the other direction than before, so often within so many seconds. An honest vardiff starts far
/// off, and then goes one way; one that goes by eight shares overshoots by a factor of four now and then.
const REVERSALS: usize = 4;
const REVERSAL_SECONDS: f64 = 600.0;

#[derive(Debug, Default)]
pub(super) struct DifficultyRules {
    sessions: BTreeMap<SessionId, SessionDifficulty>,
}

#[derive(Debug, Default)]
struct SessionDifficulty {
    /// Shares in a row that were not held to what was asked for.
    faults: u32,
    last: Option<f64>,
    rising: Option<bool>,
    reversals: VecDeque<NtpTime>,
}

impl DifficultyRules {
    pub(super) fn share(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let share = &judged.share;
        let (Some(rebuilt), Some(range)) = (&share.rebuilt, share.range) else { return };
        if share.fault.is_some() {
            return;
        }
        let fault = match &judged.outcome {
            ShareOutcome::Accepted if !rebuilt.meets(range.lowest) => "accepted below",
            ShareOutcome::Rejected { code, reason }
                if rebuilt.meets(range.highest) && says_low_difficulty(*code, reason.as_deref()) =>
            {
                "refused at or above"
            }
            ShareOutcome::Accepted | ShareOutcome::Rejected { .. } => "",
            ShareOutcome::Unanswered | ShareOutcome::Unknown => return,
        };
        let seen = self.sessions.entry(judged.session).or_default();
        let upstream = tongue.upstream(judged.upstream);
        if fault.is_empty() {
            seen.faults = 0;
            tongue.ends(MISMATCH.0, upstream, at);
            return;
        }
        seen.faults += 1;
        if seen.faults < LEAST_SHARES {
            return;
        }
        let count = seen.faults;
        tongue.lasts(MISMATCH, upstream, at, || {
            let description =
                format!("{upstream}: {count} shares in a row were {fault} the difficulty asked for");
            let evidence = json!({
                "hash": rebuilt.hash.to_string(),
                "share_difficulty": rebuilt.difficulty,
                "asked_lowest": range.lowest.value(),
                "asked_highest": range.highest.value(),
                "outcome": judged.outcome.name(),
                "session": judged.session.0,
                "worker": share.worker,
            });
            (description, evidence)
        });
    }

    pub(super) fn event(&mut self, event: &ProtocolEvent, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let ProtocolEvent::DifficultySet { session, upstream, difficulty } = event else { return };
        let seen = self.sessions.entry(*session).or_default();
        let value = difficulty.value();
        let Some(last) = seen.last.replace(value) else { return };
        let ratio = value / last;
        if (1.0 / JUMP..JUMP).contains(&ratio) {
            return;
        }
        let rises = ratio > 1.0;
        if seen.rising.replace(rises).is_some_and(|before| before != rises) {
            seen.reversals.push_back(at);
        }
        while seen.reversals.front().is_some_and(|first| seconds_between(*first, at) > REVERSAL_SECONDS) {
            seen.reversals.pop_front();
        }
        if seen.reversals.len() < REVERSALS {
            return;
        }
        let count = seen.reversals.len();
        seen.reversals.truncate(REVERSALS);
        let upstream = tongue.upstream(*upstream);
        tongue.lasts(ERRATIC, upstream, at, || {
            let description =
                format!("{upstream}: the difficulty jumps up and down, {count} times in ten minutes");
            (description, json!({ "session": session.0, "from": last, "to": value }))
        });
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }
}
