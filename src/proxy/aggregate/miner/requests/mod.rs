//! Handles a miner's requests line by line. Its shares: [`submit`], and their version bits:
//! [`version_rolling`]; its lease: [`subscribe`]; the difficulty that it would like to begin with:
//! [`suggest`].

mod submit;
mod subscribe;
mod suggest;
mod version_rolling;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::analyzer::POOL_LOST;
use crate::config::Secret;
use crate::net::Stamp;
use crate::proxy::LogTopic;
use crate::proxy::aggregate::identity::NameFault;
use crate::proxy::aggregate::{Account, AggregateServices, ConnectedMiner, MinerName, Requester, WorkerName};
use crate::stratum::{
    Envelope, RefusalCode, StratumError, accept_line, elements, refuse_line, result_line, shortened,
    worker_name,
};
use crate::util::token_bucket::TokenBucket;

/// Caps the names of one connection; farm proxies authorize many.
const MAX_NAMES: usize = 1024;
/// The names that are authorized at once, and those per second after that.
const MAX_NAMES_AT_ONCE: f64 = 64.0;
const MAX_NAMES_PER_SECOND: f64 = 20.0;
/// Lines other than shares that are handled at once, as of a farm proxy that authorizes 1,000 workers and
/// sends a line for each, and those per second after that. A NerdMiner sends a line every 30 s.
const MAX_REQUESTS_AT_ONCE: f64 = 2048.0;
const MAX_REQUESTS_PER_SECOND: f64 = 20.0;
/// The faults of a miner at once, and those that are forgiven in a second. Honest miners have a few stale shares
/// after a block (a Bitaxe behind a slow line may send some seconds of them), a few low ones after a change of
/// difficulty, and a duplicate at times.
const MAX_FAULTS_AT_ONCE: f64 = 100.0;
const FAULTS_PER_SECOND: f64 = 1.0;
/// The time between two checks, while waiting, whether the miner is leaving.
const LEAVE_CHECK: Duration = Duration::from_millis(50);
/// Caps a request's id, in bytes. It is kept with the reply; an honest one has 20.
const MAX_ID: usize = 1024;

/// Whether the session continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    /// The session ends when everything was sent.
    Leave,
    /// The miner sent too much that no honest miner sends.
    Ban,
}

/// Follows one miner's requests.
pub(crate) struct MinerRequests {
    services: Arc<AggregateServices>,
    miner: Arc<ConnectedMiner>,
    /// Limits faults. Good shares make up for them, so that a miner that sends more good ones than bad ones is never
    /// closed.
    faults: TokenBucket,
    /// Limits new names.
    names: TokenBucket,
    /// Limits lines other than shares.
    requests: TokenBucket,
    /// The account of its names.
    account: Option<Account>,
    /// The account that it was taken for, of those that are expected at its address.
    guessed_account: Option<Account>,
    /// The account of an authorize in the same burst of bytes as the subscribe.
    account_ahead: Option<Account>,
    /// When a request of the last bytes stopped waiting for the pool. What came with it had to wait, too.
    waited: Option<Stamp>,
    /// The miner has authorized, and was not refused. Never taken back.
    is_authorized: bool,
}

impl MinerRequests {
    pub(crate) fn new(services: Arc<AggregateServices>, miner: Arc<ConnectedMiner>) -> MinerRequests {
        let now = Instant::now();
        let names = TokenBucket::new(MAX_NAMES_AT_ONCE, MAX_NAMES_PER_SECOND, now);
        MinerRequests {
            services,
            miner,
            faults: TokenBucket::new(MAX_FAULTS_AT_ONCE, FAULTS_PER_SECOND, now),
            names,
            requests: TokenBucket::new(MAX_REQUESTS_AT_ONCE, MAX_REQUESTS_PER_SECOND, now),
            account: None,
            guessed_account: None,
            account_ahead: None,
            waited: None,
            is_authorized: false,
        }
    }

    /// Whether the miner has authorized.
    pub(crate) fn is_authorized(&mut self) -> bool {
        self.is_authorized = self.is_authorized || self.miner.work().is_authorized;
        self.is_authorized
    }

