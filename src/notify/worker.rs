//! The thread of one recipient.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, at, never, select};

use super::failure::Retry;
use super::health::DeliveryRecord;
use super::limiter::{Decision, NotifyLimiter};
use super::message::Message;
use super::pace::SendPacing;
use super::transport::Transport;
use crate::record::AlertRow;
use crate::util::plural::count;
use crate::util::stop::Stop;
use crate::util::supervise;

/// Takes alerts out of the queue, and sees them to their recipient.
pub(super) struct RecipientWorker {
    pub name: String,
    pub medium: Transport,
    pub rows: Receiver<Arc<AlertRow>>,
    /// Disconnected when the end has come.
    pub ending: Receiver<Infallible>,
    /// Nothing is begun after this.
    pub deadline: Arc<OnceLock<Instant>>,
    pub book: Arc<DeliveryRecord>,
    pub pace: SendPacing,
    pub restraint: NotifyLimiter,
    pub stop: Stop,
    /// The present failure was said in the log.
    pub said: bool,
    /// Disconnected when the thread has ended. The last field, so that the queue is closed before: an alert that comes
    /// after the end is counted, not put where nobody takes it out.
    pub _living: Sender<Infallible>,
}

impl RecipientWorker {
    /// Until the end is asked for, or nobody is left to tell anything.
    pub fn run(&mut self) {
        loop {
            supervise::beat();
            self.sum_up_overflow();
            if let Some(message) = self.restraint.due(Instant::now()) {
                self.deliver(&message);
                continue;
            }
            let due = self.restraint.next_due().map_or_else(never, at);
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
        let untold = self.restraint.untold();
        if untold > 0 {
            log::info!(
                "{}: {} could not be sent before the program ended; see alerts.log",
                self.name,
                count(untold, "alert")
            );
        }
    }

    fn take(&mut self, row: Arc<AlertRow>) {
        match self.restraint.take(row, Instant::now()) {
            Decision::Tell(message) => self.deliver(&message),
            Decision::HeldBack => self.book.lock().health.held_back += 1,
        }
    }

    /// What found no room in the queue is told with the next message.
    fn sum_up_overflow(&mut self) {
        let overflowed = std::mem::take(&mut self.book.lock().overflowed);
        self.restraint.sum_up(overflowed);
    }

    fn deliver(&mut self, message: &Message) {
        let mut pauses = self.pace.pauses.clone().into_iter();
        let mut is_last = false;
        loop {
            if self.is_over() {
                return self.lost(message);
            }
            let deadline = self.deadline.clone();
            let is_over = move || deadline.get().is_some_and(|deadline| Instant::now() >= *deadline);
            let Err(failure) = self.medium.send(message, &is_over) else {
                return self.arrived();
            };
            self.book.lock().health.last_error = Some(failure.reason.clone());
            let pause = match failure.again {
                Retry::Later(asked) if !is_last && !self.stop.is_stopped() => pauses
                    .next()
                    .map(|pause| pause.max(asked.unwrap_or_default().min(self.pace.longest_pause))),
                Retry::Later(_) | Retry::Never => None,
            };
            let Some(pause) = pause else {
                if !std::mem::replace(&mut self.said, true) {
                    log::warn!(
                        "{}: a message about {} did not arrive: {}; further failures are counted only",
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

    /// Whether the end has come, so that one try is left.
    fn pause(&self, time: Duration) -> bool {
        match self.ending.recv_timeout(time) {
            Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Ok(nothing) => match nothing {},
        }
    }

    fn arrived(&mut self) {
        if std::mem::take(&mut self.said) {
            log::info!("{}: messages arrive again", self.name);
        }
        let health = &mut self.book.lock().health;
        health.sent += 1;
        health.last_error = None;
    }

    /// The next message that arrives tells of this one too.
    fn lost(&mut self, message: &Message) {
        self.book.lock().health.failed += 1;
        self.restraint.sum_up(message.others.clone());
        self.restraint.sum_up([(message.row.id, message.count)].into());
    }

    fn is_over(&self) -> bool {
        self.deadline.get().is_some_and(|deadline| Instant::now() >= *deadline)
    }
}
