//! Service threads: the few threads that serve all sessions. A service that panics is restarted with its state. If the
//! program can't work without it, the program shuts down in order, so that systemd or the container restarts it.
//! Restarts are counted and reported, and so is a thread that no longer sends heartbeats.
//!
//! The registry is one for the process, like thread names. Session threads are not in it: a panic there ends that
//! session only ([`super::thread`]).

mod fault;
mod registry;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use registry::{Service, ServiceGuard};

use super::thread::{SERVICE_STACK, ThreadEnd, panic_text, spawn};

/// Marks a place in a service, beside its heartbeat, at which tests can make it panic.
pub(crate) use fault::check as fault_point;
/// The time for which a thread may be stuck, unless a test has set another.
pub(crate) use fault::or_test_limit;
pub use registry::{
    Restart, ServiceHealth, end_program_through, ends_program, failure, health, note_restart, restarts,
    unwell, unwell_watched,
};

/// Restarts of a thread within [`RESTART_WINDOW`]. A thread that fails more often would fail always, and fill the log.
const MAX_RESTARTS: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(600);

/// The pause before the first restart. It doubles with each further restart within the window. It is short enough
/// for code that waits for the thread's end to ignore it.
const FIRST_RESTART_PAUSE: Duration = Duration::from_millis(20);

/// The consequence of a service's panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPanic {
    /// Restart it. After [`MAX_RESTARTS`] it stays off: miners are served without it.
    Restart,
    /// Restart it. After [`MAX_RESTARTS`] the program ends: without this service it could not be shut down in
    /// order, or the fault would go unnoticed.
    RestartThenEnd,
    /// End the program: the thread's state can't be passed to another thread, and miners depend on it.
    EndProgram,
}

/// The settings of a service thread to be started.
#[derive(Debug)]
pub struct ServiceBuilder {
    name: String,
    stack: usize,
    on_panic: OnPanic,
    stale_after: Option<Duration>,
    is_watched: bool,
}

/// Describes a service of this name that is restarted after a panic and sends no heartbeat.
pub fn service(name: impl Into<String>) -> ServiceBuilder {
    ServiceBuilder {
        name: name.into(),
        stack: SERVICE_STACK,
        on_panic: OnPanic::Restart,
        stale_after: None,
        is_watched: false,
    }
}

impl ServiceBuilder {
    /// Sets the consequence of a panic; the default is [`OnPanic::Restart`].
    pub fn on_panic(self, on_panic: OnPanic) -> ServiceBuilder {
        ServiceBuilder { on_panic, ..self }
    }

    /// Sets the stack size; the default is [`SERVICE_STACK`].
    pub fn stack(self, stack: usize) -> ServiceBuilder {
        ServiceBuilder { stack, ..self }
    }

    /// Sets the longest time from a call of [`beat`] to the next one, or to [`rest`]; a thread that exceeds it is reported
    /// as stuck.
    pub fn beats_within(self, time: Duration) -> ServiceBuilder {
        ServiceBuilder { stale_after: Some(or_test_limit(time)), ..self }
    }

    /// The watchdog of the service manager looks after this thread: if it is stuck, the program is of no use.
    pub fn watched(self) -> ServiceBuilder {
        ServiceBuilder { is_watched: true, ..self }
    }

    /// Starts the thread. After a panic `body` is called again; its captured state is as the panic left it.
    ///
    /// # Errors
    /// The system can't start another thread.
    pub fn start<E: ThreadEnd>(
        self,
        mut body: impl FnMut() -> E + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let ServiceBuilder { name, stack, on_panic, stale_after, is_watched } = self;
        let guard = ServiceGuard::new(&name, stale_after, is_watched);
        spawn(name, stack, move || {
            // Borrowed from the guard, which is moved into the thread: its end removes the registry entry.
            let service = &guard.0;
            registry::set_current(service);
            let mut recent: Vec<Instant> = Vec::new();
            loop {
                let panic = match catch_unwind(AssertUnwindSafe(&mut body)) {
                    Ok(ended) => return ended.into_result(),
                    Err(panic) => panic,
                };
                let reason = panic_text(panic.as_ref());
                recent.retain(|at| at.elapsed() < RESTART_WINDOW);
                match panic_action(on_panic, recent.len()) {
                    PanicAction::Restart(pause) => {
                        recent.push(Instant::now());
                        log::error!("thread {} panicked: {reason}; Sluice restarts it", service.name);
                        std::thread::sleep(pause);
                        service.restarted(reason);
                    }
                    PanicAction::StayOff => {
                        log::error!(
                            "thread {} panicked: {reason}; it stays off, because it was restarted {MAX_RESTARTS} times \
                             already: restart sluice, and report this",
                            service.name
                        );
                        service.stay_off();
                        return Ok(());
                    }
                    PanicAction::EndProgram => {
                        log::error!(
                            "thread {} panicked: {reason}; sluice can't go on without it and ends once the \
                             shares in flight are answered",
                            service.name
                        );
                        service.stay_off();
                        registry::end_program(&service.name, reason);
                        return Ok(());
                    }
                }
            }
        })
    }
}

