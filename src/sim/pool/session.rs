//! One client of a simulated pool: its requests and their answers, its jobs and shares.

use std::collections::{BTreeSet, VecDeque};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::World;
use super::judge::{Assignment, judge, unreadable};
use super::options::{OpeningOrder, PoolOptions};
use super::outbox::{Outbox, Outgoing};
use super::stats::AcceptedShare;
use super::vardiff::ShareRate;
use crate::stop::Stop;
use crate::stratum::{
    ConfigureAnswer, ConfigureRequest, Difficulty, Envelope, ErrorForm, Extranonce1, Notify, Refusal,
    RefusalCode, Submit, SubscribeAnswer, VersionMask, accepted, elements, first_text, refused, result,
};
use crate::work::{BlockHash, Target, share_difficulty};

/// Jobs of a connection that are remembered, stale ones included.
const MAX_JOBS: usize = 64;

/// Workers that may be authorised on one connection.
const MAX_WORKERS: usize = 1000;

/// How long an OCEAN-like pool takes to answer configure, and to send its set_version_mask.
const OCEAN_CONFIGURE: Duration = Duration::from_millis(50);
const OCEAN_VERSION_MASK: Duration = Duration::from_secs(1);

/// Which session; unique within a pool.
pub(super) type SessionId = u64;

/// One client.
#[derive(Debug)]
pub(super) struct Session {
    pub id: SessionId,
    /// Set when the session is over.
    pub over: Stop,
    stream: TcpStream,
    outbox: Outbox,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    extranonce1: Extranonce1,
    subscribed: bool,
    subscribed_extranonce: bool,
    workers: BTreeSet<String>,
    /// Whom the coinbase pays: the first that was authorised.
    worker: Option<String>,
    version_mask: Option<VersionMask>,
    difficulty: Difficulty,
    difficulty_sent: bool,
    rate: ShareRate,
    jobs: VecDeque<Assigned>,
    lines: u64,
}

/// A job this client was given.
#[derive(Debug)]
struct Assigned {
    job: Notify,
    extranonce1: Extranonce1,
    difficulty: Difficulty,
    stale: bool,
}

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Continue,
    Close,
}

impl Session {
    pub fn new(
        id: SessionId,
        stream: TcpStream,
        outbox: Outbox,
        extranonce1: Extranonce1,
        options: &PoolOptions,
    ) -> Session {
        let state = State {
            extranonce1,
            subscribed: false,
            subscribed_extranonce: false,
            workers: BTreeSet::new(),
            worker: None,
            version_mask: None,
            difficulty: options.difficulty,
            difficulty_sent: false,
            rate: ShareRate::new(Instant::now()),
            jobs: VecDeque::new(),
            lines: 0,
        };
        Session { id, over: Stop::new(), stream, outbox, state: Mutex::new(state) }
    }

