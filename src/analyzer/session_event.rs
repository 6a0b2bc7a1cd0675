//! The events that following a conversation yields, for the accounting and the rules.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use super::block_spread::NewBlockJob;
use super::job_verdict::{JudgedJob, OutputView};
use super::jobs::SessionJob;
use super::share::JudgedShare;
use super::verdicts::{ChainVerdict, PayoutState, PayoutVerdict, WorkDoubt};
use crate::clock::NtpTime;
use crate::net::Stamp;
use crate::stratum::{Difficulty, Extranonce1, JobId, Nbits, Ntime, PrevHash, ReadingAgreement};
use crate::tap::{Conversation, Direction, SessionId};
use crate::util::format::count_of;
use crate::work::{Coinbase, Height};

/// An event of a session.
#[derive(Debug)]
pub(super) enum SessionEvent {
    /// A share was sent. Its outcome follows.
    Submitted,
    /// A share that is a block was sent. It is reported before the pool answers.
    Block(Box<JudgedShare>),
    Judged(Box<JudgedShare>),
    Job(Box<JobSeen>),
    NewBlock(NewBlockJob),
    /// An excused job with its verdict without the excuse, and the time when the excuse ended.
    Rejudged(Box<JobSeen>, Stamp),
    Unreadable,
    /// Any message.
    Message(Direction),
    Protocol(ProtocolEvent),
    Closed(SessionId),
}

/// An event of the protocol besides jobs and shares. Only rules use it.
#[derive(Debug)]
pub(super) struct ProtocolEvent {
    pub(super) session: SessionId,
    pub(super) upstream: Option<usize>,
    pub(super) at: Stamp,
    pub(super) kind: EventKind,
}

#[derive(Debug)]
pub(super) enum EventKind {
    Authorized {
        worker: String,
    },
    AuthorizeRefused {
        worker: String,
        reason: Option<String>,
    },
    /// A `mining.subscribe` was accepted.
    Subscribed,
    SubscribeRefused {
        reason: Option<String>,
    },
    DifficultySet(Difficulty),
    /// The pool sent `client.reconnect`. Without a host it leads to the same one.
    Redirected {
        host: String,
    },
    /// The pool sent a possible job that could not be read. `line` is its beginning, escaped.
    JobUnread {
        why: String,
        line: String,
    },
    /// A share proves that the miner works on a job after every one that could not be judged.
    DoubtEnded,
    /// The pool answered a subscribe that was never sent, with another extranonce1.
    ExtranonceChanged {
        from: Extranonce1,
        to: Extranonce1,
    },
}

/// The event that a job has arrived: the job, its times, and the verdicts on it at that moment.
#[derive(Debug, Clone)]
pub struct JobSeen {
    pub session: SessionId,
    /// The address of the session's miner.
    pub miner: SocketAddr,
    /// The session's worker name; empty before the pool has accepted one.
    pub worker: String,
    pub upstream: Option<usize>,
    pub job_id: JobId,
    pub height: Option<Height>,
    pub ntime: Ntime,
    pub at: Stamp,
    /// The time since the job before.
    pub gap: Option<Duration>,
    /// The time since the first job of its block.
    pub block_age: Option<Duration>,
    pub branches: usize,
    pub network_difficulty: Option<f64>,
    pub nbits: Nbits,
    pub prevhash: PrevHash,
    /// The job ends the jobs before it.
    pub clean: bool,
    /// The bytes of the whole coinbase; zero if it cannot be decoded.
    pub coinbase_length: usize,
    /// The pool's own text in the coinbase.
    pub tag: Option<String>,
    pub payout: PayoutVerdict,
    pub chain: ChainVerdict,
    /// The outputs, as evidence, if the job does not pay as expected.
    pub outputs: Vec<OutputView>,
    /// The payees besides the expected address, as text to compare; `None` for very many.
    pub payees: Option<String>,
    /// The job came before the pool had answered the authorize.
    pub early: bool,
    /// The reason why the miner may still work on an earlier job that could not be judged.
    pub superseded_doubt: Option<WorkDoubt>,
    /// The agreement of miners in reading the job.
    pub agreement: ReadingAgreement,
    /// The job came later than the pool's job interval allows.
    pub was_late: bool,
    /// A hash of the search space. Two sessions with the same one find the same shares.
    pub space: u64,
}

impl JobSeen {
    /// The ntime less `at`, in seconds.
    pub(super) fn time_difference(&self, at: NtpTime) -> f64 {
        f64::from(self.ntime.0) - at.timestamp().as_millisecond() as f64 / 1e3
    }

    /// The job as `geek.log` shows it.
    pub(super) fn describe(&self) -> String {
        format!(
            "session {} job {}: height {}, {}, network difficulty {}",
            self.session,
            self.job_id,
            self.height.map_or_else(|| "?".to_owned(), |height| height.to_string()),
            count_of(self.branches as u64, "branch", "branches"),
            self.network_difficulty.unwrap_or_default(),
        )
    }

    pub(super) fn new(
        conversation: &Conversation,
        job: &SessionJob,
        gap: Option<Duration>,
        judged: &JudgedJob,
        early: bool,
        agreement: ReadingAgreement,
    ) -> JobSeen {
        let mut space = DefaultHasher::new();
        let notify = job.content();
        (job.extranonce1.as_bytes(), &notify.coinb1, &notify.coinb2, notify.prevhash).hash(&mut space);
        let coinbase = judged.coinbase.as_ref();
        let is_bad = matches!(judged.payout.state, PayoutState::Short | PayoutState::Mismatch);
        JobSeen {
            session: conversation.id,
            miner: conversation.miner(),
            worker: String::new(),
            upstream: conversation.upstream(),
            job_id: job.id().clone(),
            height: job.height,
            ntime: notify.ntime,
            at: job.received_at,
            gap,
            block_age: None,
            branches: notify.branches.len(),
            network_difficulty: job.network_difficulty(),
            nbits: notify.nbits,
            prevhash: notify.prevhash,
            clean: judged.clean,
            coinbase_length: coinbase.map_or(0, |coinbase| coinbase.as_bytes().len()),
            tag: coinbase.and_then(Coinbase::tag).map(|tag| tag.as_str().to_owned()),
            payout: judged.payout.clone(),
            chain: judged.chain.clone(),
            outputs: if is_bad { judged.outputs() } else { Vec::new() },
            payees: judged.payees(),
            early,
            superseded_doubt: None,
            agreement,
            was_late: false,
            space: space.finish(),
        }
    }
}
