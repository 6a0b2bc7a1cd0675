//! Requests of a miner, line by line, and their answers. Its shares: [`submit`], and their version
//! bits: [`version_rolling`]; its place: [`subscribe`]; what it would like to begin with: [`suggest`].

mod submit;
mod subscribe;
mod suggest;
mod version_rolling;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::ConnectedMiner;
use super::fault_budget::FaultBudget;
use crate::analyzer::POOL_LOST;
use crate::config::Secret;
use crate::net::Stamp;
use crate::proxy::aggregate::AggregateServices;
use crate::proxy::aggregate::identity::{Account, MinerName, NameFault, WorkerName};
use crate::proxy::aggregate::pool::pending::Requester;
use crate::proxy::{LogTopic, say};
use crate::stratum::{
    Envelope, RefusalCode, StratumError, accept_line, elements, refuse_line, result_line, shortened,
    worker_name,
};
use crate::util::token_bucket::TokenBucket;

/// The most names of one connection; farm proxies authorize many.
const MOST_NAMES: usize = 1024;
/// So many of them are asked about at once, and so many a second then.
const NAMES_AT_ONCE: f64 = 64.0;
const NAMES_PER_SECOND: f64 = 20.0;
/// Lines other than shares: so many at once, as of a farm proxy that authorizes 1,000 workers and says
/// something for each, and so many a second then. A NerdMiner says something every 30 s.
const REQUESTS_AT_ONCE: f64 = 2048.0;
const REQUESTS_PER_SECOND: f64 = 20.0;
/// How often one that waits looks whether it has to leave.
const LOOK: Duration = Duration::from_millis(50);
/// The longest id, in bytes. It is kept with the answer; an honest one has 20.
const MOST_ID: usize = 1024;

/// Whether the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    GoOn,
    /// It ends when everything was sent.
    Leave,
    /// It did too much that no miner does.
    Ban,
}

/// Follows one miner's requests.
pub(crate) struct MinerRequests {
    services: Arc<AggregateServices>,
    miner: Arc<ConnectedMiner>,
    budget: FaultBudget,
    /// New names.
    names: TokenBucket,
    /// Lines other than shares.
    requests: TokenBucket,
    /// Whose it has said it is.
    account: Option<Account>,
    /// Whose it was taken for, of those who are expected at its address.
    taken_for: Option<Account>,
    /// Whose it is about to say it is: some say everything in one burst.
    foreseen: Option<Account>,
    /// Until when a request of the last bytes had to wait for the pool, and what came with it too.
    waited: Option<Stamp>,
    /// The miner has said who it is, and was not refused. Never taken back.
    is_authorized: bool,
}

impl MinerRequests {
    pub(crate) fn new(services: Arc<AggregateServices>, miner: Arc<ConnectedMiner>) -> MinerRequests {
        let now = Instant::now();
        let names = TokenBucket::new(NAMES_AT_ONCE, NAMES_PER_SECOND, now);
        MinerRequests {
            services,
            miner,
            budget: FaultBudget::new(now),
            names,
            requests: TokenBucket::new(REQUESTS_AT_ONCE, REQUESTS_PER_SECOND, now),
            account: None,
            taken_for: None,
            foreseen: None,
            waited: None,
            is_authorized: false,
        }
    }

    /// Whether the miner has said who it is.
    pub(crate) fn is_authorized(&mut self) -> bool {
        self.is_authorized = self.is_authorized || self.miner.desk().is_authorized;
        self.is_authorized
    }

    /// Bytes have come. Looks ahead: who says who it is at once gets the right search space at once.
    pub(crate) fn foresee(&mut self, bytes: &[u8]) {
        self.waited = None;
        if self.account.is_some() || self.miner.desk().is_subscribed {
            return;
        }
        let name = bytes.split(|byte| *byte == b'\n').find_map(|line| {
            let message = Envelope::read(line).ok()?;
            (message.method().as_deref() == Some("mining.authorize")).then(|| self.name_in(&message))
        });
        self.foreseen = name.map(|name| self.services.account(&name));
    }

