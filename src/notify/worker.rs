//! The thread that sends one recipient's messages.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, at, never, select};

use super::health::DeliveryRecord;
use super::limiter::{Decision, NotifyLimiter};
use super::message::Message;
use super::pace::SendPacing;
use super::send_failure::Retry;
use super::transport::Transport;
use crate::record::AlertRow;
use crate::util::plural::count;
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
            if let Some(message) = self.limiter.due(Instant::now()) {
                self.deliver(&message);
                continue;
            }
            let due = self.limiter.next_due().map_or_else(never, at);
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
        let untold = self.limiter.unsent();
        if untold > 0 {
            log::info!(
                "{}: {} could not be sent before the program ended; see alerts.log",
                self.name,
                count(untold, "alert")
            );
        }
    }

    fn take(&mut self, row: Arc<AlertRow>) {
        match self.limiter.take(row, Instant::now()) {
            Decision::Send(message) => self.deliver(&message),
            Decision::Deferred => self.deliveries.lock().health.held_back += 1,
        }
    }

    /// Adds the alerts that did not fit into the queue to the next message.
    fn sum_up_overflow(&mut self) {
        let overflowed = std::mem::take(&mut self.deliveries.lock().overflowed);
        self.limiter.add_to_summary(overflowed);
    }

    fn deliver(&mut self, message: &Message) {
        let mut pauses = self.pace.retry_pauses.clone().into_iter();
        let mut is_last = false;
        loop {
            if self.is_over() {
                return self.lost(message);
            }
            let deadline = self.deadline.clone();
            let is_over = move || deadline.get().is_some_and(|deadline| Instant::now() >= *deadline);
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
                    log::warn!(
                        "{}: a message about {} could not be delivered: {}; further failures are only counted",
                        self.name,
                        message.row.id,
                        failure.reason
                    );
                }
                return self.lost(message);
            };
            log::debug!("{}: {}; trying again in {pause:?}", self.name, failure.reason);
            is_last = self.pause(pause);
        }
    }

    /// Waits before a retry. True if the program ends, so that one try is left.
    fn pause(&self, time: Duration) -> bool {
        match self.ending.recv_timeout(time) {
            Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Ok(nothing) => match nothing {},
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

    fn is_over(&self) -> bool {
        self.deadline.get().is_some_and(|deadline| Instant::now() >= *deadline)
    }
}
