//! One connection to a pool: what it gave, what it was asked, what is sent to it. [`super::reader`]
//! reads it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::forwarded::Forwarded;
use super::live_jobs::LiveJobs;
use super::names::{NameStatus, PoolNames};
use super::pending::{PendingRequest, PendingRequests, Requester};
use crate::analyzer::{POOL_LOST, POOL_SILENT, TOO_MANY_PENDING};
use crate::config::{self, Secret};
use crate::net::{Stamp, Stream};
use crate::proxy::aggregate::group::extranonce_space::Split;
use crate::proxy::aggregate::identity::PoolName;
use crate::proxy::aggregate::jobs::{MinerJob, SpaceId};
use crate::proxy::aggregate::limits::Limits;
use crate::proxy::aggregate::outbox::Outbox;
use crate::stratum::{
    Difficulty, Extranonce1, Extranonce2Size, Login, RefusalCode, StratumError, VersionMask, accept_line,
    configure_line, refuse_line, request_line, subscribe_line,
};
use crate::tap::Conversation;
use crate::tap::Tap;
use crate::upstream::UpstreamId;
use crate::work::BlockHash;

/// So many refusals of every name in a row, without an accepted share: the pool takes work and credits
/// nobody (wire reference, section 5.3, 26).
const UNAUTHORIZED: u32 = 10;

/// The fewest version bits that are worth rolling, as the configure says.
const LEAST_ROLLED_BITS: u32 = 2;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) upstream: UpstreamId,
    /// Who we are there, among others.
    pub(crate) configured: Arc<config::UpstreamConfig>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) conversation: Arc<Conversation>,
    outbox: Outbox,
    pending: Mutex<PendingRequests>,
    /// Told when the pool owes less.
    answered: Condvar,
    forwarded: Mutex<Forwarded>,
    facts: Mutex<PoolState>,
    /// The bits of the difficulty that the pool asks for now.
    difficulty: AtomicU64,
    /// How often the pool has declared earlier jobs dead.
    generation: AtomicU64,
    is_over: AtomicBool,
}

/// What the pool has said of itself.
#[derive(Debug, Default)]
pub(crate) struct PoolState {
    pub(crate) space: Option<ExtranonceSpace>,
    /// From a `mining.set_extranonce`: holds from the next job on (wire reference, section 2.6).
    pub(crate) next_space: Option<(Extranonce1, Extranonce2Size)>,
    /// A job that came before the search space was known.
    pub(crate) early_job: Option<Box<[u8]>>,
    /// Why its extranonce2 can't be shared, or its subscribe answer can't be read.
    pub(crate) unusable: Option<String>,
    pub(crate) mask: Option<VersionMask>,
    /// It has answered the configure, or said what may be rolled in another way.
    pub(crate) knows_mask: bool,
    pub(crate) newest: Option<Arc<MinerJob>>,
    pub(crate) live: LiveJobs,
    /// Since when a job can't be read that may have ended those before it.
    pub(crate) unread_since: Option<Instant>,
    /// When the pool wants to be connected to again, and at which port if not at the configured one.
    pub(crate) redirection: Option<(Instant, Option<u16>)>,
    pub(crate) names: PoolNames,
    /// Refusals for an unknown worker since the last accepted share.
    pub(crate) unauthorized: u32,
}

/// The search space that the pool gave, divided.
#[derive(Debug, Clone)]
pub(crate) struct ExtranonceSpace {
    pub(crate) epoch: SpaceId,
    pub(crate) extranonce1: Extranonce1,
    pub(crate) split: Split,
}

/// What a pool has said about the name and the version bits of a share.
#[derive(Debug)]
pub(crate) struct AtPool {
    /// The name that a share goes out under.
    pub(crate) name: PoolName,
    /// The pool's words, where it does not know who has found the share: nobody is credited.
    pub(crate) refusal: Option<StratumError>,
    /// The version bits that miners may roll; `None` while the pool has not said.
    pub(crate) mask: Option<Option<VersionMask>>,
}

/// Why a share could not be passed on.
#[derive(Debug)]
pub(crate) enum SubmitError {
    /// The connection is over.
    Over(Requester),
    /// The pool owes too many answers.
    Full(Requester),
}

