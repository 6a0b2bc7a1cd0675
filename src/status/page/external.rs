//! The pool's own statistics and the recipients of notifications, if they are configured.

use maud::{Markup, html};

use super::{Tone, list_item};
use crate::analyzer::CreditView;
use crate::notify::RecipientHealth;
use crate::pool_stats::{CreditVerdict, StatsHealth};
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{count, rate, short};

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let runtime = &status.runtime;
    html! {
        @if let Some(health) = &runtime.pool_stats {
            section.pool-stats.pools #pool-stats data-live {
                h2 { "Pool statistics" }
                ol { (pool_stats(health, status.snapshot.credit.as_ref())) }
            }
        }
        @if !runtime.recipients.is_empty() {
            section.notifications.pools #notifications data-live {
                h2 { "Notifications" }
                ol { @for health in &runtime.recipients { (recipient(health)) } }
            }
        }
    }
}

fn pool_stats(health: &StatsHealth, credit: Option<&CreditView>) -> Markup {
    // public-pool publishes neither a total nor the window of its hash rate.
    let is_comparable = credit.is_some_and(|credit| {
        let figures = &credit.figures;
        let window = figures.hash_rate.and_then(|rate| rate.window);
        figures.accepted_difficulty_total.is_some() || window.is_some()
    });
    let credits_less;
    let (tone, text) = match (&health.last_error, credit.map(|credit| credit.verdict)) {
        (_, Some(CreditVerdict::CreditsLess { credited, proven, .. })) => {
            credits_less = format!("the pool credits {} of {} proven", short(credited), short(proven));
            (Tone::Bad, credits_less.as_str())
        }
        (Some(_), _) => (Tone::Warn, "unavailable"),
        (None, Some(CreditVerdict::Agrees)) => (Tone::Good, "the pool credits all proven work"),
        (None, Some(_)) if is_comparable => (Tone::Neutral, "too little proven work yet to compare"),
        (None, Some(_)) => (Tone::Neutral, "can't be compared with the proven work"),
        (None, None) => (Tone::Neutral, "no answer yet"),
    };
    let details = html! {
        span { (text) }
        @if let Some(why) = &health.last_error { span { (why) } }
        @if let Some(figures) = credit.and_then(|credit| credit.figures.hash_rate) {
            span { (rate(figures.per_second)) " by the pool's count" }
        }
    };
    list_item(tone, "Credited work", details)
}

fn recipient(health: &RecipientHealth) -> Markup {
    let tone = match (&health.last_error, health.sent) {
        (Some(_), _) => Tone::Bad,
        // Nobody knows yet whether messages arrive.
        (None, 0) => Tone::Neutral,
        (None, _) => Tone::Good,
    };
    let details = html! {
        span {
            (count(health.sent, "message")) " sent"
            @if health.failed > 0 { ", " (health.failed) " failed" }
            @if health.held_back > 0 { ", " (count(health.held_back, "alert")) " without a message of their own" }
        }
        @if let Some(why) = &health.last_error { span { (why) } }
    };
    list_item(tone, &health.name, details)
}
