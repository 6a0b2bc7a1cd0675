//! `difficulty.*`: does the pool apply the difficulty it has set, and does it set sensible ones?

use std::collections::{BTreeMap, VecDeque};

use serde_json::json;

use super::super::share::JudgedShare;
use super::{AlertContext, AlertType, seconds_between};
use crate::analyzer::session_event::{EventKind, ProtocolEvent};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::ShareOutcome;
use crate::stratum::says_low_difficulty;
use crate::tap::SessionId;

const MISMATCH: AlertType = ("difficulty.mismatch", Severity::High);
const ERRATIC: AlertType = ("difficulty.erratic", Severity::Low);

/// The faults in a row that raise an alert. A single share may coincide with a change of the difficulty.
const MIN_FAULTS_IN_A_ROW: u32 = 3;
/// The factor by which a difficulty has to rise or fall to count as a jump.
const MIN_JUMP: f64 = 16.0;
/// The jumps in alternating directions within [`REVERSAL_SECONDS`] that raise an alert. An honest vardiff starts far
/// off and then goes one way. A vardiff that adjusts every eight shares overshoots by a factor of four now and then.
const MIN_REVERSALS: usize = 4;
const REVERSAL_SECONDS: f64 = 600.0;

#[derive(Debug, Default)]
pub(super) struct DifficultyRules {
    pub(super) sessions: BTreeMap<SessionId, SessionDifficulty>,
}

#[derive(Debug, Default)]
pub(super) struct SessionDifficulty {
    /// The shares in a row that were judged against the difficulty.
    faults: u32,
    last: Option<f64>,
    rising: Option<bool>,
    reversals: VecDeque<NtpTime>,
}

impl DifficultyRules {
    pub(super) fn share(&mut self, judged: &JudgedShare, context: &mut AlertContext<'_>) {
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
        let state = self.sessions.entry(judged.session).or_default();
        let upstream = context.upstream(judged.upstream);
        if fault.is_empty() {
            state.faults = 0;
            context.resolve(MISMATCH.0, upstream);
            return;
        }
        state.faults += 1;
        if state.faults < MIN_FAULTS_IN_A_ROW {
            return;
        }
        let count = state.faults;
        context.raise(MISMATCH, upstream, || {
            let description = format!(
                "{upstream}: {count} shares in a row were {fault} the difficulty that the pool had set"
            );
            (
                description,
                json!({
                    "hash": rebuilt.hash.to_string(),
                    "share_difficulty": rebuilt.difficulty,
                    "asked_lowest": range.lowest.value(),
                    "asked_highest": range.highest.value(),
                    "outcome": judged.outcome.name(),
                    "session": judged.session.0,
                    "worker": share.worker,
                }),
            )
        });
    }

    pub(super) fn event(&mut self, event: &ProtocolEvent, context: &mut AlertContext<'_>) {
        let EventKind::DifficultySet(difficulty) = event.kind else { return };
        let (session, at) = (event.session, context.at);
        let state = self.sessions.entry(session).or_default();
        let value = difficulty.value();
        let Some(last) = state.last.replace(value) else { return };
        let ratio = value / last;
        if (1.0 / MIN_JUMP..MIN_JUMP).contains(&ratio) {
            return;
        }
        let rises = ratio > 1.0;
        if state.rising.replace(rises).is_some_and(|before| before != rises) {
            state.reversals.push_back(at);
        }
        while state.reversals.front().is_some_and(|first| seconds_between(*first, at) > REVERSAL_SECONDS) {
            state.reversals.pop_front();
        }
        if state.reversals.len() < MIN_REVERSALS {
            return;
        }
        let count = state.reversals.len();
        state.reversals.truncate(MIN_REVERSALS);
        let upstream = context.upstream(event.upstream);
        context.raise(ERRATIC, upstream, || {
            let description =
                format!("{upstream}: the pool's difficulty jumps up and down, {count} times in ten minutes");
            (description, json!({ "session": session.0, "from": last, "to": value }))
        });
    }
}