impl Connection {
    pub(crate) fn new(
        (upstream, configured): (UpstreamId, Arc<config::UpstreamConfig>),
        stream: Arc<Stream>,
        conversation: Arc<Conversation>,
        tap: Tap,
        limits: Limits,
    ) -> Connection {
        let outbox = Outbox::new(tap, limits.of_pool());
        outbox.open(stream.clone());
        Connection {
            upstream,
            configured,
            stream,
            conversation,
            outbox,
            pending: Mutex::default(),
            answered: Condvar::new(),
            forwarded: Mutex::default(),
            facts: Mutex::default(),
            difficulty: AtomicU64::new(Difficulty::ONE.value().to_bits()),
            generation: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// The body of the thread that sends what waits.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn run_outbox(&self) -> std::io::Result<()> {
        let never = Duration::from_secs(365 * 86_400);
        let result = self.outbox.run(never, |_| ());
        self.stream.abort();
        result
    }

    /// Why nothing more could be sent, if that ended the connection.
    pub(crate) fn send_failure(&self) -> Option<String> {
        self.outbox.failure()
    }

    /// Asks what may be rolled, if it is to, and for a search space.
    pub(crate) fn open(&self, configure: bool) {
        if configure {
            self.ask(PendingRequest::Configure, |id| configure_line(id, Some(LEAST_ROLLED_BITS)));
        } else {
            self.facts().knows_mask = true;
        }
        let agent = concat!("sluice/", env!("CARGO_PKG_VERSION"));
        self.ask(PendingRequest::Subscribe, |id| subscribe_line(id, agent));
    }

    /// Asks whether the pool knows this name, unless it was asked within `again`.
    pub(crate) fn authorize(&self, name: &PoolName, password: &str, again: Duration) {
        if self.facts().names.ask(name, again, Instant::now()) {
            let asked = PendingRequest::Authorize { name: name.clone(), password: None, asker: None };
            let login = Login::new(name.0.as_str(), password);
            self.ask(asked, |id| login.authorize_line(id));
        }
    }

    /// Asks for a miner that waits for the verdict.
    ///
    /// # Errors
    /// Gives the asker back, who must be answered otherwise.
    pub(crate) fn authorize_for(
        &self,
        name: &PoolName,
        password: Option<Secret>,
        asker: Requester,
    ) -> Result<(), Requester> {
        self.facts().names.note(name, Instant::now());
        let login = Login::new(name.0.as_str(), password.as_ref().map_or("", Secret::expose));
        let asked = PendingRequest::Authorize { name: name.clone(), password, asker: Some(asker) };
        match self.ask(asked, |id| login.authorize_line(id)) {
            Some(PendingRequest::Authorize { asker: Some(asker), .. }) => Err(asker),
            _ => Ok(()),
        }
    }

    /// The pool's words, where it does not know this name, for the miner.
    pub(crate) fn refusal_of(&self, name: &PoolName) -> Option<StratumError> {
        self.facts().refusal_of(name)
    }

    /// All that a share of this name needs to know of the pool.
    pub(crate) fn at_pool(&self, name: PoolName) -> AtPool {
        let facts = self.facts();
        AtPool {
            refusal: facts.refusal_of(&name),
            mask: facts.knows_mask.then_some(facts.mask),
            name: facts.names.voice(&name).clone(),
        }
    }

    /// Notes that this share is about to be sent. `false`: it was already.
    pub(crate) fn note_forwarded(&self, hash: BlockHash) -> bool {
        self.forwarded().note(hash)
    }

    /// Whether all shares are refused because of their names.
    pub(crate) fn credits_nobody(&self) -> bool {
        self.facts().credits_nobody()
    }

    /// Why nobody is credited here, in words.
    pub(crate) fn refusal(&self) -> String {
        let facts = self.facts();
        let of_name = facts
            .names
            .first_refusal()
            .map(|(name, refusal)| format!("it refuses {name}: {}", refusal.reason));
        of_name.unwrap_or_else(|| "it credits nobody".to_owned())
    }

    /// Whether every name that it was asked about was refused.
    pub(crate) fn refuses_everybody(&self) -> bool {
        self.facts().names.are_all_refused()
    }

    /// Whether it knows who mines, or may, and has given no job. Whom it refuses it owes none.
    pub(crate) fn owes_work(&self) -> bool {
        let facts = self.facts();
        facts.newest.is_none() && facts.names.is_any_welcome()
    }

    /// Whether it has given a job.
    pub(crate) fn has_work(&self) -> bool {
        self.facts().newest.is_some()
    }

    /// A login that the pool has accepted here.
    pub(crate) fn login(&self) -> Option<Login> {
        let facts = self.facts();
        let (name, password) = facts.names.accepted()?;
        Some(Login::new(name.0.clone(), password.unwrap_or(&self.configured.password).expose()))
    }

    /// Whether nothing more is to be expected of it: it is over, or is about to be left.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_over() || self.facts().unusable.is_some()
    }

