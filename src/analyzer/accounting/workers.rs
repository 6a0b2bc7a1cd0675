//! The workers that outlive their sessions: their histories, the names that people give them, and forgetting one.

use std::sync::Arc;

use serde_json::json;

use super::{Accounting, unix_seconds};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::{EventRow, SavedState};
use crate::util::escape::printable;
use crate::work::name_of_worker;

impl Accounting {
    /// Counts the time in which known workers are connected.
    pub(super) fn tick_worker_histories(&mut self, now: NtpTime) {
        let connected = self.rules.workers.connected();
        if self.worker_histories.tick(unix_seconds(now), connected) {
            self.renew_worker_histories();
        }
    }

    /// Gives a worker the name that a person wants.
    pub(super) fn name_worker(&mut self, worker: &str, name: &str) {
        if !self.state.shown_names.set(worker, name) {
            return;
        }
        self.unsaved = true;
        let text = match self.state.shown_names.get(worker) {
            Some(name) => format!("{} is shown as {name} from now on", name_of_worker(worker)),
            None => format!("{} is shown by its own name again", name_of_worker(worker)),
        };
        self.tell_of_worker("miner.named", worker, text);
        self.save_now();
    }

    /// Forgets a worker that is gone, as a person wants. One that is connected stays: it would be known again at once.
    pub(super) fn forget_worker(&mut self, worker: &str) {
        let key = SavedState::worker_key(worker).into_owned();
        let was_known = self.rules.workers.forget(&key);
        if self.rules.workers.is_connected(&key) {
            return;
        }
        let had_history = self.worker_histories.forget(&key);
        let had_name = self.state.shown_names.set(&key, "");
        if !(was_known || had_history || had_name) {
            return;
        }
        self.renew_worker_histories();
        let text = format!("{} was forgotten by hand", name_of_worker(&key));
        self.tell_of_worker("miner.forgotten", &key, text);
        self.with_rules(self.clock.now(), |rules, context| rules.save_workers_now(context));
        self.save_now();
    }

    fn renew_worker_histories(&mut self) {
        self.shown_worker_histories = Arc::new(self.worker_histories.clone());
        if let Some(recorder) = &self.recorder {
            recorder.save_worker_histories(self.shown_worker_histories.clone());
        }
    }

    fn tell_of_worker(&mut self, kind: &'static str, worker: &str, text: String) {
        log::info!("{}", printable(&text));
        let event = EventRow::new(self.clock.now(), (kind, Severity::Info), worker, text).with_worker(worker);
        self.add_events([event.with_data(json!({ "by": "hand" }))]);
    }
}
