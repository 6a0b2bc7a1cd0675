//! References through real sockets: pools and nodes of the test's own, good ones and bad ones.

mod node;
mod pool;
use crate::notify::server;
mod ways;
mod whole;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::wait_for;
use sluice::config::{Config, Overrides, ReferenceConfig};
use sluice::reference::{ReferenceTimings, ReferenceView, References, Tip};
use sluice::util::stop::Stop;

/// References that run until dropped, and what they told.
struct WatchedReference {
    references: References,
    tips: Arc<Mutex<Vec<Tip>>>,
    stop: Stop,
}

impl WatchedReference {
    /// With these `[[reference]]` sections.
    fn start(text: &str, pace: &ReferenceTimings) -> WatchedReference {
        WatchedReference::with(&configured(text), pace)
    }

    fn with(configured: &[ReferenceConfig], pace: &ReferenceTimings) -> WatchedReference {
        let (tips, stop) = (Arc::new(Mutex::new(Vec::new())), Stop::new());
        let observed = tips.clone();
        let observe = move |tip| observed.lock().unwrap().push(tip);
        let references = References::start(configured, pace, observe, &stop).unwrap();
        WatchedReference { references, tips, stop }
    }

    fn tips(&self) -> Vec<Tip> {
        self.tips.lock().unwrap().clone()
    }

    /// Waits for so many tips.
    fn wait(&self, count: usize) -> Vec<Tip> {
        wait_for(&format!("{count} tips"), || self.tips.lock().unwrap().len() >= count);
        self.tips()
    }

    fn view(&self) -> ReferenceView {
        self.references.views().remove(0)
    }

    /// Waits until the view is like that.
    fn see(&self, what: &str, is_so: impl Fn(&ReferenceView) -> bool) -> ReferenceView {
        wait_for(what, || is_so(&self.view()));
        self.view()
    }

    /// Waits until it has failed, with this in its words.
    fn fails(&self, said: &str) -> ReferenceView {
        self.see(&format!("a failure with {said:?}"), |view| {
            !view.is_connected && view.error.as_ref().is_some_and(|error| error.contains(said))
        })
    }
}

impl Drop for WatchedReference {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

fn configured(text: &str) -> Vec<ReferenceConfig> {
    let text = format!("[[upstream]]\nurl = \"stratum+tcp://127.0.0.1:1\"\n{text}");
    Config::parse(&text, &Overrides::default()).unwrap_or_else(|error| panic!("{error}")).references
}

/// In a hurry; what a test does not wait for is patient.
fn hurried() -> ReferenceTimings {
    ReferenceTimings {
        min_gap: Duration::from_millis(10),
        min_backoff: Duration::from_millis(20),
        max_backoff: Duration::from_millis(100),
        poll_interval: Duration::from_millis(20),
        max_poll_interval: Duration::from_millis(100),
        request_timeout: Duration::from_secs(5),
        ..ReferenceTimings::default()
    }
}