    /// Takes a line.
    pub(crate) fn take(&mut self, line: &[u8], at: Stamp) -> Flow {
        if line.iter().all(u8::is_ascii_whitespace) {
            return self.unanswered();
        }
        let miner = self.miner.clone();
        let (mut desk, has_waited) = miner.desk_with_room();
        if has_waited {
            self.has_waited();
        }
        let at = self.since(at);
        let refusals = std::mem::take(&mut desk.refusals);
        if (0..refusals).any(|_| self.fault() == Flow::Ban) {
            return Flow::Ban;
        }
        let is_leaving = miner.is_leaving();
        let message = Envelope::read(line);
        if let Some(share) = message.as_ref().ok().filter(|message| is_share(message)) {
            let then = self.submit(share, (&miner, desk), at);
            return if is_leaving { Flow::GoOn } else { then };
        }
        drop(desk);
        if is_leaving {
            // Its shares are still worth something, nothing else is.
            return Flow::GoOn;
        }
        let Ok(message) = message else {
            self.refuse("null", RefusalCode::Other, "Not a Stratum message", at);
            return self.fault();
        };
        if message.id().len() > MOST_ID {
            self.refuse("null", RefusalCode::Other, "The id is too long", at);
            return self.fault();
        }
        let Some(method) = message.method() else {
            if message.result.is_some() || message.error.is_some() {
                // An answer to something that was said to it.
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
                self.heed_password(&message);
                self.authorize(&message, at)
            }
            "mining.extranonce.subscribe" => {
                self.miner.desk().wants_extranonce = true;
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
        let is_bound = is_local || self.miner.desk().is_authorized;
        // As it is reckoned now: other pools may be listed since it said so.
        let own = self.miner.desk().workers.first().map(|worker| self.services.account(&worker.name));
        if is_bound && own.is_some_and(|own| own != account) {
            // All its work is on one connection to the pool.
            self.refuse(message.id(), RefusalCode::Unauthorized, "One account for each connection", at);
            return Flow::GoOn;
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
        self.services.hub.remember(self.miner.address().ip(), &account);
        self.account = Some(account.clone());
        if is_local {
            match self.known_refusal(&worker) {
                // It gets its work all the same, if there is any: the pool may be asked again.
                Some(refusal) => {
                    self.miner.answer(refuse_line(message.id(), &refusal, Default::default()), at)
                }
                None => self.miner.answer(accept_line(message.id()), at),
            }
            if !self.join(&account) {
                return self.come_again(&account);
            }
            self.taken_for = None;
            self.miner.desk().is_authorized = true;
            if let Some(link) = self.miner.link() {
                link.authorize(&worker);
            }
            self.begin();
            return Flow::GoOn;
        }
        self.authorize_at_pool(&worker, &account, message.id(), at)
    }

    /// The name that an authorize gives.
    fn name_in(&self, message: &Envelope<'_>) -> MinerName {
        MinerName::new(self.services.naming.text(&worker_name(message.params)))
    }

    /// Nobody could be credited for its work. It is told so, rather than let in and never given a job.
    fn refuse_name(&mut self, name: &MinerName, fault: NameFault, id: &str, at: Stamp) -> Flow {
        let text = format!("authorize refused: {fault} (it is {:?}); set it in the miner", name.as_str());
        say(&self.services.reception, self.miner.address(), LogTopic::Refused, &text);
        self.refuse(id, RefusalCode::Unauthorized, &fault.to_string(), at);
        self.fault()
    }

    /// What the pool has said of this name, if it has refused it.
    fn known_refusal(&self, worker: &WorkerName) -> Option<StratumError> {
        let connection = self.miner.link()?.connection()?;
        let name = self.services.naming.at_pool(&worker.name, &connection.configured.user);
        connection.refusal_of(&name)
    }

    /// Notes who it has said it is, and whether that is new. `None` when those are too many.
    fn keep_name(&mut self, worker: &WorkerName, account: &Account) -> Option<bool> {
        let mut desk = self.miner.desk();
        let before = desk.workers.len();
        desk.workers.retain(|old| old.name != worker.name && self.services.account(&old.name) == *account);
        let is_new = desk.workers.len() == before;
        if desk.workers.len() >= MOST_NAMES {
            return None;
        }
        desk.workers.push(worker.clone());
        Some(is_new)
    }

    /// Each new name is a question to the pool, on a connection that others share: who has very many
    /// waits, and everything else it says waits with it.
    fn pace_names(&mut self) {
        let until = Instant::now() + self.names.take(Instant::now());
        while Instant::now() < until && !self.miner.is_leaving() {
            std::thread::sleep(until.saturating_duration_since(Instant::now()).min(LOOK));
        }
    }

    /// The account is known now: the miner must be on a link of its own account's. `false`: it has no
    /// way of being told of another search space, and must connect again; then it is right at once.
    fn join(&mut self, account: &Account) -> bool {
        let Some(link) = self.miner.link() else { return true };
        if account.0.is_empty() || link.claim(account) {
            return true;
        }
        self.services.hub.part(&self.miner);
        if !self.miner.desk().can_move() {
            return false;
        }
        // Its first job comes with the search space.
        self.miner.desk().is_authorized |= self.services.config.aggregate.local_authorize;
        let deadline = Instant::now() + self.services.config.failover.connect_deadline;
        self.take_seat(Some(account), deadline).is_ok()
    }

    /// It was taken for another's, and will be right the next time: that is no fault of its own.
    fn come_again(&mut self, account: &Account) -> Flow {
        let address = self.miner.address().ip();
        if self.services.hub.expect(address, account, self.taken_for.take()) {
            self.services.reception.gatekeeper.pardon(address, Instant::now());
        }
        Flow::Leave
    }

    fn authorize_at_pool(&mut self, worker: &WorkerName, account: &Account, id: &str, at: Stamp) -> Flow {
        if self.miner.link().is_none() {
            // It says who it is before it subscribes.
            let deadline = Instant::now() + self.services.config.failover.connect_deadline;
            if let Err(why) = self.take_seat(Some(account), deadline) {
                return self.no_seat(&why, id, at);
            }
        } else if !self.join(account) {
            return self.come_again(account);
        }
        let Some(connection) = self.miner.link().and_then(|link| link.connection()) else {
            self.refuse(id, RefusalCode::Other, "No pool", at);
            return Flow::Leave;
        };
        let pool_name = self.services.naming.at_pool(&worker.name, &connection.configured.user);
        if connection.facts().names.vouches_for(&pool_name, worker.password.as_ref()) {
            // The pool would say the same again, or nothing at all (wire reference, section 2.2).
            self.answer(accept_line(id), at);
            self.miner.desk().is_authorized = true;
            self.begin();
            return Flow::GoOn;
        }
        let Some(place) = self.miner.reserve(id) else {
            self.refuse(id, RefusalCode::Other, "Too many requests wait for the pool", at);
            return Flow::Leave;
        };
        let asker =
            Requester { miner: Arc::downgrade(&self.miner), place, id: id.into(), is_good_here: false };
        if let Err(asker) = connection.authorize_for(&pool_name, worker.password.clone(), asker) {
            let refusal = StratumError::new(RefusalCode::Other, POOL_LOST);
            self.miner.complete(asker.place, refuse_line(&asker.id, &refusal, Default::default()), at);
            return Flow::Leave;
        }
        Flow::GoOn
    }

    fn wrong_coin(&mut self, message: &Envelope<'_>, at: Stamp) -> Flow {
        self.refuse(message.id(), RefusalCode::Other, "This is a Bitcoin pool (Stratum V1)", at);
        let text = "closed: it is a miner for another coin";
        say(&self.services.reception, self.miner.address(), LogTopic::Refused, &text);
        Flow::Leave
    }

    /// Something had to wait for the pool. That is no delay of ours.
    fn has_waited(&mut self) {
        self.waited = Some(Stamp::now());
    }

    /// When a request that came at this time could first have been answered.
    fn since(&self, at: Stamp) -> Stamp {
        self.waited.map_or(at, |waited| waited.max(at))
    }

    fn begin(&self) {
        if let Some(link) = self.miner.link() {
            link.begin(&self.miner);
        }
    }

    fn answer(&self, line: String, at: Stamp) -> Flow {
        self.miner.answer(line, at);
        Flow::GoOn
    }

    fn refuse(&self, id: &str, code: RefusalCode, reason: &str, at: Stamp) {
        self.miner.answer(refuse_line(id, &StratumError::new(code, reason), Default::default()), at);
    }

    /// A line that needs no answer. Very many are a fault all the same.
    fn unanswered(&mut self) -> Flow {
        if self.requests.try_take(Instant::now()) { Flow::GoOn } else { self.fault() }
    }

    fn fault(&mut self) -> Flow {
        if self.budget.spend(Instant::now()) { Flow::GoOn } else { Flow::Ban }
    }
}

/// Whether a line is a share. One with an id that is too long is refused unread.
fn is_share(message: &Envelope<'_>) -> bool {
    message.method().as_deref() == Some("mining.submit")
        && message.id().len() <= MOST_ID
        && !message.is_answer()
}
