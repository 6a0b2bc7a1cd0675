//! Good news: `block.found`, `share.near_miss`, `share.best`.

use serde_json::{Value, json};

use super::super::share::JudgedShare;
use super::{AlertContext, AlertType, seconds_between};
use crate::config::Severity;
use crate::record::{BestShare, EventRow, ShareOutcome};
use crate::work::name_of_worker;

const BLOCK: AlertType = ("block.found", Severity::Info);
const NEAR_MISS: AlertType = ("share.near_miss", Severity::Info);
const BEST: AlertType = ("share.best", Severity::Info);

/// A best share is an event of the time line if the one that it beats is at least as old.
const MIN_RECORD_AGE_SECONDS: f64 = 3600.0;

pub(in super::super) fn block(judged: &JudgedShare, context: &mut AlertContext<'_>) {
    let name = name_of_worker(&judged.share.worker);
    report(BLOCK, judged, context, |_| {
        format!("{name} found a share that meets the network's target{}", verdict_of(judged))
    });
}

pub(in super::super) fn near_miss(judged: &JudgedShare, context: &mut AlertContext<'_>) {
    let name = name_of_worker(&judged.share.worker);
    let network = judged.share.network_difficulty.unwrap_or(f64::INFINITY);
    report(NEAR_MISS, judged, context, |difficulty| {
        let percent = difficulty / network * 100.0;
        format!("{name} came close to a block: {percent:.2} % of the network difficulty")
    });
}

/// Reports the best share ever, which beats `before`.
pub(in super::super) fn best(judged: &JudgedShare, before: &BestShare, context: &mut AlertContext<'_>) {
    let Some(rebuilt) = &judged.share.rebuilt else { return };
    let (name, former) = (name_of_worker(&judged.share.worker), before.difficulty.value());
    let text = format!("{name} found the best share ever: {:.6}, after {former:.6}", rebuilt.difficulty);
    // The first hour of a new data directory brings many.
    if seconds_between(before.at, context.at) >= MIN_RECORD_AGE_SECONDS {
        let data = json!({ "difficulty": rebuilt.difficulty, "before": former });
        let event = EventRow::new(context.at, BEST, &judged.share.worker, text.clone());
        context.events.push(event.with_worker(&judged.share.worker).with_data(data));
    }
    let upstream = context.upstream(judged.upstream);
    context.report(BEST, &judged.share.worker, || {
        let mut evidence = evidence(judged, upstream);
        if let Some(fields) = evidence.as_object_mut() {
            fields.insert("former_best".to_owned(), former.into());
            fields.insert("former_best_at".to_owned(), before.at.to_string().into());
        }
        (text, evidence)
    });
}

/// The end of a sentence about a block: the pool's verdict, and nothing that is not known. An accepted block may still
/// lose a race, and Sluice may have rejected the share instead of the pool.
fn verdict_of(judged: &JudgedShare) -> String {
    match &judged.outcome {
        ShareOutcome::Accepted => String::from(
            ", and the pool accepted it. Sluice does not know whether the block is in the chain: look its hash up",
        ),
        ShareOutcome::Rejected { reason, .. } => {
            let reason = reason.as_deref().unwrap_or("no reason given");
            format!(", but it was rejected: {reason}")
        }
        ShareOutcome::Unanswered => String::from("; the pool has not answered (unanswered)"),
        ShareOutcome::Unknown => String::from("; the pool's verdict is unknown"),
    }
}

fn report(
    kind: AlertType,
    judged: &JudgedShare,
    context: &mut AlertContext<'_>,
    description: impl FnOnce(f64) -> String,
) {
    let Some(rebuilt) = &judged.share.rebuilt else { return };
    let upstream = context.upstream(judged.upstream);
    context
        .report(kind, &judged.share.worker, || (description(rebuilt.difficulty), evidence(judged, upstream)));
}

fn evidence(judged: &JudgedShare, upstream: &str) -> Value {
    let share = &judged.share;
    json!({
        "worker": share.worker,
        "hash": share.rebuilt.as_ref().map(|rebuilt| rebuilt.hash.to_string()),
        "share_difficulty": share.difficulty(),
        "network_difficulty": share.network_difficulty,
        "height": share.height.map(|height| height.0),
        "upstream": upstream,
        "session": judged.session.0,
        "outcome": judged.outcome.name(),
    })
}