    /// Whether it has still to say what it thinks of every name.
    pub(crate) fn owes_verdicts(&self) -> bool {
        self.facts().names.are_all_open()
    }

    /// Whether this share was sent already.
    pub(crate) fn was_forwarded(&self, hash: &BlockHash) -> bool {
        self.forwarded().knows(hash)
    }

    /// It was not sent after all.
    pub(crate) fn forget_forwarded(&self, hash: &BlockHash) {
        self.forwarded().forget(hash);
    }

    /// Passes a share on. `params` are those of `mining.submit`. Where the pool owes very many answers it
    /// waits until `deadline`.
    ///
    /// # Errors
    /// Gives the asker back, who must be answered otherwise.
    pub(crate) fn submit(
        &self,
        asker: Requester,
        params: &serde_json::Value,
        since: Stamp,
        deadline: Instant,
    ) -> Result<(), SubmitError> {
        if self.is_over() {
            return Err(SubmitError::Over(asker));
        }
        let asked = PendingRequest::Submit { asker };
        let id = match self.pending_with_room(deadline).ask(asked, Instant::now()) {
            Ok(id) => id,
            Err(PendingRequest::Submit { asker }) => return Err(SubmitError::Full(asker)),
            // Nothing else was put in.
            Err(_) => return Ok(()),
        };
        if self.outbox.send(request_line(id, "mining.submit", params), since) {
            return Ok(());
        }
        // Who ends the connection answers what waits; if that was before this was noted, it is done here.
        match self.pending().answered(id) {
            Some((PendingRequest::Submit { asker }, _)) => Err(SubmitError::Over(asker)),
            _ => Ok(()),
        }
    }

    /// Answers a request of the pool's.
    pub(crate) fn answer(&self, line: String) {
        self.outbox.send(line, Stamp::now());
    }

    /// What was asked under this id, and when.
    pub(crate) fn answered(&self, id: u64) -> Option<(PendingRequest, Instant)> {
        let answered = self.pending().answered(id);
        self.answered.notify_one();
        answered
    }

    /// Answers all that has waited for the pool for too long: shares for `share`; verdicts on names, once
    /// there was one, for `verdict`.
    pub(crate) fn expire(&self, share: Duration, verdict: Duration) {
        let now = Instant::now();
        let verdict = if self.facts().names.has_voice() { verdict } else { share };
        let (late, owes_verdict) = {
            let mut pending = self.pending();
            let owes_verdict = pending.owes_verdict(verdict, now);
            (pending.expired(share, verdict, now), owes_verdict)
        };
        self.answered.notify_all();
        let (names, late): (Vec<_>, Vec<_>) =
            late.into_iter().partition(|asked| matches!(asked, PendingRequest::Authorize { .. }));
        if owes_verdict && self.facts().names.is_ignored() {
            // Whoever waits for a verdict is credited as the first was.
            names.into_iter().for_each(welcome);
        } else {
            give_up(names, &StratumError::new(RefusalCode::Other, POOL_SILENT));
        }
        give_up(late, &StratumError::new(RefusalCode::Other, POOL_SILENT));
    }

    /// The connection is over; all that waits for it is answered.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.outbox.close();
        let open = self.pending().take_all();
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

