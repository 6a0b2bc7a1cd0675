//! One connection to a pool: its state, its open requests, and the lines that are sent to it.
//! [`super::reader`] reads it.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::forwarded::Forwarded;
use super::pending::{PendingRequest, PendingRequests};
use super::state::ConnectionState;
use crate::analyzer::{POOL_LOST, POOL_SILENT, TOO_MANY_PENDING};
use crate::config::{self, Secret};
use crate::net::{Stamp, Stream};
use crate::proxy::aggregate::{Limits, Outbox, PoolName, Requester};
use crate::proxy::{ListenerContext, LogTopic};
use crate::stratum::{
    Difficulty, Login, RefusalCode, StratumError, configure_line, request_line, subscribe_line,
};
use crate::tap::{Conversation, Tap};
use crate::upstream::UpstreamId;

/// The fewest version bits that are worth rolling, as sent in `mining.configure`.
const MIN_ROLLED_BITS: u32 = 2;

#[derive(Debug)]
pub(crate) struct SharedConnection {
    pub(crate) upstream: UpstreamId,
    /// The pool's configuration, among it the user that it knows us by.
    pub(crate) configured: Arc<config::UpstreamConfig>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) conversation: Arc<Conversation>,
    pub(crate) outbox: Outbox,
    pending: Mutex<PendingRequests>,
    /// Notified when the pool owes fewer answers.
    answered: Condvar,
    /// The shares that were sent.
    pub(crate) forwarded: Mutex<Forwarded>,
    connection_state: Mutex<ConnectionState>,
    /// The bits of the pool's present difficulty.
    difficulty: AtomicU64,
    /// The number of times that the pool has cleaned its jobs.
    generation: AtomicU64,
    is_over: AtomicBool,
}