/// Records a heartbeat of the current service thread. Takes no lock, and does nothing on other threads.
pub fn beat() {
    registry::with_current(|service: &Arc<Service>| {
        service.beat();
        fault::check(&service.name);
    });
}

/// Marks the current service thread as waiting for work until its next [`beat`]: it is not stuck, however long it waits.
pub fn rest() {
    registry::with_current(|service: &Arc<Service>| service.rest());
}

#[derive(Debug, PartialEq, Eq)]
enum PanicAction {
    Restart(Duration),
    StayOff,
    EndProgram,
}

fn panic_action(on_panic: OnPanic, recent: usize) -> PanicAction {
    match on_panic {
        OnPanic::EndProgram => PanicAction::EndProgram,
        OnPanic::Restart if recent >= MAX_RESTARTS => PanicAction::StayOff,
        OnPanic::RestartThenEnd if recent >= MAX_RESTARTS => PanicAction::EndProgram,
        OnPanic::Restart | OnPanic::RestartThenEnd => {
            PanicAction::Restart(FIRST_RESTART_PAUSE * (1 << recent))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_keeps_its_state_after_a_panic() {
        let (sender, rounds) = crossbeam_channel::bounded(4);
        let mut round = 0;
        let thread = service("t-restarted")
            .start(move || {
                round += 1;
                beat();
                let _ = sender.try_send(round);
                assert!(round > 2, "on purpose");
            })
            .unwrap();
        thread.join().unwrap();
        assert_eq!(rounds.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        let is_of_it = |restart: &Restart| restart.thread == "t-restarted" && restart.reason == "on purpose";
        assert_eq!(restarts(0).1.iter().filter(|restart| is_of_it(restart)).count(), 2);
        // It ended in order, so it is not reported.
        assert!(!unwell().iter().any(|line| line.contains("t-restarted")));
    }

    #[test]
    fn the_number_of_restarts_is_limited() {
        let pauses: Vec<PanicAction> = (0..6).map(|recent| panic_action(OnPanic::Restart, recent)).collect();
        assert_eq!(pauses[0], PanicAction::Restart(FIRST_RESTART_PAUSE));
        assert_eq!(pauses[4], PanicAction::Restart(FIRST_RESTART_PAUSE * 16));
        assert_eq!(pauses[5], PanicAction::StayOff);
        assert_eq!(panic_action(OnPanic::RestartThenEnd, 5), PanicAction::EndProgram);
        assert_eq!(panic_action(OnPanic::EndProgram, 0), PanicAction::EndProgram);
    }

    #[test]
    fn a_thread_without_heartbeats_is_reported() {
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let thread = service("t-stuck")
            .beats_within(Duration::from_millis(1))
            .start(move || {
                beat();
                let _ = released.recv();
            })
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !unwell().iter().any(|line| line.contains("t-stuck")) {
            assert!(Instant::now() < deadline, "{:?}", unwell());
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(release);
        thread.join().unwrap();
        assert!(!unwell().iter().any(|line| line.contains("t-stuck")));
    }

    #[test]
    fn a_thread_that_waits_for_work_is_not_stuck_and_only_a_watched_one_is_the_watchdogs() {
        let start = |builder: ServiceBuilder| {
            let (to_thread, work) = crossbeam_channel::bounded::<()>(0);
            let thread = builder.beats_within(Duration::from_millis(1)).start(move || {
                rest();
                let _ = work.recv();
                beat();
                let _ = work.recv();
            });
            (thread.unwrap(), to_thread)
        };
        let threads = [start(service("t-watched").watched()), start(service("t-unwatched"))];
        std::thread::sleep(Duration::from_millis(20));
        let is_named = |lines: Vec<String>, name: &str| lines.iter().any(|line| line.contains(name));
        assert!(!is_named(unwell(), "t-watched") && !is_named(unwell(), "t-unwatched"));
        threads.iter().for_each(|(_, to_thread)| to_thread.send(()).unwrap());
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_named(unwell(), "t-watched") || !is_named(unwell(), "t-unwatched") {
            assert!(Instant::now() < deadline, "{:?}", unwell());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(
            is_named(unwell_watched(false), "t-watched") && !is_named(unwell_watched(true), "t-unwatched")
        );
        for (thread, to_thread) in threads {
            drop(to_thread);
            thread.join().unwrap();
        }
    }
}