    /// All jobs until now are dead.
    pub(crate) fn next_generation(&self) -> u64 {
        self.forwarded().turn();
        self.generation.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, PoolState> {
        // Each fact is whole in itself.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when it was sent; else what was asked, as nobody will answer.
    fn ask(&self, asked: PendingRequest, line: impl FnOnce(u64) -> String) -> Option<PendingRequest> {
        let id = match self.pending().ask(asked, Instant::now()) {
            Ok(id) => id,
            Err(asked) => return Some(asked),
        };
        if self.outbox.send(line(id), Stamp::now()) {
            return None;
        }
        self.pending().answered(id).map(|(asked, _)| asked)
    }

    fn pending_with_room(&self, deadline: Instant) -> MutexGuard<'_, PendingRequests> {
        let mut pending = self.pending();
        while pending.is_full() && !self.is_over() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            pending = self.answered.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        pending
    }

    fn forwarded(&self) -> MutexGuard<'_, Forwarded> {
        self.forwarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, PendingRequests> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExtranonceSpace {
    /// Whether it is what the pool gave with these.
    pub(crate) fn is(&self, extranonce1: &Extranonce1, size: Extranonce2Size) -> bool {
        let bytes = self.split.prefix_width() + self.split.miner_size().bytes();
        self.extranonce1 == *extranonce1 && bytes == size.bytes()
    }
}

impl SubmitError {
    /// The miner's request, and what it is answered.
    pub(crate) fn into_refusal(self) -> (Requester, StratumError) {
        match self {
            SubmitError::Over(asker) => {
                let words = "Stale share: its connection to the pool is gone";
                (asker, StratumError::new(RefusalCode::JobNotFound, words))
            }
            SubmitError::Full(asker) => (asker, StratumError::new(RefusalCode::Other, TOO_MANY_PENDING)),
        }
    }
}

impl PoolState {
    pub(crate) fn credits_nobody(&self) -> bool {
        self.unauthorized >= UNAUTHORIZED
    }

    fn refusal_of(&self, name: &PoolName) -> Option<StratumError> {
        match self.names.standing(name)? {
            NameStatus::Refused(refusal) => {
                Some(StratumError::new(RefusalCode::Unauthorized, refusal.reason.clone()))
            }
            NameStatus::Asked | NameStatus::Accepted => None,
        }
    }

    /// Takes the search space that the pool gives.
    pub(crate) fn divide(&mut self, epoch: SpaceId, extranonce1: Extranonce1, size: Extranonce2Size) {
        match Split::of_space(&extranonce1, size) {
            Ok(split) => self.space = Some(ExtranonceSpace { epoch, extranonce1, split }),
            Err(error) => self.unusable = Some(error.to_string()),
        }
    }
}

/// Answers those who would wait for ever.
pub(crate) fn give_up(open: Vec<PendingRequest>, refusal: &StratumError) {
    for asked in open {
        let is_authorize = matches!(asked, PendingRequest::Authorize { .. });
        let (PendingRequest::Submit { asker } | PendingRequest::Authorize { asker: Some(asker), .. }) = asked
        else {
            continue;
        };
        tell(&asker, refuse_line(&asker.id, refusal, Default::default()), Stamp::now());
        if is_authorize {
            // It is not to believe that it is unknown: it asks again when it comes again.
            asker.miner.upgrade().iter().for_each(|miner| miner.dismiss());
        }
    }
}

/// Lets a miner in whose name the pool has no opinion of.
fn welcome(asked: PendingRequest) {
    let PendingRequest::Authorize { asker: Some(asker), .. } = asked else { return };
    tell(&asker, accept_line(&asker.id), Stamp::now());
    if let Some(miner) = asker.miner.upgrade() {
        miner.desk().is_authorized = true;
        if let Some(link) = miner.link() {
            link.begin(&miner);
        }
    }
}

/// Passes an answer on, if its miner is still there.
pub(crate) fn tell(asker: &Requester, line: String, since: Stamp) {
    if let Some(miner) = asker.miner.upgrade() {
        miner.complete(asker.place, line, since);
    }
}
