//! What is asked and told outside: the pool's own figures, and who is told of alerts. Nothing when
//! neither is configured.

use maud::{Markup, html};

use super::Tone;
use crate::analyzer::CreditView;
use crate::notify::RecipientHealth;
use crate::pool_stats::{CreditVerdict, StatsHealth};
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{count, rate, short};

pub(super) fn section(sight: &StatusSnapshot) -> Markup {
    let around = &sight.around;
    html! {
        @if around.pool_stats.is_some() || !around.recipients.is_empty() {
            section.pools #outside data-live {
                h2 { "Asked and told" }
                ol {
                    @if let Some(health) = &around.pool_stats {
                        (pool_stats(health, sight.snapshot.credit.as_ref()))
                    }
                    @for health in &around.recipients { (recipient(health)) }
                }
            }
        }
    }
}

fn pool_stats(health: &StatsHealth, credit: Option<&CreditView>) -> Markup {
    // public-pool publishes neither a total nor the time that its hash rate is over.
    let is_comparable = credit.is_some_and(|credit| {
        let figures = &credit.figures;
        let window = figures.hash_rate.and_then(|rate| rate.window);
        figures.accepted_difficulty_total.is_some() || window.is_some()
    });
    let (tone, words) = match (&health.last_error, credit.map(|credit| credit.verdict)) {
        (_, Some(CreditVerdict::CreditsLess { credited, proven, .. })) => {
            let (credited, proven) = (short(credited), short(proven));
            (Tone::Bad, format!("credit {credited} of the {proven} that was proven"))
        }
        (None, Some(CreditVerdict::Agrees)) => (Tone::Good, "credit what was proven".to_owned()),
        (None, Some(CreditVerdict::Unknown)) if is_comparable => {
            (Tone::Calm, "too little was proven so far to compare".to_owned())
        }
        (None, Some(CreditVerdict::Unknown)) => {
            (Tone::Calm, "can't be compared with what was proven".to_owned())
        }
        (None, None) => (Tone::Calm, "no answer yet".to_owned()),
        (Some(_), _) => (Tone::Warn, "can't be had".to_owned()),
    };
    html! {
        li class=(tone.class()) {
            span.sign aria-hidden="true" { (tone.sign()) }
            div {
                strong { "The pool's figures" }
                span { (words) }
                @if let Some(why) = &health.last_error { span { (why) } }
                @if let Some(figures) = credit.and_then(|credit| credit.figures.hash_rate) {
                    span { (rate(figures.per_second)) " by its count" }
                }
            }
        }
    }
}

fn recipient(health: &RecipientHealth) -> Markup {
    let tone = if health.last_error.is_some() { Tone::Bad } else { Tone::Good };
    html! {
        li class=(tone.class()) {
            span.sign aria-hidden="true" { (tone.sign()) }
            div {
                strong { (health.name) }
                span {
                    (count(health.sent, "message")) " sent"
                    @if health.failed > 0 { ", " (health.failed) " given up" }
                    @if health.held_back > 0 { ", " (count(health.held_back, "alert")) " summed up" }
                }
                @if let Some(why) = &health.last_error { span { (why) } }
            }
        }
    }
}