impl SharedConnection {
    pub(crate) fn new(
        (upstream, configured): (UpstreamId, Arc<config::UpstreamConfig>),
        stream: Arc<Stream>,
        conversation: Arc<Conversation>,
        tap: Tap,
        limits: Limits,
    ) -> SharedConnection {
        let outbox = Outbox::new(tap, limits.of_pool());
        outbox.open(stream.clone());
        SharedConnection {
            upstream,
            configured,
            stream,
            conversation,
            outbox,
            pending: Mutex::default(),
            answered: Condvar::new(),
            forwarded: Mutex::default(),
            connection_state: Mutex::default(),
            difficulty: AtomicU64::new(Difficulty::ONE.value().to_bits()),
            generation: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Runs the thread that sends what waits.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn run_outbox(&self) -> std::io::Result<()> {
        let never = Duration::from_secs(365 * 86_400);
        let result = self.outbox.run(never, |_| ());
        self.stream.abort();
        result
    }

    /// Sends `mining.configure`, if asked to, and `mining.subscribe`.
    pub(crate) fn open(&self, configure: bool) {
        if configure {
            self.ask(PendingRequest::Configure, |id| configure_line(id, Some(MIN_ROLLED_BITS)));
        } else {
            self.connection_state().knows_mask = true;
        }
        let agent = concat!("sluice/", env!("CARGO_PKG_VERSION"));
        self.ask(PendingRequest::Subscribe, |id| subscribe_line(id, agent));
    }

    /// Authorizes a name, unless that was done within `again`.
    pub(crate) fn authorize(&self, name: &PoolName, password: &str, again: Duration) {
        if self.connection_state().names.ask(name, again, Instant::now()) {
            let request = PendingRequest::Authorize { name: name.clone(), password: None, requester: None };
            let login = Login::new(name.0.as_str(), password);
            self.ask(request, |id| login.authorize_line(id));
        }
    }

    /// Authorizes the name of a miner that waits for the verdict.
    ///
    /// # Errors
    /// Gives the requester back, which must be answered in another way.
    pub(crate) fn authorize_for(
        &self,
        name: &PoolName,
        password: Option<Secret>,
        requester: Requester,
    ) -> Result<(), Requester> {
        self.connection_state().names.note(name, Instant::now());
        let login = Login::new(name.0.as_str(), password.as_ref().map_or("", Secret::expose));
        let request = PendingRequest::Authorize { name: name.clone(), password, requester: Some(requester) };
        match self.ask(request, |id| login.authorize_line(id)) {
            Some(PendingRequest::Authorize { requester: Some(requester), .. }) => Err(requester),
            _ => Ok(()),
        }
    }

    /// The reason that no one is credited here, for people.
    pub(crate) fn refusal(&self) -> String {
        let connection_state = self.connection_state();
        let of_name = connection_state
            .names
            .first_refusal()
            .map(|(name, refusal)| format!("it refuses {name}: {}", refusal.reason));
        of_name.unwrap_or_else(|| "it credits nobody".to_owned())
    }

    /// Whether it has accepted a miner, or may, and has given no job. It owes none to miners that it refuses.
    pub(crate) fn owes_work(&self) -> bool {
        let connection_state = self.connection_state();
        connection_state.newest.is_none() && connection_state.names.has_unrefused()
    }

    /// A login that the pool has accepted here.
    pub(crate) fn login(&self) -> Option<Login> {
        let connection_state = self.connection_state();
        let (name, password) = connection_state.names.accepted()?;
        Some(Login::new(name.0.clone(), password.unwrap_or(&self.configured.password).expose()))
    }

    /// Whether nothing more is to be expected of it: it has ended, or is about to be left.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_over() || self.connection_state().unusable.is_some()
    }

    /// Forwards a share. `params` are those of `mining.submit`. Waits until `deadline` if the pool owes very
    /// many answers.
    ///
    /// # Errors
    /// Gives the requester back, and the error to answer it with.
    pub(crate) fn submit(
        &self,
        requester: Requester,
        params: &serde_json::Value,
        since: Stamp,
        deadline: Instant,
    ) -> Result<(), (Requester, StratumError)> {
        let lost = |requester| {
            let reason = "Stale share: its connection to the pool is gone";
            Err((requester, StratumError::new(RefusalCode::JobNotFound, reason)))
        };
        if self.is_over() {
            return lost(requester);
        }
        let request = PendingRequest::Submit { requester };
        let id = match self.pending_with_room(deadline).ask(request, Instant::now()) {
            Ok(id) => id,
            Err(PendingRequest::Submit { requester }) => {
                return Err((requester, StratumError::new(RefusalCode::Other, TOO_MANY_PENDING)));
            }
            // No other request was put in.
            Err(_) => return Ok(()),
        };
        if self.outbox.send(request_line(id, "mining.submit", params), since) {
            return Ok(());
        }
        // The thread that ends the connection answers what waits. If that was before this request was noted,
        // it is done here.
        match self.pending.lock().answered(id) {
            Some((PendingRequest::Submit { requester }, _)) => lost(requester),
            _ => Ok(()),
        }
    }

    /// Logs a line about the pool.
    pub(crate) fn log(&self, listener_context: &ListenerContext, text: &dyn Display) {
        listener_context.log_peer(self.conversation.miner(), LogTopic::Pool, text);
    }

    /// Answers a request of the pool's.
    pub(crate) fn answer(&self, line: String) {
        self.outbox.send(line, Stamp::now());
    }

    /// Takes the open request of this id, and when it was sent.
    pub(crate) fn answered(&self, id: u64) -> Option<(PendingRequest, Instant)> {
        let answered = self.pending.lock().answered(id);
        self.answered.notify_one();
        answered
    }

    /// Gives up requests that have waited too long for the pool: shares after `share`, and authorizes, once
    /// one was accepted, after `verdict`.
    pub(crate) fn expire(&self, share: Duration, verdict: Duration) {
        let now = Instant::now();
        let verdict = if self.connection_state().names.has_accepted() { verdict } else { share };
        let (late, owes_verdict) = {
            let mut pending = self.pending.lock();
            let owes_verdict = pending.owes_verdict(verdict, now);
            (pending.expired(share, verdict, now), owes_verdict)
        };
        self.answered.notify_all();
        let (names, late): (Vec<_>, Vec<_>) =
            late.into_iter().partition(|request| matches!(request, PendingRequest::Authorize { .. }));
        if owes_verdict && self.connection_state().names.note_unanswered() {
            // Miners that wait for a verdict are credited as the first one was.
            names.into_iter().for_each(accept_unjudged);
        } else {
            give_up(names, &StratumError::new(RefusalCode::Other, POOL_SILENT));
        }
        give_up(late, &StratumError::new(RefusalCode::Other, POOL_SILENT));
    }

    /// Ends the connection, and answers all that waits for it.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.outbox.close();
        let open = self.pending.lock().take_all();
        self.answered.notify_all();
        give_up(open, &StratumError::new(RefusalCode::Other, POOL_LOST));
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(crate) fn difficulty(&self) -> Difficulty {
        let value = f64::from_bits(self.difficulty.load(Ordering::Acquire));
        Difficulty::new(value).unwrap_or(Difficulty::ONE)
    }

    pub(crate) fn set_difficulty(&self, difficulty: Difficulty) {
        self.difficulty.store(difficulty.value().to_bits(), Ordering::Release);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Notes that all jobs until now are dead.
    pub(crate) fn next_generation(&self) -> u64 {
        self.forwarded.lock().rotate();
        self.generation.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn connection_state(&self) -> MutexGuard<'_, ConnectionState> {
        // Each change is complete in itself.
        self.connection_state.lock()
    }

    /// Sends a request. `None` when it was sent; else the request, which will not be answered.
    fn ask(&self, request: PendingRequest, line: impl FnOnce(u64) -> String) -> Option<PendingRequest> {
        let id = match self.pending.lock().ask(request, Instant::now()) {
            Ok(id) => id,
            Err(request) => return Some(request),
        };
        if self.outbox.send(line(id), Stamp::now()) {
            return None;
        }
        self.pending.lock().answered(id).map(|(request, _)| request)
    }

    fn pending_with_room(&self, deadline: Instant) -> MutexGuard<'_, PendingRequests> {
        let mut pending = self.pending.lock();
        self.answered.wait_while_until(
            &mut pending,
            |pending| pending.is_full() && !self.is_over(),
            deadline,
        );
        pending
    }
}

/// Answers requests that the pool will not answer.
pub(crate) fn give_up(open: Vec<PendingRequest>, refusal: &StratumError) {
    for request in open {
        let is_authorize = matches!(request, PendingRequest::Authorize { .. });
        let (PendingRequest::Submit { requester }
        | PendingRequest::Authorize { requester: Some(requester), .. }) = request
        else {
            continue;
        };
        requester.refuse(refusal, Stamp::now());
        if is_authorize {
            // The miner must not take its name for unknown: it authorizes again after a reconnect.
            requester.miner.upgrade().iter().for_each(|miner| miner.disconnect());
        }
    }
}

/// Accepts a miner on whose name the pool has no opinion.
fn accept_unjudged(request: PendingRequest) {
    let PendingRequest::Authorize { requester: Some(requester), .. } = request else { return };
    requester.accept(Stamp::now());
    if let Some(miner) = requester.miner.upgrade() {
        miner.work().is_authorized = true;
        if let Some(group) = miner.group() {
            group.send_current_job(&miner);
        }
    }
}
