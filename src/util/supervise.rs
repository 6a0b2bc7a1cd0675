//! Service threads: the few that serve everybody. One that panics is started again with its state, or,
//! where nobody could do without it, ends the program in order, so that whatever started it (systemd, a
//! container) starts it anew. Each restart is counted and reported; a thread that no longer moves is seen.
//!
//! The registry belongs to the process, as the threads' names do. Session threads are not in it: a panic
//! there ends that session only ([`super::thread`]).

mod fault;
mod registry;

use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use registry::{Service, ServiceGuard};

use super::thread::{SERVICE_STACK, panic_text, spawn};

pub use registry::{
    Restart, ServiceHealth, end_program_through, ends_program, failure, health, note_restart, restarts,
    unwell,
};

/// Restarts within [`RESTART_WINDOW`] after which a thread is not started again: what fails so often
/// fails always, and the log should still be readable.
const MAX_RESTARTS: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(600);

/// Pause before the first restart; it doubles with each further one within the window. Short enough that
/// whoever waits for the end of the thread need not know of it.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// What follows when a service panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPanic {
    /// It is started again. After [`MAX_RESTARTS`] it stays off: miners are served without it.
    Restart,
    /// It is started again. After [`MAX_RESTARTS`] the program ends: without it nobody could end it in
    /// order, or see that something is missing.
    RestartThenEnd,
    /// The program ends: what the thread held can't be given to another one, and miners depend on it.
    EndProgram,
}

/// A service thread that is about to be started.
#[derive(Debug)]
pub struct Spawn {
    name: String,
    stack: usize,
    on_panic: OnPanic,
    stale_after: Option<Duration>,
}

/// A service of this name: restarted after a panic, without a heartbeat.
pub fn service(name: impl Into<String>) -> Spawn {
    Spawn { name: name.into(), stack: SERVICE_STACK, on_panic: OnPanic::Restart, stale_after: None }
}

impl Spawn {
    /// What follows from a panic; [`OnPanic::Restart`] unless it is said.
    pub fn on_panic(self, on_panic: OnPanic) -> Spawn {
        Spawn { on_panic, ..self }
    }

    /// Another size of stack than [`SERVICE_STACK`].
    pub fn stack(self, stack: usize) -> Spawn {
        Spawn { stack, ..self }
    }

    /// The body calls [`beat`] at least this often; a thread that does not is reported as stuck.
    pub fn beats_within(self, time: Duration) -> Spawn {
        Spawn { stale_after: Some(fault::stale_after().unwrap_or(time)), ..self }
    }

    /// Starts it. After a panic `body` is called again, with what it had captured as the panic left it.
    ///
    /// # Errors
    /// When the system has no room for another thread.
    pub fn start<F, E>(self, mut body: F) -> io::Result<JoinHandle<()>>
    where
        F: FnMut() -> Result<(), E> + Send + 'static,
        E: Display + 'static,
    {
        let Spawn { name, stack, on_panic, stale_after } = self;
        let service = ServiceGuard::new(&name, stale_after);
        spawn(name, stack, move || {
            // Its place in the registry ends with the thread.
            let service = service;
            registry::set_current(&service);
            let mut recent: Vec<Instant> = Vec::new();
            loop {
                let panic = match catch_unwind(AssertUnwindSafe(&mut body)) {
                    Ok(ended) => return ended,
                    Err(panic) => panic,
                };
                let reason = panic_text(panic.as_ref());
                recent.retain(|at| at.elapsed() < RESTART_WINDOW);
                match next_step(on_panic, recent.len()) {
                    AfterEnd::Restart(pause) => {
                        recent.push(Instant::now());
                        log::error!("thread {} panicked: {reason}; it is started again", service.name);
                        std::thread::sleep(pause);
                        service.restarted(reason);
                    }
                    AfterEnd::StayOff => {
                        log::error!(
                            "thread {} panicked: {reason}; it stays off, since it was started again {MAX_RESTARTS} \
                             times already: restart sluice, and report this",
                            service.name
                        );
                        service.stay_off();
                        return Ok(());
                    }
                    AfterEnd::EndProgram => {
                        log::error!(
                            "thread {} panicked: {reason}; sluice can't go on without it and ends after the \
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

/// The current service thread moves. Takes no lock; on other threads it does nothing.
pub fn beat() {
    registry::with_current(|service: &Arc<Service>| {
        service.beat();
        fault::check(&service.name);
    });
}

/// A place within a service where the tests can have it panic, beside its heartbeat.
pub(crate) fn fault_point(name: &str) {
    fault::check(name);
}

#[derive(Debug, PartialEq, Eq)]
enum AfterEnd {
    Restart(Duration),
    StayOff,
    EndProgram,
}

fn next_step(on_panic: OnPanic, recent: usize) -> AfterEnd {
    match on_panic {
        OnPanic::EndProgram => AfterEnd::EndProgram,
        OnPanic::Restart if recent >= MAX_RESTARTS => AfterEnd::StayOff,
        OnPanic::RestartThenEnd if recent >= MAX_RESTARTS => AfterEnd::EndProgram,
        OnPanic::Restart | OnPanic::RestartThenEnd => AfterEnd::Restart(FIRST_PAUSE * (1 << recent)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::stop::Stopped;

    #[test]
    fn a_service_goes_on_with_its_state_after_a_panic() {
        let (tell, told) = crossbeam_channel::bounded(4);
        let mut round = 0;
        let thread = service("t-restarted")
            .start(move || -> Result<(), Stopped> {
                round += 1;
                beat();
                let _ = tell.try_send(round);
                assert!(round > 2, "on purpose");
                Ok(())
            })
            .unwrap();
        thread.join().unwrap();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        let of_it = |restart: &Restart| restart.thread == "t-restarted" && restart.reason == "on purpose";
        assert_eq!(restarts(0).1.iter().filter(|restart| of_it(restart)).count(), 2);
        // It ended in order: nobody misses it.
        assert!(!unwell().iter().any(|line| line.contains("t-restarted")));
    }

    #[test]
    fn restarts_come_to_an_end() {
        let pauses: Vec<AfterEnd> = (0..6).map(|recent| next_step(OnPanic::Restart, recent)).collect();
        assert_eq!(pauses[0], AfterEnd::Restart(FIRST_PAUSE));
        assert_eq!(pauses[4], AfterEnd::Restart(FIRST_PAUSE * 16));
        assert_eq!(pauses[5], AfterEnd::StayOff);
        assert_eq!(next_step(OnPanic::RestartThenEnd, 5), AfterEnd::EndProgram);
        assert_eq!(next_step(OnPanic::EndProgram, 0), AfterEnd::EndProgram);
    }

    #[test]
    fn a_thread_that_does_not_move_is_named() {
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let thread = service("t-stuck")
            .beats_within(Duration::from_millis(1))
            .start(move || {
                beat();
                let _ = released.recv();
                Ok::<(), Stopped>(())
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
}
