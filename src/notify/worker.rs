//! The thread that sends one recipient's messages.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, at, never, select};
use jiff::Zoned;

use super::health::DeliveryRecord;
use super::limiter::NotifyLimiter;
use super::message::Message;
use super::pace::{Retry, SendPacing};
use super::program::ProgramFacts;
use super::timetable::Timetable;
use super::transport::Transport;
use crate::record::AlertRow;
use crate::util::format::count;
use crate::util::stop::Stop;
use crate::util::supervise;

/// Takes alerts from the queue and sends them to the recipient.
pub(super) struct RecipientWorker {
    pub name: String,
    pub transport: Transport,
    pub rows: Receiver<Arc<AlertRow>>,
    /// Disconnected when the program ends.
    pub ending: Receiver<Infallible>,
    /// No request is started after this time.
    pub deadline: Arc<OnceLock<Instant>>,
    pub deliveries: Arc<DeliveryRecord>,
    pub pace: SendPacing,
    pub limiter: NotifyLimiter,
    pub timetable: Timetable,
    pub program: Arc<ProgramFacts>,
    pub stop: Stop,
    /// The present failure was logged.
    pub has_logged_failure: bool,
    /// Disconnected when the thread has ended. The last field, so that the queue is closed before: an alert that comes
    /// after the end is counted, not put where nobody takes it out.
    pub _living: Sender<Infallible>,
}

impl RecipientWorker {
    /// Runs until the end is requested or every [`Notifier`](super::Notifier) is dropped.
    pub fn run(&mut self) {
        loop {
            supervise::beat();
            self.sum_up_overflow();
            let now = Zoned::now();
            if let Some(message) = self.due(&now) {
                self.deliver(message);
                continue;
            }
            let by_clock = self.timetable.wait(&now).map(|wait| Instant::now() + wait);
            let due = self.limiter.next_due().into_iter().chain(by_clock).min().map_or_else(never, at);
            select! {
                recv(self.rows) -> row => match row {
                    Ok(row) => self.take(row),
                    Err(_) => break,
                },
                recv(self.ending) -> _ => break,
                recv(due) -> _ => {}
            }
        }
        while let Ok(row) = self.rows.try_recv() {
            self.take(row);
        }
        self.sum_up_overflow();
        if let Some(message) = self.timetable.release() {
            self.deliver(message);
        }
        let unsent = self.limiter.unsent() + self.timetable.held();
        if unsent > 0 {
            let (name, alerts) = (&self.name, count(unsent, "alert"));
            log::info!("{name}: {alerts} could not be sent before the program ended; see alerts.log");
        }
    }

    /// The next message that may be sent now.
    fn due(&mut self, now: &Zoned) -> Option<Message> {
        if let Some(message) = self.timetable.due(now) {
            return Some(message);
        }
        if self.timetable.is_summary_due(now) {
            if let Some(message) = self.program.summary() {
                return Some(message);
            }
        }
        loop {
            let Message { row, count, others, .. } = self.limiter.due(Instant::now())?;
            if !self.timetable.must_wait(&row, now) {
                return Some(Message::about(row, count, others));
            }
            self.limiter.add_to_summary(others);
            self.limiter.add_to_summary([(row.id, count - 1)].into());
            self.timetable.hold(row);
        }
    }

    fn take(&mut self, row: Arc<AlertRow>) {
        if self.timetable.must_wait(&row, &Zoned::now()) {
            self.deliveries.lock().health.held_back += 1;
            return self.timetable.hold(row);
        }
        match self.limiter.take(row, Instant::now()) {
            Some(message) => self.deliver(message),
            None => self.deliveries.lock().health.held_back += 1,
        }
    }

    /// Adds the alerts that did not fit into the queue to the next message.
    fn sum_up_overflow(&mut self) {
        let overflowed = std::mem::take(&mut self.deliveries.lock().overflowed);
        self.limiter.add_to_summary(overflowed);
    }

    fn deliver(&mut self, message: Message) {
        let message = &Message { page: self.program.page.get().cloned(), ..message };
        let mut pauses = self.pace.retry_pauses.clone().into_iter();
        let mut is_last = false;
        loop {
            let is_over = || self.deadline.get().is_some_and(|deadline| Instant::now() >= *deadline);
            if is_over() {
                return self.lost(message);
            }
            let Err(failure) = self.transport.send(message, &is_over) else {
                return self.arrived();
            };
            self.deliveries.lock().health.last_error = Some(failure.reason.clone());
            let pause = match failure.again {
                Retry::Later(asked) if !is_last && !self.stop.is_stopped() => pauses
                    .next()
                    .map(|pause| pause.max(asked.unwrap_or_default().min(self.pace.longest_pause))),
                Retry::Later(_) | Retry::Never => None,
            };
            let Some(pause) = pause else {
                if !std::mem::replace(&mut self.has_logged_failure, true) {
                    let (name, id, reason) = (&self.name, message.row.id, failure.reason);
                    log::warn!(
                        "{name}: a message about {id} could not be delivered: {reason}; further failures are only counted"
                    );
                }
                return self.lost(message);
            };
            log::debug!("{}: {}; trying again in {pause:?}", self.name, failure.reason);
            // The program ends; one attempt is left.
            is_last = matches!(self.ending.recv_timeout(pause), Err(RecvTimeoutError::Disconnected));
        }
    }

    fn arrived(&mut self) {
        if std::mem::take(&mut self.has_logged_failure) {
            log::info!("{}: messages are delivered again", self.name);
        }
        let health = &mut self.deliveries.lock().health;
        health.sent += 1;
        health.last_error = None;
    }

    /// Counts a failed message and adds it to the summary in the next one.
    fn lost(&mut self, message: &Message) {
        self.deliveries.lock().health.failed += 1;
        self.limiter.add_to_summary(message.others.clone());
        self.limiter.add_to_summary([(message.row.id, message.count)].into());
    }
}
