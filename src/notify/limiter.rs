//! The rate limit of a recipient's messages. Pure: callers pass the time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::health::AlertCounts;
use super::message::{Message, is_outage};
use super::pace::SendPacing;
use super::text::subject;
use crate::config::Severity;
use crate::record::{AlertKind, AlertRow};
use crate::util::token_bucket::TokenBucket;

/// Outages of one subject that are told in an hour, each with its end; further ones wait.
const OUTAGES_TOLD: u32 = 3;

/// Caps the subjects remembered to suppress repeated messages.
const MAX_REMEMBERED: usize = 256;

/// A token bucket, the deferred alerts, and the recently sent ones. Bounded.
#[derive(Debug)]
pub(super) struct NotifyLimiter {
    bucket: TokenBucket,
    repeat_interval: Duration,
    /// The most important deferred alert, sent when there is a token.
    deferred: Option<Arc<AlertRow>>,
    /// Counts of the other alerts deferred since the last message.
    others: AlertCounts,
    /// Recently sent alerts, the oldest first.
    sent: VecDeque<SentAlert>,
}

/// An alert that is not repeated before `until`.
#[derive(Debug)]
struct SentAlert {
    id: &'static str,
    subject: String,
    severity: Severity,
    kind: AlertKind,
    until: Instant,
    /// Outages told since the first.
    outages: u32,
    /// The newest repetition, and the number of repetitions.
    repeated: Option<(Arc<AlertRow>, u64)>,
}

impl NotifyLimiter {
    pub fn new(pace: &SendPacing, now: Instant) -> NotifyLimiter {
        let per_second = 1.0 / pace.interval.as_secs_f64().max(1e-9);
        NotifyLimiter {
            bucket: TokenBucket::new(pace.burst.into(), per_second, now),
            repeat_interval: pace.repeat_interval,
            deferred: None,
            others: AlertCounts::new(),
            sent: VecDeque::new(),
        }
    }

    /// Returns the message to send at once, or defers the alert. A repetition about the same subject waits until
    /// its hour is over, unless it is the first end of a state whose begin was sent, or the next outage, or it has become
    /// more severe.
    pub fn take(&mut self, row: Arc<AlertRow>, now: Instant) -> Option<Message> {
        self.sent.retain(|sent| sent.until > now || sent.repeated.is_some());
        let is_same = |sent: &&mut SentAlert| sent.id == row.id && sent.subject == subject(&row);
        if let Some(sent) = self.sent.iter_mut().find(is_same) {
            let (has_ended, ends) = (sent.kind == AlertKind::Ends, row.kind == AlertKind::Ends);
            let is_next_outage = has_ended && !ends && is_outage(row.id) && sent.outages < OUTAGES_TOLD;
            let is_news = sent.repeated.is_none() && (!has_ended && ends || is_next_outage);
            if !is_news && row.severity <= sent.severity {
                let count = sent.repeated.as_ref().map_or(0, |(_, count)| *count);
                sent.repeated = Some((row, count + 1));
                return None;
            }
            (sent.kind, sent.severity) = (row.kind, row.severity);
            sent.outages += u32::from(is_next_outage);
        } else {
            self.remember(&row, now);
        }
        if self.bucket.try_take(now) {
            return Some(self.message(row, 1));
        }
        self.defer(row);
        None
    }

    /// The next deferred message that may be sent now.
    pub fn due(&mut self, now: Instant) -> Option<Message> {
        let repeated = self.sent.iter_mut().find(|sent| sent.until <= now && sent.repeated.is_some());
        if (self.deferred.is_none() && repeated.is_none()) || !self.bucket.try_take(now) {
            return None;
        }
        if let Some(row) = self.deferred.take() {
            return Some(self.message(row, 1));
        }
        let sent = repeated?;
        let (row, count) = sent.repeated.take()?;
        (sent.kind, sent.until, sent.outages) = (row.kind, now + self.repeat_interval, 1);
        Some(self.message(row, count))
    }

    /// When [`NotifyLimiter::due`] has a message, if no alert arrives before.
    pub fn next_due(&self) -> Option<Instant> {
        let token = self.bucket.next_token();
        let repeated = self.sent.iter().filter(|sent| sent.repeated.is_some());
        self.deferred.iter().map(|_| token).chain(repeated.map(|sent| sent.until.max(token))).min()
    }

    /// Adds counts to the summary in the next message.
    pub fn add_to_summary(&mut self, counts: AlertCounts) {
        for (id, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            *self.others.entry(id).or_default() += count;
        }
    }

    /// Number of alerts that were never sent.
    pub fn unsent(&self) -> u64 {
        let repeated = self.sent.iter().filter_map(|sent| sent.repeated.as_ref()).map(|(_, count)| count);
        u64::from(self.deferred.is_some()) + self.others.values().chain(repeated).sum::<u64>()
    }

    fn message(&mut self, row: Arc<AlertRow>, count: u64) -> Message {
        Message::about(row, count, std::mem::take(&mut self.others))
    }

    /// Defers the more important of two alerts, or the newer of equal ones; the other is only counted.
    fn defer(&mut self, row: Arc<AlertRow>) {
        let rank = |row: &AlertRow| (row.id == "block.found", row.severity, row.kind != AlertKind::Ends);
        let counted = match &mut self.deferred {
            Some(deferred) if rank(&row) < rank(deferred) => Some(row),
            deferred => deferred.replace(row),
        };
        if let Some(row) = counted {
            *self.others.entry(row.id).or_default() += 1;
        }
    }