    /// Ends the connection.
    pub fn close(&self) {
        self.over.stop();
        // Gone already is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Answers one line.
    pub fn handle(&self, world: &World, line: &[u8]) -> Next {
        let misbehaviour = world.misbehaviour();
        let lines = {
            let mut state = self.lock();
            state.lines += 1;
            state.lines
        };
        if misbehaviour.close_after.is_some_and(|limit| lines > limit) {
            return Next::Close;
        }
        if misbehaviour.stop_reading_after.is_some_and(|limit| lines > limit) {
            self.over.wait();
            return Next::Close;
        }
        if misbehaviour.silent || line.trim_ascii().is_empty() {
            return Next::Continue;
        }
        let Ok(request) = Envelope::read(line) else {
            self.send(Outgoing { last: true, ..Outgoing::now("Invalid JSON, disconnecting\n".into()) });
            return Next::Continue;
        };
        // An answer to one of our own requests.
        let Some(method) = request.method() else {
            return Next::Continue;
        };
        self.dispatch(world, &request, &method);
        Next::Continue
    }

    /// Gives the current job to a client that has had one; others get theirs when they ask. `clean`
    /// makes the ones before stale.
    pub fn renew_job(&self, world: &World, clean: bool) {
        let mut state = self.lock();
        if state.jobs.is_empty() {
            return;
        }
        if let Some(vardiff) = world.options.vardiff {
            let current = state.difficulty;
            if let Some(new) = state.rate.silence(&vardiff, current, Instant::now()) {
                self.send_difficulty(&mut state, new);
            }
        }
        self.send_job_locked(world, &mut state, clean);
    }

    /// Changes the difficulty, and gives a job it holds for.
    pub fn change_difficulty(&self, world: &World, difficulty: Difficulty) {
        let mut state = self.lock();
        state.rate = ShareRate::new(Instant::now());
        if state.difficulty_sent {
            self.send_difficulty(&mut state, difficulty);
            self.send_job_locked(world, &mut state, false);
        } else {
            state.difficulty = difficulty;
        }
    }

    /// Changes the extranonce1 of a client that subscribed to that; says whether it did.
    pub fn change_extranonce1(&self, world: &World, extranonce1: Extranonce1) -> bool {
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

    fn dispatch(&self, world: &World, request: &Envelope<'_>, method: &str) {
        match method {
            "mining.configure" => self.configure(world, request),
            "mining.subscribe" => self.subscribe(world, request),
            "mining.authorize" => self.authorize(world, request),
            "mining.submit" => self.submit(world, request),
            "mining.extranonce.subscribe" => {
                if world.options.extranonce_subscribe {
                    self.lock().subscribed_extranonce = true;
                    self.send_line(accepted(request.id()));
                } else {
                    self.refuse(world, request.id(), &Refusal::new(RefusalCode::Other, "Not supported."));
                }
            }
            "mining.ping" => self.send_line(result(request.id(), "\"pong\"")),
            // A Bitaxe's way of answering a ping.
            "pong" => {}
            _ if method.starts_with("mining.suggest_difficulty") => self.suggest_difficulty(world, request),
            _ if world.options.opening == OpeningOrder::Ocean => {
                let refusal = Refusal::new(RefusalCode::MethodNotFound, "Method not found");
                self.refuse(world, request.id(), &refusal);
            }
            _ => self.refuse(world, request.id(), &Refusal::new(RefusalCode::Other, "Not supported.")),
        }
    }

    fn configure(&self, world: &World, request: &Envelope<'_>) {
        let Some(mask) = world.options.version_mask else {
            return self.refuse(world, request.id(), &Refusal::new(RefusalCode::Other, "Not supported."));
        };
        let asked = ConfigureRequest::from_params(request.params).version_rolling;
        let granted = asked.map(|asked| asked.intersection(mask)).filter(|granted| !granted.is_empty());
        self.lock().version_mask = granted;
        let answer = result(request.id(), &ConfigureAnswer { version_rolling: granted }.result());
        match (world.options.opening, granted) {
            (OpeningOrder::Ocean, Some(granted)) => {
                self.send(Outgoing::after(answer, OCEAN_CONFIGURE));
                let line = format!(
                    "{{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"{granted}\"]}}\n"
                );
                self.send(Outgoing::after(line, OCEAN_VERSION_MASK));
            }
            _ => self.send_line(answer),
        }
    }

    fn subscribe(&self, world: &World, request: &Envelope<'_>) {
        let mut state = self.lock();
        state.subscribed = true;
        world.stats.update(|stats| {
            stats.subscribed_ever += 1;
            stats.record_user_agent(first_text(request.params).unwrap_or_default());
        });
        let answer = SubscribeAnswer {
            extranonce1: state.extranonce1.clone(),
            extranonce2_size: world.options.extranonce2_size,
        };
        self.send_line(result(request.id(), &answer.result(&format!("{:08x}", self.id))));
        match world.options.opening {
            OpeningOrder::Ckpool => self.resend_difficulty(&mut state),
            OpeningOrder::CkpoolPooled | OpeningOrder::Ocean => {
                self.resend_difficulty(&mut state);
                self.send_job_locked(world, &mut state, true);
            }
            OpeningOrder::PublicPool | OpeningOrder::F2Pool => {}
        }
        // Some farm tools authorise before they subscribe; a job has to come from somewhere.
        if state.worker.is_some() && state.jobs.is_empty() {
            if !state.difficulty_sent {
                self.resend_difficulty(&mut state);
            }
            self.send_job_locked(world, &mut state, true);
        }
    }

    fn authorize(&self, world: &World, request: &Envelope<'_>) {
        let mut state = self.lock();
        if world.misbehaviour().refuse_authorize {
            return self.refuse(
                world,
                request.id(),
                &Refusal::new(RefusalCode::Unauthorized, "Invalid worker name"),
            );
        }
        let worker = first_text(request.params).unwrap_or_default();
        if state.workers.len() >= MAX_WORKERS {
            return self.refuse(
                world,
                request.id(),
                &Refusal::new(RefusalCode::Unauthorized, "Too many workers"),
            );
        }
        world.stats.update(|stats| stats.authorized_ever += 1);
        state.workers.insert(worker.clone());
        let first = state.worker.is_none();
        state.worker.get_or_insert(worker);
        let answer = accepted(request.id());
        if !first || !state.subscribed {
            return self.send_line(answer);
        }
        match world.options.opening {
            OpeningOrder::Ckpool => {
                self.send_job_locked(world, &mut state, true);
                self.resend_difficulty(&mut state);
                self.send_line(answer);
            }
            OpeningOrder::CkpoolPooled | OpeningOrder::Ocean => self.send_line(answer),
            OpeningOrder::PublicPool => {
                self.send_line(answer);
                if !state.difficulty_sent {
                    self.resend_difficulty(&mut state);
                }
                self.send_job_locked(world, &mut state, false);
            }
            OpeningOrder::F2Pool => {
                self.send_line(answer);
                self.resend_difficulty(&mut state);
                self.send_job_locked(world, &mut state, true);
            }
        }
    }

    fn suggest_difficulty(&self, world: &World, request: &Envelope<'_>) {
        let mut state = self.lock();
        let order = world.options.opening;
        if order == OpeningOrder::Ocean {
            let refusal = Refusal::new(RefusalCode::MethodNotFound, "Method not found");
            return self.refuse(world, request.id(), &refusal);
        }
        let suggested = suggested(request.params);
        let followed = suggested.filter(|_| world.options.follow_suggested_difficulty);
        match followed {
            Some(new) if new != state.difficulty => {
                self.send_difficulty(&mut state, new);
                if !state.jobs.is_empty() {
                    self.send_job_locked(world, &mut state, false);
                }
            }
            // public-pool's only answer, once a connection.
            _ if order == OpeningOrder::PublicPool && !state.difficulty_sent => {
                self.resend_difficulty(&mut state)
            }
            _ => {}
        }
    }

    fn submit(&self, world: &World, request: &Envelope<'_>) {
        let mut state = self.lock();
        let submit = Submit::from_params(request.params);
        let worker = submit.as_ref().map_or("", |submit| &submit.worker).to_owned();
        let (mut refusal, mut new_block) = (None, None);
        match self.judge(world, &mut state, submit) {
            Err(why) => refusal = Some(why),
            Ok(share) => {
                if share.is_block && world.options.blocks_from_shares {
                    new_block = Some(share.hash);
                }
                world.stats.update(|stats| stats.record_share(share));
                self.adapt_difficulty(world, &mut state);
            }
        }
        if refusal.is_none() && world.misbehaviour().reject_valid_shares {
            refusal = Some(Refusal::new(RefusalCode::LowDifficulty, "Above target"));
        }
        world.stats.update(|stats| stats.record_verdict(&worker, refusal.as_ref()));
        self.answer_submit(world, request.id(), refusal);
        drop(state);
        if let Some(found) = new_block {
            world.new_block(Some(found));
        }
    }

    fn judge(
        &self,
        world: &World,
        state: &mut State,
        submit: Result<Submit, crate::stratum::FieldError>,
    ) -> Result<AcceptedShare, Refusal> {
        if !state.subscribed {
            return Err(Refusal::new(RefusalCode::NotSubscribed, "Not subscribed"));
        }
        let submit = submit.map_err(|error| unreadable(&error))?;
        if !state.workers.contains(&submit.worker) {
            return Err(Refusal::new(RefusalCode::Unauthorized, "Unauthorized worker"));
        }
        let assigned = state.jobs.iter().rev().find(|assigned| assigned.job.job_id == submit.job_id);
        let Some(assigned) = assigned else {
            return Err(Refusal::new(RefusalCode::JobNotFound, "Job not found"));
        };
        let required = assigned.difficulty.min(state.difficulty);
        let assignment = Assignment {
            job: &assigned.job,
            extranonce1: &assigned.extranonce1,
            extranonce2_size: world.options.extranonce2_size,
            version_mask: state.version_mask,
            convention: world.options.version_convention,
            required,
            stale: assigned.stale,
        };
        let hash = world.with_seen(|seen| judge(&assignment, &submit, seen))?;
        let is_block = is_block(&hash, &assigned.job);
        Ok(AcceptedShare {
            worker: submit.worker,
            job_id: submit.job_id,
            hash,
            difficulty: share_difficulty(&hash),
            required,
            is_block,
        })
    }

    fn adapt_difficulty(&self, world: &World, state: &mut State) {
        let Some(vardiff) = world.options.vardiff else {
            return;
        };
        let current = state.difficulty;
        if let Some(new) = state.rate.share(&vardiff, current, Instant::now()) {
            self.send_difficulty(state, new);
            self.send_job_locked(world, state, false);
        }
    }

    fn answer_submit(&self, world: &World, id: &str, refusal: Option<Refusal>) {
        let misbehaviour = world.misbehaviour();
        if misbehaviour.swallow_submit_answers {
            return;
        }
        let form = world.options.error_form;
        let last = refusal.is_some() && form == ErrorForm::PlainText;
        let line = match refusal {
            None => accepted(id),
            Some(refusal) => refused(id, &refusal, form),
        };
        let due = misbehaviour.delay_submit_answers.map(|delay| Instant::now() + delay);
        self.send(Outgoing { due, last, ..Outgoing::now(line) });
    }

    fn send_job_locked(&self, world: &World, state: &mut State, clean: bool) {
        // What tells connections apart has to be somewhere in the coinbase.
        let mark = if world.options.extranonce1_length < 4 { Some(self.id as u32) } else { None };
        let job = world.make_job(state.worker.as_deref(), mark, clean);
        if clean {
            state.jobs.iter_mut().for_each(|assigned| assigned.stale = true);
        }
        if state.jobs.len() >= MAX_JOBS {
            state.jobs.pop_front();
        }
        let pace = world.misbehaviour().notify_byte_by_byte;
        self.send(Outgoing { pace, ..Outgoing::now(job.line()) });
        state.jobs.push_back(Assigned {
            job,
            extranonce1: state.extranonce1.clone(),
            difficulty: state.difficulty,
            stale: false,
        });
    }

    fn send_difficulty(&self, state: &mut State, difficulty: Difficulty) {
        state.difficulty = difficulty;
        self.resend_difficulty(state);
    }

    fn resend_difficulty(&self, state: &mut State) {
        state.difficulty_sent = true;
        let difficulty = state.difficulty;
        self.send_line(format!(
            "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{difficulty}]}}\n"
        ));
    }

    fn refuse(&self, world: &World, id: &str, refusal: &Refusal) {
        let form = world.options.error_form;
        let last = form == ErrorForm::PlainText;
        self.send(Outgoing { last, ..Outgoing::now(refused(id, refusal, form)) });
    }

    fn send(&self, outgoing: Outgoing) {
        if !self.outbox.push(outgoing) {
            // It does not read, or is gone.
            self.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_block(hash: &BlockHash, job: &Notify) -> bool {
    Target::from_nbits(job.nbits).is_ok_and(|target| target.is_met_by(hash))
}

/// The params of `mining.suggest_difficulty`: a number, or the same as text.
fn suggested(params: Option<&RawValue>) -> Option<Difficulty> {
    let elements = elements("params", params?).ok()?;
    Difficulty::from_json(elements.first()?).ok()
}
