//! One client of a simulated pool: its connection and its jobs. Its requests are in `requests`, its
//! shares in `submit`.

use std::collections::{BTreeSet, VecDeque};
use std::net::{Shutdown, TcpStream};

use parking_lot::{Mutex, MutexGuard};

use super::SimPoolWorld;
use super::options::PoolOptions;
use super::outbox::Outgoing;
use crate::stratum::{
    Difficulty, Envelope, ErrorForm, Extranonce1, Notify, RefusalCode, StratumError, VersionMask, refuse_line,
};
use crossbeam_channel::Sender;

/// Jobs of a connection that are remembered, stale ones included.
const MAX_JOBS: usize = 64;

/// The id of a session; unique within a pool, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct SimSessionId(pub u64);

/// One client.
#[derive(Debug)]
pub(super) struct SimPoolSession {
    pub id: SimSessionId,
    stream: TcpStream,
    outbox: Sender<Outgoing>,
    state: Mutex<SimSessionState>,
}

/// The mutable state of a session.
#[derive(Debug)]
pub(super) struct SimSessionState {
    pub extranonce1: Extranonce1,
    pub subscribed: bool,
    pub subscribed_extranonce: bool,
    pub workers: BTreeSet<String>,
    /// The worker that the coinbase pays: the first that was authorised.
    pub worker: Option<String>,
    pub version_mask: Option<VersionMask>,
    pub difficulty: Difficulty,
    pub difficulty_sent: bool,
    pub jobs: VecDeque<Assigned>,
}

/// A job this client was given.
#[derive(Debug)]
pub(super) struct Assigned {
    pub job: Notify,
    pub extranonce1: Extranonce1,
    pub difficulty: Difficulty,
    pub stale: bool,
}

impl SimPoolSession {
    pub fn new(
        id: SimSessionId,
        stream: TcpStream,
        outbox: Sender<Outgoing>,
        extranonce1: Extranonce1,
        options: &PoolOptions,
    ) -> SimPoolSession {
        let state = SimSessionState {
            extranonce1,
            subscribed: false,
            subscribed_extranonce: false,
            workers: BTreeSet::new(),
            worker: None,
            version_mask: None,
            difficulty: options.difficulty,
            difficulty_sent: false,
            jobs: VecDeque::new(),
        };
        SimPoolSession { id, stream, outbox, state: Mutex::new(state) }
    }

    /// Ends the connection.
    pub fn close(&self) {
        // Gone already is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Answers one line.
    pub fn handle(&self, world: &SimPoolWorld, line: &[u8]) {
        if world.misbehaviour().silent || line.trim_ascii().is_empty() {
            return;
        }
        match Envelope::read(line) {
            // Without a method it is an answer to one of our own requests.
            Ok(request) => _ = request.method().map(|method| self.dispatch(world, &request, &method)),
            Err(_) => {
                self.send(Outgoing { last: true, ..Outgoing::now("Invalid JSON, disconnecting\n".into()) })
            }
        }
    }

    /// Gives the current job to a client that has had one; others get theirs when they ask. `clean`
    /// makes the ones before stale.
    pub fn renew_job(&self, world: &SimPoolWorld, clean: bool) {
        let mut state = self.lock();
        if state.jobs.is_empty() || world.misbehaviour().silent {
            return;
        }
        self.send_job_locked(world, &mut state, clean);
    }

    /// Changes the difficulty, and gives a job it holds for.
    pub fn change_difficulty(&self, world: &SimPoolWorld, difficulty: Difficulty) {
        let mut state = self.lock();
        if state.difficulty_sent {
            self.send_difficulty(&mut state, difficulty);
            self.send_job_locked(world, &mut state, false);
        } else {
            state.difficulty = difficulty;
        }
    }

    /// Changes the extranonce1 of a client that subscribed to that; says whether it did.
    pub fn change_extranonce1(&self, world: &SimPoolWorld, extranonce1: Extranonce1) -> bool {
        let mut state = self.lock();
        if !state.subscribed_extranonce {
            return false;
        }
        let size = world.options.extranonce2_size;
        self.send_line(format!(
            "{{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"{extranonce1}\",{size}]}}\n"
        ));
        state.extranonce1 = extranonce1;
        self.send_job_locked(world, &mut state, true);
        true
    }

    /// Sends a line as it is.
    pub fn send_line(&self, line: String) {
        self.send(Outgoing::now(line));
    }

    pub(super) fn send_job_locked(&self, world: &SimPoolWorld, state: &mut SimSessionState, clean: bool) {
        // What tells connections apart has to be somewhere in the coinbase.
        let mark = if world.options.extranonce1_length < 4 { Some(self.id.0 as u32) } else { None };
        let swap_after = world.misbehaviour().swap_payout_after;
        let is_swapped = swap_after.is_some_and(|limit| state.jobs.len() >= limit.min(MAX_JOBS));
        let worker = state.worker.as_deref().filter(|_| !is_swapped);
        let job = world.make_job(worker, mark, clean);
        if clean {
            state.jobs.iter_mut().for_each(|assigned| assigned.stale = true);
        }
        if state.jobs.len() >= MAX_JOBS {
            state.jobs.pop_front();
        }
        self.send_line(job.line());
        state.jobs.push_back(Assigned {
            job,
            extranonce1: state.extranonce1.clone(),
            difficulty: state.difficulty,
            stale: false,
        });
    }

    pub(super) fn send_difficulty(&self, state: &mut SimSessionState, difficulty: Difficulty) {
        state.difficulty = difficulty;
        self.resend_difficulty(state);
    }

    pub(super) fn resend_difficulty(&self, state: &mut SimSessionState) {
        state.difficulty_sent = true;
        let difficulty = state.difficulty;
        self.send_line(format!(
            "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{difficulty}]}}\n"
        ));
    }

    pub(super) fn refuse(
        &self,
        world: &SimPoolWorld,
        request: &Envelope<'_>,
        code: RefusalCode,
        reason: &str,
    ) {
        let form = world.options.error_form;
        let line = refuse_line(request.id(), &StratumError::new(code, reason), form);
        self.send(Outgoing { last: form == ErrorForm::PlainText, ..Outgoing::now(line) });
    }

    pub(super) fn send(&self, outgoing: Outgoing) {
        if self.outbox.try_send(outgoing).is_err() {
            // It does not read, or is gone.
            self.close();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SimSessionState> {
        self.state.lock()
    }
}
