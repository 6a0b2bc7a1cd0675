//! The title of a message, and the advice to its reader: one entry for each rule.

use std::time::Duration;

use serde_json::Value;

use super::text::{defang_links, subject};
use crate::record::{AlertKind, AlertRow};
use crate::util::escape::line_text;
use crate::util::format::{count, span};
use crate::work::name_of_worker;

/// Caps the characters of a miner's name in a title.
const MAX_NAME: usize = 40;

/// The least time after which a miner that is gone may be forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(6 * 86_400);

/// The words for one rule. `{worker}` is the miner's name, `{for}` how long the state has lasted, as " for 5 minutes",
/// and `{after}` how long it had lasted when it ended, as " after 5 minutes".
struct Wording {
    id: &'static str,
    title: &'static str,
    /// The title when the state ends; empty for "Over: " and the title.
    end: &'static str,
    /// The advice; empty if the description says it, or if there is nothing to do.
    advice: &'static str,
}

const fn words(id: &'static str, title: &'static str, end: &'static str, advice: &'static str) -> Wording {
    Wording { id, title, end, advice }
}

const CHECK_OR_LEAVE: &str = "Check the address in your miners' user names. If it is right, change the pool.";
const LEAVE: &str = "Use another pool.";
const WATCH: &str = "Nothing to do unless it lasts; then use another pool.";
const UPDATE: &str = "Update the miner's firmware.";

// An end says only what is known: a state is also over when no miner is left that shows it.
const WORDINGS: &[Wording] = &[
    words(
        "payout.mismatch",
        "Your pool pays somebody else",
        "Your miners no longer work for somebody else",
        CHECK_OR_LEAVE,
    ),
    words(
        "payout.short",
        "Your pool keeps more of a block than you allow",
        "",
        "Compare with the pool's published fee.",
    ),
    words(
        "payout.changed",
        "A block would now pay somebody new",
        "",
        "Compare who was paid before and now on the page.",
    ),
    words(
        "payout.unverifiable",
        "Nobody can tell whom a block would pay",
        "",
        "Set payout.address to your own address.",
    ),
    words("payout.address_typo", "The payout address of {worker} is wrong", "", ""),
    words("job.unreadable", "Your pool sends work that can't be read", "", LEAVE),
    words(
        "chain.wrong",
        "Your miners work on another coin, not Bitcoin",
        "Your miners no longer work on another coin",
        LEAVE,
    ),
    words("chain.bad_prevhash", "Your pool builds on a block that is not real", "", LEAVE),
    words("chain.height", "Your pool's block height makes no sense", "", "Compare it with a block explorer."),
    words(
        "chain.stuck",
        "Your pool has had no new block{for}",
        "",
        "Compare with a block explorer, then use another pool.",
    ),
    words("chain.behind", "Your pool is behind the newest block", "", "Prefer another pool."),
    words("chain.empty_job", "Your pool sends empty blocks", "", ""),
    words("timing.extreme", "Your pool's work has a time that makes blocks invalid", "", LEAVE),
    words("timing.future_job", "Your pool's work is dated ahead", "", WATCH),
    words("timing.old_job", "Your pool's work is dated back", "", WATCH),
    words("timing.share_ntime", "{worker} sends shares with a wrong time", "", UPDATE),
    words(
        "timing.local_clock",
        "A clock is wrong",
        "",
        "Switch on a time service on this machine, and check ntp.servers.",
    ),
    words("timing.notify_gap", "Your pool has sent no new work{for}", "", WATCH),
    words("extranonce.changed", "Your pool changed the search space unasked", "", LEAVE),
    words("extranonce.duplicate", "Two miners search the same numbers", "", LEAVE),
    words("extranonce.small", "{worker} is too fast for the pool's search space", "", LEAVE),
    words("difficulty.mismatch", "Your pool judges shares by another difficulty than it sets", "", LEAVE),
    words(
        "difficulty.erratic",
        "Your pool's difficulty jumps up and down",
        "",
        "Ask the pool for a fixed difficulty.",
    ),
    words("share.valid_rejected", "Your pool rejects valid shares", "", LEAVE),
    words("share.unanswered", "Your pool leaves shares unanswered", "", "Check the line to the pool."),
    words("share.duplicate", "{worker} sends shares twice", "", UPDATE),
    words("share.stale", "{worker} sends shares for old work", "", ""),
    words("share.rapid", "{worker} sends far more shares than usual", "", "See whose work that is."),
    words("share.silent", "{worker} is connected and sends no shares{for}", "", "Look at the miner."),
    words("share.reject_rate", "Many shares of {worker} are rejected", "", "See the reasons on the page."),
    words(
        "pool.redirect",
        "Your pool sends miners to another host",
        "",
        "Check that host: hijackers do that.",
    ),
    words("pool.silent", "Your pool is silent", "", WATCH),
    words(
        "pool.no_work",
        "Your pool gives no work",
        "",
        "Nothing to do if there is another [[upstream]]; else add one, or ask the pool.",
    ),
    words("pool.unreachable", "Not mining: no pool can be used", "A pool can be used again{after}", ""),
    words(
        "pool.failed_over",
        "Your miners work for a spare pool",
        "No miner works for a spare pool any more{after}",
        "",
    ),
    words(
        "pool.stats_mismatch",
        "Your pool credits less work than was proven",
        "",
        "Keep the records, and ask the pool.",
    ),
    words("pool.refused", "Your pool refuses {worker}", "", "Check the miner's user name."),
    words("miner.gone", "{worker} has been offline{for}", "{worker} is back{after}", ""),
    words(
        "device.loses_work",
        "{worker} loses a part of its work",
        "{worker} proves all its work again{after}",
        "",
    ),
    words("device.stalled", "{worker} has stalled", "{worker} works again{after}", ""),
    words("device.hot", "{worker} is too hot", "{worker} has cooled down{after}", ""),
    words("device.restarted", "{worker} has restarted", "", "If it was not you, check its power supply."),
    words("device.elsewhere", "{worker} mines elsewhere", "{worker} no longer mines elsewhere{after}", ""),
    words("internal.restarted", "A part of Sluice failed and was restarted", "", ""),
    words("record.failing", "Sluice can't write its records", "Sluice writes its records again{after}", ""),
    words("block.found", "Block candidate found by {worker}", "", "Look its hash up in a block explorer."),
    words("share.near_miss", "{worker} came close to a block", "", ""),
    words("share.best", "Best share ever, found by {worker}", "", ""),
    words("test.message", "Test message from Sluice", "", ""),
];

