//! Reports to the service manager while the program runs: one line of status, and the food of its watchdog, as long as
//! the threads live that serve miners and visitors.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::net::service_manager::ServiceManager;
use crate::status::page::status_line;
use crate::status::snapshot::StatusSnapshots;
use crate::util::stop::Stop;
use crate::util::supervise::{self, service};

/// The shortest time between two changes of the status: the service manager tells them to everybody who listens.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// The watchdog is fed so many times within its time: a machine that is busy, or was paused, may miss some.
const FEEDS: u32 = 4;

/// The shortest time between two looks, however impatient the watchdog is.
const MIN_INTERVAL: Duration = Duration::from_millis(5);

/// A shutdown takes no longer: each of its steps has a limit. Until then the threads that end are not missed.
const MAX_SHUTDOWN: Duration = Duration::from_secs(60);

/// The program has to have run for so long before a watched thread that is off (it has panicked again and again) counts
/// for the watchdog. A fault that returns soon after each start would else disconnect all miners again and again, and
/// without these threads they are still served.
const COUNTS_OFF_AFTER: Duration = Duration::from_secs(3600);

/// The parts of the program that the reports are about.
pub(super) struct ServiceStatus {
    pub(super) manager: ServiceManager,
    pub(super) snapshots: StatusSnapshots,
    /// Whether the page's server hangs.
    pub(super) page_hangs: Box<dyn Fn() -> bool + Send>,
    /// The configuration file is not in effect.
    pub(super) is_refused: Arc<AtomicBool>,
}

impl ServiceStatus {
    /// Reports that the program has started, and from now on its state. Without a service manager this does nothing.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(self, stop: &Stop) -> io::Result<()> {
        if !self.manager.is_there() {
            return Ok(());
        }
        let (stop, began) = (stop.clone(), Instant::now());
        let interval = self.manager.watchdog().map_or(STATUS_INTERVAL, |time| time / FEEDS);
        let interval = interval.clamp(MIN_INTERVAL, STATUS_INTERVAL);
        let (mut shown, mut shown_at, mut was_hungry) = (self.line(), began, false);
        self.manager.show(&shown);
        self.manager.ready();
        service("service-manager").start(move || {
            while stop.sleep(interval).is_ok() {
                supervise::beat();
                self.feed(began.elapsed(), &mut was_hungry);
                let line = self.line();
                if line != shown && shown_at.elapsed() >= STATUS_INTERVAL {
                    self.manager.show(&line);
                    (shown, shown_at) = (line, Instant::now());
                }
            }
            let stopped = Instant::now();
            while self.manager.watchdog().is_some() && stopped.elapsed() < MAX_SHUTDOWN {
                self.manager.feed_watchdog();
                std::thread::sleep(interval);
            }
        })?;
        Ok(())
    }

    /// Feeds the watchdog, unless something that it looks after does not live.
    fn feed(&self, up_for: Duration, was_hungry: &mut bool) {
        if self.manager.watchdog().is_none() {
            return;
        }
        let troubles = self.troubles(up_for);
        match (troubles.is_empty(), *was_hungry) {
            (true, false) => {}
            (true, true) => log::warn!("the watchdog is fed again"),
            (false, true) => {}
            (false, false) => log::error!(
                "{}: the watchdog is no longer fed, so the service manager starts Sluice again",
                troubles.join("; ")
            ),
        }
        *was_hungry = !troubles.is_empty();
        if troubles.is_empty() {
            self.manager.feed_watchdog();
        }
    }

    /// The reasons why the program should be started again.
    fn troubles(&self, up_for: Duration) -> Vec<String> {
        let mut troubles = supervise::unwell_watched(up_for >= COUNTS_OFF_AFTER);
        if (self.page_hangs)() {
            troubles.push("all threads of the page hang".to_owned());
        }
        troubles
    }

    fn line(&self) -> String {
        let mut line = status_line(&self.snapshots.newest());
        if let Some(trouble) = supervise::unwell().first() {
            line.push_str(&format!("; {trouble}"));
        }
        if self.is_refused.load(Ordering::Relaxed) {
            line.push_str("; the last reload was not taken, see the log");
        }
        line
    }
}
