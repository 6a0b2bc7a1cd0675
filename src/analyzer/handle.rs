//! The handle of the running analyzer: starts its thread, reads its snapshots, and ends it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::consumer::Consumer;
use super::setup::Setup;
use super::snapshot::Snapshot;
use crate::net::sched::yield_to_others;
use crate::record::Recorder;
use crate::tap::TapMessage;
use crate::util::os_error::describe;
use crate::util::stop::Stop;
use crate::util::supervise::service;
use crate::util::thread::join_within;

/// The supervisor reports the thread as stuck if its last heartbeat is older than this.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// The time for which the end of the program waits until the queue is read and a found block is recorded.
const FINISH_LIMIT: Duration = Duration::from_secs(15);
/// The number of starts that keep all state. After more panics, the cause is assumed to be in a session: all
/// sessions are forgotten, and followed again from their next bytes on.
const MAX_STARTS_WITH_STATE: u32 = 2;

/// The running analyzer.
#[derive(Debug)]
pub struct Analyzer {
    published: Published,
    recorder: Option<Recorder>,
    stop: Stop,
    is_ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The snapshots that the analyzer publishes. Reading one takes no lock.
#[derive(Debug, Clone)]
pub struct Published {
    newest: Arc<ArcSwap<Snapshot>>,
    /// Receives a message for each snapshot. The sender is dropped with the analyzer.
    renewed: Receiver<()>,
}

/// The analyzer has ended and publishes no more snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalyzerEnded;

impl Analyzer {
    /// Starts the thread. Copies go to the sender that is returned with it.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(setup: Setup) -> io::Result<(Analyzer, Sender<TapMessage>)> {
        let (sender, copies) = bounded(setup.analysis.queue);
        Ok((Analyzer::start_on(copies, setup)?, sender))
    }

    /// Starts the thread on a queue that exists already.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start_on(copies: Receiver<TapMessage>, setup: Setup) -> io::Result<Analyzer> {
        let (renews, renewed) = bounded(1);
        let (published, stop) = (Published { newest: Arc::default(), renewed }, Stop::new());
        let (recorder, is_ending) = (setup.recorder.clone(), Arc::new(AtomicBool::new(false)));
        let mut consumer =
            Consumer::new(copies, setup, (published.newest.clone(), renews), is_ending.clone());
        // Publishes the state that was loaded at the start.
        consumer.tick();
        let until = stop.clone();
        let mut starts = 0_u32;
        // If the thread fails again and again, it stays off. Miners are served without it.
        let thread = service("analyzer").beats_within(STUCK_AFTER).watched().start(move || {
            yield_to_others("the analyzer");
            starts += 1;
            consumer.resume(starts <= MAX_STARTS_WITH_STATE);
            consumer.consume(&until);
        })?;
        Ok(Analyzer { published, recorder, stop, is_ending, thread })
    }

    /// The newest snapshot, less than a second old.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.snapshot()
    }

    /// The published snapshots, for readers that do not own the analyzer.
    pub fn published(&self) -> Published {
        self.published.clone()
    }

    /// Announces the end of the program. The last snapshot keeps the miners whose sessions end from now on, because
    /// the program disconnects them.
    pub fn keep_ended_sessions(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// Reads the rest of the queue, flushes the records to the disk, and ends the thread.
    pub fn finish(self) -> Arc<Snapshot> {
        self.finish_within(FINISH_LIMIT)
    }

    /// Does the same as [`Analyzer::finish`], and waits no longer than `limit` for the queue to be read.
    pub fn finish_within(self, limit: Duration) -> Arc<Snapshot> {
        self.stop.stop();
        if !join_within(self.thread, limit) {
            log::error!(
                "the analyzer did not end within {} s: the last shares of the busiest sessions are not recorded",
                limit.as_secs()
            );
        }
        if let Some(recorder) = &self.recorder {
            if let Err(error) = recorder.finish() {
                log::error!("not all records were written to the disk: {}", describe(&error));
            }
        }
        self.published.snapshot()
    }
}

impl Published {
    /// The newest snapshot, less than a second old.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.newest.load_full()
    }

    /// Waits at most `limit` for the next snapshot. If several clones wait, one of them is woken.
    ///
    /// # Errors
    /// [`AnalyzerEnded`] if there will be no further snapshot.
    pub fn wait_for_next(&self, limit: Duration) -> Result<(), AnalyzerEnded> {
        match self.renewed.recv_timeout(limit) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(AnalyzerEnded),
        }
    }
}
