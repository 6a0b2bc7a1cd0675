//! The analyzer's handle for sending notifications.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use parking_lot::Mutex;
use serde_json::Value;

use super::health::{DeliveryRecord, RecipientHealth};
use super::limiter::NotifyLimiter;
use super::message::{is_good_news, is_outage};
use super::pace::SendPacing;
use super::program::{DailySummary, ProgramFacts};
use super::timetable::Timetable;
use super::transport::{Transport, name};
use super::worker::RecipientWorker;
use crate::config::NotifyConfig;
use crate::record::AlertRow;
use crate::util::stop::Stop;
use crate::util::supervise::service;

/// Queues alerts for all recipients. Clones share the queues.
#[derive(Clone)]
pub struct Notifier(Arc<NotifierInner>);

struct NotifierInner {
    recipients: Vec<RecipientQueue>,
    /// Dropped to tell the threads to end.
    ending: Mutex<Option<Sender<Infallible>>>,
    /// Disconnected once the last thread has ended.
    alive: Receiver<Infallible>,
    deadline: Arc<OnceLock<Instant>>,
    finish_limit: Duration,
    program: Arc<ProgramFacts>,
}

/// The queue of one recipient.
struct RecipientQueue {
    wants: NotifyConfig,
    rows: Sender<Arc<AlertRow>>,
    deliveries: Arc<DeliveryRecord>,
}

impl Notifier {
    /// Starts a thread for each recipient. Once `stop` is stopped, failed messages are not retried.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(recipients: &[NotifyConfig], stop: &Stop) -> io::Result<Notifier> {
        Notifier::with_pacing(recipients, &SendPacing::default(), stop)
    }

    /// Like [`Notifier::start`], with other limits.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn with_pacing(recipients: &[NotifyConfig], pace: &SendPacing, stop: &Stop) -> io::Result<Notifier> {
        let (ending, until) = bounded(0);
        let (living, alive) = bounded(0);
        let deadline = Arc::new(OnceLock::new());
        let program = Arc::new(ProgramFacts::default());
        let mut queues = Vec::with_capacity(recipients.len());
        for (i, transport) in Transport::of_all(recipients, pace).into_iter().enumerate() {
            let (rows, queued) = bounded(pace.queue);
            let name = name(i + 1, &recipients[i]);
            let deliveries = Arc::new(DeliveryRecord::new(name.clone()));
            let mut worker = RecipientWorker {
                name,
                transport,
                rows: queued,
                ending: until.clone(),
                deadline: Arc::clone(&deadline),
                deliveries: deliveries.clone(),
                pace: pace.clone(),
                limiter: NotifyLimiter::new(pace, Instant::now()),
                timetable: Timetable::new(&recipients[i], &Zoned::now()),
                program: program.clone(),
                stop: stop.clone(),
                has_logged_failure: false,
                _living: living.clone(),
            };
            service(format!("notify-{}", i + 1)).start(move || {
                worker.run();
            })?;
            queues.push(RecipientQueue { wants: recipients[i].clone(), rows, deliveries });
        }
        let finish_limit = pace.finish_limit;
        let ending = Mutex::new(Some(ending));
        let inner = NotifierInner { recipients: queues, ending, alive, deadline, finish_limit, program };
        Ok(Notifier(Arc::new(inner)))
    }

    /// Tells about the running program: the URL of its page, for the link in each message, and its daily summary. Only
    /// the first call counts.
    pub fn connect(
        &self,
        page: Option<String>,
        summary: impl Fn() -> Option<DailySummary> + Send + Sync + 'static,
    ) {
        if let Some(page) = page {
            let _ = self.0.program.page.set(page);
        }
        let _ = self.0.program.summary.set(Box::new(summary));
    }

    /// Queues an alert for all recipients that want it. Never waits: if a queue is full, the alert is
    /// counted and summed up later.
    pub fn notify(&self, row: &AlertRow) {
        let mut shared = None;
        for queue in self.0.recipients.iter().filter(|queue| is_wanted(row, &queue.wants)) {
            let row = shared.get_or_insert_with(|| Arc::new(row.clone()));
            if queue.rows.try_send(Arc::clone(row)).is_err() {
                let mut deliveries = queue.deliveries.lock();
                deliveries.health.held_back += 1;
                *deliveries.overflowed.entry(row.id).or_default() += 1;
            }
        }
    }

    /// The state of each recipient, in the order of the configuration.
    pub fn health(&self) -> Vec<RecipientHealth> {
        self.0.recipients.iter().map(|queue| queue.deliveries.lock().health.clone()).collect()
    }

    /// Gives queued messages two more seconds, then returns. A request that is still running ends with
    /// the program.
    pub fn finish(&self) {
        let deadline = *self.0.deadline.get_or_init(|| Instant::now() + self.0.finish_limit);
        drop(self.0.ending.lock().take());
        if let Err(RecvTimeoutError::Timeout) = self.0.alive.recv_deadline(deadline) {
            log::warn!("not every notification could be sent before the program ended; see alerts.log");
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.recipients.iter().map(|queue| queue.deliveries.lock().health.name.clone());
        f.debug_tuple("Notifier").field(&names.collect::<Vec<_>>()).finish()
    }
}

/// True if a recipient wants an alert: it is severe enough, or it is an outage or good news and the recipient wants
/// those. The end of a state is as severe as the state. A best share is news if the one before is of another day: in its
/// first hours a miner finds many.
pub fn is_wanted(row: &AlertRow, recipient: &NotifyConfig) -> bool {
    row.severity >= recipient.min_severity
        || recipient.outages && is_outage(row.id)
        || recipient.good_news && is_good_news(row.id) && !beats_best_of_same_day(row)
}

/// True for a best share if the former best was found on the same day, by this machine's time zone.
fn beats_best_of_same_day(row: &AlertRow) -> bool {
    let former = row.data.get("former_best_at").and_then(Value::as_str);
    let Some(former) = former.and_then(|text| text.parse::<Timestamp>().ok()) else { return false };
    let date = |time: Timestamp| time.to_zoned(TimeZone::system()).date();
    row.id == "share.best" && date(former) == date(row.at.timestamp())
}