/// The title of a message about an alert: one line, without links.
pub fn title(row: &AlertRow) -> String {
    let Some(wording) = wording(row.id) else {
        return match row.kind {
            AlertKind::Ends => format!("Over: {}", row.id),
            AlertKind::Begins | AlertKind::Happened => format!("Alert: {}", row.id),
        };
    };
    let title = match (row.kind, wording.end) {
        // A miner that was gone for so long is not back but forgotten.
        (AlertKind::Ends, _) if row.id == "miner.gone" && lasted(row) >= Some(FORGOTTEN_AFTER) => {
            format!("Over: {}", wording.title)
        }
        (AlertKind::Ends, "") => format!("Over: {}", wording.title),
        (AlertKind::Ends, end) => end.to_owned(),
        (AlertKind::Begins | AlertKind::Happened, _) => wording.title.to_owned(),
    };
    let so_far = number(row, "seconds").map(|time| format!(" for {}", in_words(time)));
    let title = title.replace("{for}", &so_far.unwrap_or_default());
    let title = title.replace(
        "{after}",
        &lasted(row).map(|time| format!(" after {}", in_words(time))).unwrap_or_default(),
    );
    // One alert about many miners has their number.
    if let Some(miners) = row.data.get("miners").and_then(Value::as_u64) {
        let miners = count(miners, "miner");
        return title
            .replace("{worker} has", &format!("{miners} have"))
            .replace("{worker} is", &format!("{miners} are"));
    }
    match worker(row) {
        Some(name) => title.replace("{worker}", &name),
        None if title.starts_with("{worker}") => title.replace("{worker}", "A miner"),
        None => title.replace("{worker}", "a miner"),
    }
}

/// The advice to the reader, if there is any.
pub fn advice(row: &AlertRow) -> Option<&'static str> {
    advice_on(row.id).filter(|_| row.kind != AlertKind::Ends)
}

/// The advice for a rule by its id, if there is any.
pub fn advice_on(rule: &str) -> Option<&'static str> {
    wording(rule).map(|wording| wording.advice).filter(|advice| !advice.is_empty())
}

/// How long the state of an alert that ends had lasted: its time before the alert, if that is known, and since then.
pub(super) fn lasted(row: &AlertRow) -> Option<Duration> {
    let since_alert = number(row, "lasted_seconds").filter(|_| row.kind == AlertKind::Ends)?;
    Some(since_alert + number(row, "seconds").unwrap_or_default())
}

fn wording(id: &str) -> Option<&'static Wording> {
    WORDINGS.iter().find(|wording| wording.id == id)
}

/// The name of the miner that an alert is about: the one that a person has given, else its own without its address.
fn worker(row: &AlertRow) -> Option<String> {
    if let Some(name) = row.data.get("shown_name").and_then(Value::as_str) {
        return Some(defang_links(&line_text(name, MAX_NAME)));
    }
    let of_worker = |row: &AlertRow| {
        let families = ["share.", "block.", "miner.", "device.", "timing.share_ntime", "payout.address_typo"];
        families.iter().any(|family| row.id.starts_with(family)).then(|| subject(row).to_owned())
    };
    let named = row.data.get("worker").and_then(Value::as_str).map(str::to_owned);
    let worker = named.or_else(|| of_worker(row)).filter(|name| !name.is_empty())?;
    Some(defang_links(&line_text(name_of_worker(&worker), MAX_NAME)))
}