    fn remember(&mut self, row: &AlertRow, now: Instant) {
        if self.sent.len() >= MAX_REMEMBERED {
            if let Some(SentAlert { id, repeated: Some((_, count)), .. }) = self.sent.pop_front() {
                *self.others.entry(id).or_default() += count;
            }
        }
        self.sent.push_back(SentAlert {
            id: row.id,
            subject: subject(row).to_owned(),
            severity: row.severity,
            kind: row.kind,
            until: now + self.repeat_interval,
            outages: 1,
            repeated: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::row;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn alert(subject: &str, kind: AlertKind) -> Arc<AlertRow> {
        row("payout.mismatch", Severity::High, kind, subject)
    }

    #[test]
    fn a_flood_is_five_messages_then_one_in_three_minutes_and_every_alert_is_counted() {
        let start = Instant::now();
        let mut limiter = NotifyLimiter::new(&SendPacing::default(), start);
        let sent =
            (0..10_000).filter(|n| limiter.take(alert(&n.to_string(), AlertKind::Happened), start).is_some());
        assert_eq!(sent.count(), 5);
        assert_eq!(limiter.due(start), None);
        assert_eq!(limiter.next_due(), Some(start + 3 * MINUTE));
        assert_eq!(limiter.unsent(), 9995);
        let message = limiter.due(start + 3 * MINUTE).unwrap();
        assert_eq!((message.row.id, message.others["payout.mismatch"]), ("payout.mismatch", 9994));
        assert_eq!(limiter.next_due(), None);
        // For a day of floods.
        let mut sent = 0;
        for minute in 4..24 * 60 {
            let now = start + minute * MINUTE;
            for n in 0..50 {
                let row = alert(&format!("{minute} {n}"), AlertKind::Happened);
                sent += u32::from(limiter.due(now).is_some());
                sent += u32::from(limiter.take(row, now).is_some());
            }
        }
        assert!((470..=486).contains(&sent), "{sent}");
    }

    #[test]
    fn the_most_important_is_sent_first() {
        let start = Instant::now();
        let mut limiter = NotifyLimiter::new(&SendPacing { burst: 1, ..SendPacing::default() }, start);
        let low = |n: u32| row("share.duplicate", Severity::Low, AlertKind::Begins, &n.to_string());
        assert!(limiter.take(low(0), start).is_some());
        limiter.take(low(1), start);
        limiter.take(row("block.found", Severity::Info, AlertKind::Happened, "w"), start);
        limiter.take(alert("p", AlertKind::Begins), start);
        let message = limiter.due(start + HOUR).unwrap();
        assert_eq!(message.row.id, "block.found");
        assert_eq!(message.others, AlertCounts::from([("payout.mismatch", 1), ("share.duplicate", 1)]));
    }

    #[test]
    fn a_repetition_is_sent_once_an_hour_and_its_first_end_at_once() {
        let start = Instant::now();
        let mut limiter = NotifyLimiter::new(&SendPacing { burst: 1000, ..SendPacing::default() }, start);
        let mut take = |kind, minute: u32| limiter.take(alert("p", kind), start + minute * MINUTE);
        assert!(take(AlertKind::Begins, 0).is_some());
        assert!(take(AlertKind::Ends, 1).is_some());
        for minute in 2..59 {
            let kind = if minute % 2 == 0 { AlertKind::Begins } else { AlertKind::Ends };
            assert!(take(kind, minute).is_none());
        }
        assert!(take(AlertKind::Begins, 59).is_none());
        assert_eq!(limiter.next_due(), Some(start + HOUR));
        assert_eq!(limiter.due(start + 59 * MINUTE), None);
        let message = limiter.due(start + HOUR).unwrap();
        assert_eq!((message.row.kind, message.count), (AlertKind::Begins, 58));
        // And the hour begins anew.
        assert!(limiter.take(alert("p", AlertKind::Begins), start + HOUR + MINUTE).is_none());
        assert!(limiter.take(alert("q", AlertKind::Begins), start + HOUR + MINUTE).is_some());
    }

    #[test]
    fn an_outage_that_comes_back_is_told_three_times_an_hour() {
        let start = Instant::now();
        let mut limiter = NotifyLimiter::new(&SendPacing { burst: 1000, ..SendPacing::default() }, start);
        let told: Vec<bool> = (0..10)
            .map(|minute| {
                let kind = if minute % 2 == 0 { AlertKind::Begins } else { AlertKind::Ends };
                limiter
                    .take(row("miner.gone", Severity::Medium, kind, "w"), start + minute * MINUTE)
                    .is_some()
            })
            .collect();
        assert_eq!(told, [true, true, true, true, true, true, false, false, false, false]);
        assert_eq!(limiter.due(start + HOUR).map(|message| message.count), Some(4));
    }

    #[test]
    fn a_more_severe_repetition_is_sent_at_once() {
        let start = Instant::now();
        let mut limiter = NotifyLimiter::new(&SendPacing { burst: 1000, ..SendPacing::default() }, start);
        let mut take =
            |severity| limiter.take(row("job.unreadable", severity, AlertKind::Begins, "p"), start).is_some();
        assert!(take(Severity::Medium));
        assert!(!take(Severity::Medium));
        assert!(take(Severity::High));
        assert!(!take(Severity::High) && !take(Severity::Medium));
    }

    #[test]
    fn overflowed_alerts_are_summed_up() {
        let start = Instant::now();
        let mut limiter = NotifyLimiter::new(&SendPacing::default(), start);
        limiter.add_to_summary(AlertCounts::from([("chain.wrong", 3)]));
        assert_eq!(limiter.next_due(), None);
        let message = limiter.take(alert("p", AlertKind::Begins), start).unwrap();
        assert_eq!(message.others, AlertCounts::from([("chain.wrong", 3)]));
        assert_eq!(limiter.unsent(), 0);
    }
}