    /// Looks for an authorize in new bytes: a miner that sends it in one burst with the subscribe gets the
    /// right search space at once.
    pub(crate) fn look_ahead(&mut self, bytes: &[u8]) {
        self.waited = None;
        if self.account.is_some() || self.miner.work().is_subscribed {
            return;
        }
        let name = bytes.split(|byte| *byte == b'\n').find_map(|line| {
            let message = Envelope::read(line).ok()?;
            (message.method().as_deref() == Some("mining.authorize")).then(|| self.name_in(&message))
        });
        self.account_ahead = name.map(|name| self.services.account(&name));
    }

    /// Handles a line.
    pub(crate) fn take(&mut self, line: &[u8], at: Stamp) -> Flow {
        if line.iter().all(u8::is_ascii_whitespace) {
            return self.unanswered();
        }
        let miner = self.miner.clone();
        let (mut work, has_waited) = miner.work_with_room();
        if has_waited {
            self.has_waited();
        }
        let at = self.since(at);
        let refusals = std::mem::take(&mut work.refusals);
        if (0..refusals).any(|_| self.fault() == Flow::Ban) {
            return Flow::Ban;
        }
        let is_leaving = miner.is_leaving();
        let message = Envelope::read(line);
        if let Some(share) = message.as_ref().ok().filter(|message| is_share(message)) {
            let then = self.submit(share, (&miner, work), at);
            return if is_leaving { Flow::Continue } else { then };
        }
        drop(work);
        if is_leaving {
            // Its shares still have a value, other requests do not.
            return Flow::Continue;
        }
        let Ok(message) = message else {
            self.refuse("null", RefusalCode::Other, "Not a Stratum message", at);
            return self.fault();
        };
        if message.id().len() > MAX_ID {
            self.refuse("null", RefusalCode::Other, "The id is too long", at);
            return self.fault();
        }
        let Some(method) = message.method() else {
            if message.result.is_some() || message.error.is_some() {
                // It is a reply to something that was sent to it.
                return self.unanswered();
            }
            self.refuse(message.id(), RefusalCode::Other, "There is no method", at);
            return self.fault();
        };
        if message.is_answer() {
            return self.unanswered();
        }
        if !self.requests.try_take(Instant::now()) {
            self.refuse(message.id(), RefusalCode::Other, "Too many requests", at);
            return self.fault();
        }
        match &*method {
            "mining.configure" => self.configure(&message, at),
            "mining.subscribe" => self.subscribe(&message, at),
            "mining.authorize" => {
                self.take_password_wish(&message);
                self.authorize(&message, at)
            }
            "mining.extranonce.subscribe" => {
                self.miner.work().wants_extranonce = true;
                self.answer(accept_line(message.id()), at)
            }
            "mining.ping" => self.answer(result_line(message.id(), "\"pong\""), at),
            "client.get_version" => {
                let version = concat!("\"sluice/", env!("CARGO_PKG_VERSION"), "\"");
                self.answer(result_line(message.id(), version), at)
            }
            "mining.multi_version" => self.answer(accept_line(message.id()), at),
            "mining.suggest_target" => self.suggest_target(&message, at),
            method if method.starts_with("mining.suggest_difficulty") => {
                self.suggest_difficulty(method, &message, at)
            }
            "login" | "submit" | "job" | "getjob" => self.wrong_coin(&message, at),
            method if method.starts_with("eth_") => self.wrong_coin(&message, at),
            _ => {
                self.refuse(message.id(), RefusalCode::Other, "Not supported.", at);
                self.fault()
            }
        }
    }