fn number(row: &AlertRow, field: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(row.data.get(field)?.as_f64()?).ok()
}

/// `45 seconds`, `5 minutes`, `2 h 5 min`.
fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => count(seconds, "second"),
        seconds @ 60..3600 => count(seconds / 60, "minute"),
        _ => span(time),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::message::tests::row;
    use super::*;
    use crate::config::{RuleId, Severity};

    const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

    fn of(id: &'static str, kind: AlertKind, subject: &str, data: Value) -> AlertRow {
        let mut row = Arc::unwrap_or_clone(row(id, Severity::Medium, kind, subject));
        if let (Some(all), Value::Object(more)) = (row.data.as_object_mut(), data) {
            all.extend(more);
        }
        row
    }

    #[test]
    fn every_rule_has_its_own_words() {
        for id in RuleId::ALL {
            assert!(wording(id.as_str()).is_some(), "{id} has no title");
        }
        for wording in WORDINGS {
            let same = WORDINGS.iter().filter(|other| other.title == wording.title);
            assert_eq!(same.count(), 1, "{}", wording.title);
            for kind in [AlertKind::Begins, AlertKind::Ends, AlertKind::Happened] {
                let title = title(&of(wording.id, kind, "", json!({})));
                assert!(!title.contains(['{', '}']) && !title.ends_with('.') && title.len() < 80, "{title}");
                assert!(title.chars().next().is_some_and(char::is_uppercase), "{title}");
            }
        }
    }

    #[test]
    fn a_title_says_what_happened_to_whom() {
        let worker = format!("{ADDRESS}.bitaxe-kitchen");
        let title = |id, kind, data| title(&of(id, kind, &worker, data));
        for (id, kind, data, expected) in [
            (
                "miner.gone",
                AlertKind::Begins,
                json!({ "seconds": 300 }),
                "bitaxe-kitchen has been offline for 5 minutes",
            ),
            (
                "miner.gone",
                AlertKind::Ends,
                json!({ "seconds": 300, "lasted_seconds": 420 }),
                "bitaxe-kitchen is back after 12 minutes",
            ),
            ("miner.gone", AlertKind::Ends, json!({}), "bitaxe-kitchen is back"),
            (
                "miner.gone",
                AlertKind::Ends,
                json!({ "seconds": 300, "lasted_seconds": 604_800 }),
                "Over: bitaxe-kitchen has been offline for 5 minutes",
            ),
            ("miner.gone", AlertKind::Begins, json!({ "miners": 12 }), "12 miners have been offline"),
            (
                "miner.gone",
                AlertKind::Ends,
                json!({ "miners": 12, "lasted_seconds": 600 }),
                "12 miners are back after 10 minutes",
            ),
            (
                "pool.unreachable",
                AlertKind::Begins,
                json!({ "seconds": 30 }),
                "Not mining: no pool can be used",
            ),
            (
                "pool.unreachable",
                AlertKind::Ends,
                json!({ "seconds": 31, "lasted_seconds": 8000 }),
                "A pool can be used again after 2 h 13 min",
            ),
            (
                "pool.refused",
                AlertKind::Begins,
                json!({ "worker": worker }),
                "Your pool refuses bitaxe-kitchen",
            ),
            ("pool.refused", AlertKind::Begins, json!({ "worker": null }), "Your pool refuses a miner"),
            ("payout.mismatch", AlertKind::Begins, json!({}), "Your pool pays somebody else"),
            ("chain.stuck", AlertKind::Ends, json!({}), "Over: Your pool has had no new block"),
            ("from.the.future", AlertKind::Begins, json!({}), "Alert: from.the.future"),
        ] {
            assert_eq!(title(id, kind, data), expected);
        }
    }

    #[test]
    fn the_name_that_a_person_has_given_is_used() {
        let data = json!({ "worker": "rig-1", "shown_name": "Kitchen", "seconds": 300 });
        let title = title(&of("miner.gone", AlertKind::Begins, "rig-1", data));
        assert_eq!(title, "Kitchen has been offline for 5 minutes");
    }

    #[test]
    fn a_hostile_name_stays_one_short_line_without_links() {
        let hostile = format!("{ADDRESS}.a\r\nBcc: x@y\u{202e}https://evil.example {}", "é".repeat(500));
        let title = title(&of("miner.gone", AlertKind::Begins, &hostile, json!({ "seconds": f64::NAN })));
        assert!(title.starts_with("a\\r\\nBcc: x@y\\u{202e}hxxps://"), "{title}");
        assert!(title.chars().count() < 100 && title.ends_with(" has been offline"), "{title}");
    }

    #[test]
    fn an_end_needs_no_advice() {
        let advice = |kind| advice(&of("payout.mismatch", kind, "p", json!({})));
        assert_eq!((advice(AlertKind::Begins), advice(AlertKind::Ends)), (Some(CHECK_OR_LEAVE), None));
    }
}
