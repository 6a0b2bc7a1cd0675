//! Whom a block would pay: the answer for all miners together, and the outputs at the pool with the worst payout.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::activity::{Activity, is_work_old};
use super::{Tone, pool_name, time};
use crate::analyzer::{PayoutState, PayoutVerdict, PoolView, Unverifiable};
use crate::record::ShownNames;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::util::escape::line_text;
use crate::util::format::{count, grouped};

/// Caps the miners that a sentence names, and the characters of each.
const MAX_NAMED: usize = 3;
const MAX_NAME: usize = 32;

/// The payout verdicts on the connected miners, each with the worst of its connections.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PayoutSummary<'a> {
    verified: usize,
    /// The workers whose block would pay them nothing.
    unpaid: Vec<&'a str>,
    /// The workers whose block would pay them less than it should.
    short: Vec<&'a str>,
    /// The workers whose payout is not known, and the reason: a missing address if any has none, else that of the first.
    unknown: Vec<&'a str>,
    reason: Option<Unverifiable>,
    shown_names: ShownNames,
}

impl<'a> PayoutSummary<'a> {
    pub(super) fn of(status: &'a StatusSnapshot) -> PayoutSummary<'a> {
        let miners = status.snapshot.miners.iter().filter(|miner| !miner.worker.is_empty());
        let summary = PayoutSummary::count(miners.filter_map(|miner| Some((&*miner.worker, miner.payout?))));
        PayoutSummary { shown_names: status.snapshot.shown_names.clone(), ..summary }
    }

    fn count(miners: impl Iterator<Item = (&'a str, PayoutState)>) -> PayoutSummary<'a> {
        let mut states: BTreeMap<&str, PayoutState> = BTreeMap::new();
        for (worker, state) in miners {
            states.entry(worker).and_modify(|known| *known = state.max(*known)).or_insert(state);
        }
        let mut summary = PayoutSummary::default();
        for (worker, state) in states {
            match state {
                PayoutState::Verified => summary.verified += 1,
                PayoutState::Mismatch => summary.unpaid.push(worker),
                PayoutState::Short => summary.short.push(worker),
                PayoutState::Unverifiable(why) => {
                    summary.unknown.push(worker);
                    if why == Unverifiable::NoAddress || summary.reason.is_none() {
                        summary.reason = Some(why);
                    }
                }
            }
        }
        summary
    }

    fn total(&self) -> usize {
        self.verified + self.unpaid.len() + self.short.len() + self.unknown.len()
    }

    /// Whether a block would pay every miner.
    pub(super) fn is_all_verified(&self) -> bool {
        self.verified > 0 && self.verified == self.total()
    }

    /// `4 of 5 verified`
    fn verified_of(&self) -> String {
        format!("{} of {} verified", grouped(self.verified as u64), grouped(self.total() as u64))
    }

    /// The sentence about the miners whose block would not pay them as it should, if there are any.
    pub(super) fn unpaid_title(&self) -> Option<String> {
        let (miners, what) = match (self.unpaid.as_slice(), self.short.as_slice()) {
            ([], []) => return None,
            ([], short) => (short, "would pay too little"),
            (unpaid, _) => (unpaid, "would pay somebody else"),
        };
        if miners.len() == self.total() {
            return Some(format!("A block {what}"));
        }
        Some(format!("A block of {} {what}", self.listed(miners, "or")))
    }

    /// `4 of 5 verified; noaddress is not`, if nobody is cheated.
    pub(super) fn partly_verified(&self) -> Option<String> {
        let is_part = self.unpaid_title().is_none() && self.verified > 0 && !self.unknown.is_empty();
        let verb = if self.unknown.len() == 1 { "is" } else { "are" };
        is_part.then(|| {
            format!("Payout: {}; {} {verb} not", self.verified_of(), self.listed(&self.unknown, "and"))
        })
    }

    /// `rig-1, rig-2, rig-3 and 7 more`, with `last` before the last name.
    fn listed(&self, workers: &[&str], last: &str) -> String {
        let name = |worker: &&str| line_text(self.shown_names.name_of(worker), MAX_NAME);
        let names: Vec<String> = workers.iter().take(MAX_NAMED).map(name).collect();
        match (workers.len() - names.len(), names.as_slice()) {
            (0, [one]) => one.clone(),
            (0, [first @ .., end]) => format!("{} {last} {end}", first.join(", ")),
            (more, names) => format!("{} and {} more", names.join(", "), grouped(more as u64)),
        }
    }

    /// Whether a miner has no address. Other reasons end by themselves, or are the same for all miners.
    pub(super) fn lacks_address(&self) -> bool {
        self.reason == Some(Unverifiable::NoAddress)
    }

    /// The reason why it is not certain that a block would pay the miners.
    pub(super) fn doubt(&self, status: &StatusSnapshot) -> Option<String> {
        if let Some(why) = self.reason.filter(|_| self.verified == 0 || self.lacks_address()) {
            return Some(format!("Nobody can tell whom a block would pay: {why}."));
        }
        let nothing_known = self.total() == 0 && verdicts::payout(&status.snapshot).is_none();
        nothing_known.then(|| String::from("Whom a block would pay is not known yet."))
    }
}

/// Would a block pay me? The tone, the title and the details.
pub(super) fn answer(status: &StatusSnapshot, activity: Activity) -> (Tone, String, String) {
    let pool = verdicts::payout(&status.snapshot);
    let Some(verdict) = pool.and_then(|pool| pool.payout.as_ref()) else {
        return (Tone::Neutral, String::from("Whom a block would pay"), String::from("no job received yet"));
    };
    if !activity.has_job() {
        return past_answer(verdict);
    }
    let summary = PayoutSummary::of(status);
    if summary.total() > 1 {
        if let Some(title) = summary.unpaid_title() {
            return (Tone::Bad, title, summary.verified_of());
        }
        if let Some(title) = summary.partly_verified() {
            let why = summary.reason.map(|why| why.to_string()).unwrap_or_default();
            let tone = if summary.lacks_address() { Tone::Warn } else { Tone::Neutral };
            return (tone, title, why);
        }
    }
    let address = shortened(verdict.expected.as_ref().map_or("", |expected| &expected.address));
    let percent = format!("{:.2}\u{a0}%", verdict.percent);
    match verdict.state {
        PayoutState::Verified => {
            let miners = summary.verified as u64;
            let detail =
                if miners > 1 { format!("{address}, {} verified", count(miners, "miner")) } else { address };
            (Tone::Good, format!("A block would pay you {percent}"), detail)
        }
        PayoutState::Short => {
            let detail = verdict.waste().map_or(address, |waste| waste.to_string());
            (Tone::Bad, format!("A block would pay you only {percent}"), detail)
        }
        PayoutState::Mismatch => {
            (Tone::Bad, String::from("A block would pay you nothing"), format!("no output pays {address}"))
        }
        PayoutState::Unverifiable(why) => {
            (Tone::Neutral, String::from("Unknown whom a block would pay"), why.to_string())
        }
    }
}

/// The answer when nobody works on a block: it is about the last job.
fn past_answer(verdict: &PayoutVerdict) -> (Tone, String, String) {
    let title = String::from("No block is worked on now");
    let percent = format!("{:.2}\u{a0}%", verdict.percent);
    let (tone, detail) = match verdict.state {
        PayoutState::Verified => (Tone::Neutral, format!("the last job would have paid you {percent}")),
        PayoutState::Short => (Tone::Warn, format!("the last job would have paid you only {percent}")),
        PayoutState::Mismatch => (Tone::Warn, String::from("the last job would have paid you nothing")),
        PayoutState::Unverifiable(_) => {
            (Tone::Neutral, String::from("it is not known whom a block would pay"))
        }
    };
    (tone, title, detail)
}

/// Shortens an address to fit a phone. The outputs show the full address.
fn shortened(address: &str) -> String {
    let characters: Vec<char> = address.chars().collect();
    if characters.len() <= 20 {
        return address.to_owned();
    }
    let (start, end) = (&characters[..10], &characters[characters.len() - 8..]);
    format!("{}…{}", start.iter().collect::<String>(), end.iter().collect::<String>())
}

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let Some(pool) = verdicts::payout(&status.snapshot) else { return html! {} };
    let Some(verdict) = &pool.payout else { return html! {} };
    let activity = Activity::of(status);
    let is_now = activity == Activity::Working && !is_work_old(pool);
    let bad = if activity.has_job() { Tone::Bad } else { Tone::Warn };
    let (tone, text) = match verdict.state {
        PayoutState::Verified if is_now => (Tone::Good, String::from("verified")),
        PayoutState::Verified => (Tone::Neutral, String::from("by the last job")),
        PayoutState::Short => (bad, String::from("too little is yours")),
        PayoutState::Mismatch => (bad, String::from("not yours")),
        PayoutState::Unverifiable(why) => (Tone::Neutral, why.to_string()),
    };
    let is_doubtful = matches!(verdict.state, PayoutState::Unverifiable(Unverifiable::Doubt(_)));
    let came = pool.job.as_ref().map(|job| job.at);
    html! {
        section.payout #payout data-live {
            h2 { "What a block would pay " span class=(tone.class()) { (text) } }
            @if is_doubtful {
                p.quiet { "unknown what the newest job of " (pool_name(status, pool)) " would pay" }
            } @else {
                @if pool.outputs.is_empty() { p.quiet { "the coinbase can't be read" } } @else { (outputs(pool, is_now)) }
                @if let Some(waste) = verdict.waste() { p { (waste) ": no output claims it" } }
                p.quiet {
                    (verdict.total) " in all, by the newest job of " (pool_name(status, pool))
                    @if let Some(came) = came { ", " (time::moment(status, came)) }
                }
            }
        }
    }
}

fn outputs(pool: &PoolView, is_now: bool) -> Markup {
    html! {
        ol.outputs.past[!is_now] {
            @for output in pool.outputs.iter() {
                li.mine[output.is_expected] {
                    span.percent { (format!("{:.2} %", output.percent)) }
                    span.address { (output.address.as_deref().unwrap_or(output.kind)) }
                    span.amount { (output.value) @if output.is_expected { " · yours" } }
                    // The length comes from an attribute, since the policy allows no inline style.
                    progress max="100" value=(format!("{:.2}", output.percent)) aria-hidden="true" {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::page::tests::{change, miner, mining};

    const UNKNOWN: PayoutState = PayoutState::Unverifiable(Unverifiable::NoAddress);

    fn summary<'a>(miners: &[(&'a str, PayoutState)]) -> PayoutSummary<'a> {
        PayoutSummary::count(miners.iter().copied())
    }

    #[test]
    fn miners_that_differ_are_named() {
        let good = ["a", "b", "c", "d"].map(|name| (name, PayoutState::Verified));
        let with = |more: &[(&'static str, PayoutState)]| [&good[..], more].concat();
        let miners = with(&[("noaddress", UNKNOWN)]);
        let found = summary(&miners);
        assert_eq!(found.partly_verified().unwrap(), "Payout: 4 of 5 verified; noaddress is not");
        assert_eq!(found.unpaid_title(), None);
        let miners = with(&[("e", UNKNOWN), ("f", UNKNOWN), ("g", UNKNOWN), ("h", UNKNOWN), ("i", UNKNOWN)]);
        let text = summary(&miners).partly_verified().unwrap();
        assert_eq!(text, "Payout: 4 of 9 verified; e, f, g and 2 more are not");
    }

    #[test]
    fn a_miner_has_the_name_that_a_person_gave_it() {
        let mut now = mining();
        change(&mut now, |snapshot| {
            snapshot.shown_names.set("garage", "Kitchen");
            snapshot.miners.push(miner(2, "garage"));
            snapshot.miners[1].payout = Some(PayoutState::Mismatch);
        });
        let title = PayoutSummary::of(&now).unpaid_title();
        assert_eq!(title.unwrap(), "A block of Kitchen would pay somebody else");
    }

    #[test]
    fn being_cheated_is_worse_than_not_knowing() {
        let miners = [("a", PayoutState::Verified), ("b", UNKNOWN), ("c", PayoutState::Mismatch)];
        let found = summary(&miners);
        assert_eq!(found.unpaid_title().unwrap(), "A block of c would pay somebody else");
        assert_eq!(found.partly_verified(), None);
        assert_eq!(found.verified_of(), "1 of 3 verified");
        let miners = [("a", PayoutState::Short), ("b", PayoutState::Short)];
        assert_eq!(summary(&miners).unpaid_title().unwrap(), "A block would pay too little");
        let miners = [("a", PayoutState::Short), ("b", PayoutState::Mismatch), ("c", PayoutState::Mismatch)];
        assert_eq!(summary(&miners).unpaid_title().unwrap(), "A block of b or c would pay somebody else");
    }

    #[test]
    fn the_verdict_on_a_pool_that_was_left_is_of_the_past() {
        let mut now = mining();
        let answer_of = |now: &StatusSnapshot| answer(now, Activity::of(now));
        change(&mut now, |snapshot| {
            snapshot.pools[0].payout.as_mut().unwrap().state = PayoutState::Mismatch;
        });
        assert_eq!(answer_of(&now).0, Tone::Bad);
        change(&mut now, |snapshot| {
            snapshot.pools[0].miners = 0;
            snapshot.pools.push(PoolView { place: 1, miners: 1, ..PoolView::default() });
            snapshot.miners[0].payout = None;
        });
        assert_eq!(Activity::of(&now), Activity::NoWork);
        let past = "the last job would have paid you nothing";
        assert_eq!(answer_of(&now), (Tone::Warn, "No block is worked on now".into(), past.into()));
    }

    #[test]
    fn the_worst_of_a_workers_connections_counts() {
        let found = summary(&[("a", PayoutState::Mismatch), ("a", PayoutState::Verified)]);
        assert_eq!((found.verified, found.total()), (0, 1));
        assert_eq!(summary(&[]).unpaid_title(), None);
        assert_eq!(summary(&[("a", UNKNOWN)]).partly_verified(), None, "nobody is verified");
    }
}