    fn authorize(&mut self, message: &Envelope<'_>, at: Stamp) -> Flow {
        let params = message.params.and_then(|params| elements("params", params).ok()).unwrap_or_default();
        let name = self.name_in(message);
        if let Some(fault) = self.services.name_fault(&name) {
            return self.refuse_name(&name, fault, message.id(), at);
        }
        self.miner.conversation.authorized.store(true, Ordering::Relaxed);
        let is_local = self.services.config.aggregate.local_authorize;
        let account = self.services.account(&name);
        let is_bound = is_local || self.miner.work().is_authorized;
        // The account with the pools that are listed now: others may have been listed since it authorized.
        let own = self.miner.work().workers.first().map(|worker| self.services.account(&worker.name));
        if is_bound && own.is_some_and(|own| own != account) {
            // All its work goes out on one connection to the pool.
            self.refuse(message.id(), RefusalCode::Unauthorized, "One account for each connection", at);
            return Flow::Continue;
        }
        let password = || params.get(1).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let password = (!is_local).then(|| Secret::new(shortened(&password().unwrap_or_default())));
        let worker = WorkerName { name, password };
        let Some(is_new) = self.keep_name(&worker, &account) else {
            self.refuse(message.id(), RefusalCode::Unauthorized, "Too many workers for one connection", at);
            return self.fault();
        };
        if is_new || !is_local {
            self.pace_names();
        }
        self.services.router.remember(self.miner.address().ip(), &account);
        self.account = Some(account.clone());
        if is_local {
            match self.known_refusal(&worker) {
                // It gets work all the same, if there is any: the pool may be asked again.
                Some(refusal) => {
                    self.miner.answer(refuse_line(message.id(), &refusal, Default::default()), at)
                }
                None => self.miner.answer(accept_line(message.id()), at),
            }
            if !self.join(&account) {
                return self.end_for_reconnect(&account);
            }
            self.guessed_account = None;
            self.miner.work().is_authorized = true;
            if let Some(group) = self.miner.group() {
                group.authorize(&worker);
            }
            self.send_current_job();
            return Flow::Continue;
        }
        self.authorize_at_pool(&worker, &account, message.id(), at)
    }

    /// The name in an authorize.
    fn name_in(&self, message: &Envelope<'_>) -> MinerName {
        MinerName::new(self.services.naming.text(&worker_name(message.params)))
    }

    /// Refuses a name for which no one could be credited, rather than accept it and never send a job.
    fn refuse_name(&mut self, name: &MinerName, fault: NameFault, id: &str, at: Stamp) -> Flow {
        let text = format!("authorize refused: {fault} (it is {:?}); set it in the miner", name.as_str());
        self.log(LogTopic::Refused, &text);
        self.refuse(id, RefusalCode::Unauthorized, &fault.to_string(), at);
        self.fault()
    }

    /// The pool's refusal of this name, if it has refused it.
    fn known_refusal(&self, worker: &WorkerName) -> Option<StratumError> {
        let connection = self.miner.group()?.connection()?;
        let name = self.services.naming.at_pool(&worker.name, &connection.configured.user);
        connection.connection_state().refusal_of(&name)
    }

    /// Keeps a name, and returns whether it is new. `None` when there are too many.
    fn keep_name(&mut self, worker: &WorkerName, account: &Account) -> Option<bool> {
        let mut work = self.miner.work();
        let before = work.workers.len();
        work.workers.retain(|old| old.name != worker.name && self.services.account(&old.name) == *account);
        let is_new = work.workers.len() == before;
        if work.workers.len() >= MAX_NAMES {
            return None;
        }
        work.workers.push(worker.clone());
        Some(is_new)
    }

    /// Slows down new names. Each is a request to the pool, on a connection that others share: a miner with
    /// very many waits, and all its other requests wait, too.
    fn pace_names(&mut self) {
        let until = Instant::now() + self.names.take(Instant::now());
        while Instant::now() < until && !self.miner.is_leaving() {
            std::thread::sleep(until.saturating_duration_since(Instant::now()).min(LEAVE_CHECK));
        }
    }

    /// Moves the miner to a group of its own account's, now that the account is known. `false` if it can't
    /// get new extranonces and must reconnect; then it is right at once.
    fn join(&mut self, account: &Account) -> bool {
        let Some(group) = self.miner.group() else { return true };
        if account.0.is_empty() || group.claim(account) {
            return true;
        }
        self.services.router.remove(&self.miner);
        if !self.miner.work().can_move() {
            return false;
        }
        // Its first job comes with the search space.
        self.miner.work().is_authorized |= self.services.config.aggregate.local_authorize;
        let deadline = Instant::now() + self.services.config.failover.connect_deadline;
        self.take_lease(Some(account), deadline).is_ok()
    }

    /// Ends the session of a miner that was taken for another's. It will be right after the reconnect, so
    /// that this is not its fault.
    fn end_for_reconnect(&mut self, account: &Account) -> Flow {
        let address = self.miner.address().ip();
        if self.services.router.expect_reconnect(address, account, self.guessed_account.take()) {
            self.services.listener_context.gatekeeper.pardon(address, Instant::now());
        }
        Flow::Leave
    }

    fn authorize_at_pool(&mut self, worker: &WorkerName, account: &Account, id: &str, at: Stamp) -> Flow {
        if self.miner.group().is_none() {
            // It authorizes before it subscribes.
            let deadline = Instant::now() + self.services.config.failover.connect_deadline;
            if let Err(why) = self.take_lease(Some(account), deadline) {
                return self.refuse_lease(&why, id, at);
            }
        } else if !self.join(account) {
            return self.end_for_reconnect(account);
        }
        let Some(connection) = self.miner.group().and_then(|group| group.connection()) else {
            self.refuse(id, RefusalCode::Other, "No pool", at);
            return Flow::Leave;
        };
        let pool_name = self.services.naming.at_pool(&worker.name, &connection.configured.user);
        if connection.connection_state().names.would_accept(&pool_name, worker.password.as_ref()) {
            // The pool would answer the same again, or not at all (wire reference, section 2.2).
            self.answer(accept_line(id), at);
            self.miner.work().is_authorized = true;
            self.send_current_job();
            return Flow::Continue;
        }
        let Some(slot) = self.miner.reserve(id) else {
            self.refuse(id, RefusalCode::Other, "Too many requests wait for the pool", at);
            return Flow::Leave;
        };
        let requester =
            Requester { miner: Arc::downgrade(&self.miner), slot, id: id.into(), is_good_here: false };
        if let Err(requester) = connection.authorize_for(&pool_name, worker.password.clone(), requester) {
            requester.refuse(&StratumError::new(RefusalCode::Other, POOL_LOST), at);
            return Flow::Leave;
        }
        Flow::Continue
    }

    fn wrong_coin(&mut self, message: &Envelope<'_>, at: Stamp) -> Flow {
        self.refuse(message.id(), RefusalCode::Other, "This is a Bitcoin pool (Stratum V1)", at);
        let text = "closed: it is a miner for another coin";
        self.log(LogTopic::Refused, &text);
        Flow::Leave
    }

    /// Notes that a request had to wait for the pool. That is not Sluice's delay.
    fn has_waited(&mut self) {
        self.waited = Some(Stamp::now());
    }

    /// The time from which the delay of a request that came at this time counts.
    fn since(&self, at: Stamp) -> Stamp {
        self.waited.map_or(at, |waited| waited.max(at))
    }

    fn send_current_job(&self) {
        if let Some(group) = self.miner.group() {
            group.send_current_job(&self.miner);
        }
    }

    fn answer(&self, line: String, at: Stamp) -> Flow {
        self.miner.answer(line, at);
        Flow::Continue
    }

    fn refuse(&self, id: &str, code: RefusalCode, reason: &str, at: Stamp) {
        self.miner.answer(refuse_line(id, &StratumError::new(code, reason), Default::default()), at);
    }

    /// Logs a line about the miner.
    fn log(&self, topic: LogTopic, text: &dyn Display) {
        self.services.listener_context.log_peer(self.miner.address(), topic, text);
    }

    /// Handles a line that needs no reply. Very many are a fault all the same.
    fn unanswered(&mut self) -> Flow {
        if self.requests.try_take(Instant::now()) { Flow::Continue } else { self.fault() }
    }

    fn fault(&mut self) -> Flow {
        if self.faults.take(Instant::now()).is_zero() { Flow::Continue } else { Flow::Ban }
    }
}

/// Whether a line is a share. One with an id that is too long is refused unread.
fn is_share(message: &Envelope<'_>) -> bool {
    message.method().as_deref() == Some("mining.submit")
        && message.id().len() <= MAX_ID
        && !message.is_answer()
}
