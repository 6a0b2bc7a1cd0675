//! Settings of a simulated pool.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::stratum::{Difficulty, ErrorForm, Extranonce2Size, FieldError, Nbits, VersionMask};
use crate::work::Height;

/// Settings of a [`SimPool`](super::SimPool). The default is a solo pool like ckpool, with a difficulty
/// that one thread reaches many times a second.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The address it listens on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The share difficulty a miner begins with.
    pub difficulty: Difficulty,
    /// True if `mining.suggest_difficulty` is followed; by default it is not.
    pub follow_suggested_difficulty: bool,
    /// The order of the first messages.
    pub opening: OpeningOrder,
    /// The form of a rejection on the wire.
    pub error_form: ErrorForm,
    /// The payouts of a block.
    pub payout: SimPayout,
    /// The network's target. The default is that of difficulty 1, which a miner of 1 MH/s meets
    /// about once in 72 minutes.
    pub nbits: Nbits,
    /// The height of the first block.
    pub height: Height,
    /// Transactions of a block besides the coinbase. The default makes 12 merkle branches.
    pub transactions: usize,
    /// Time between two jobs for the same block; 30 s by default, as at ckpool.
    pub refresh_interval: Option<Duration>,
    /// Bytes of extranonce1, at most 32. Below 4, what tells connections apart goes into coinb1.
    pub extranonce1_length: usize,
    pub extranonce2_size: Extranonce2Size,
    /// The version bits miners may roll; `None` for a pool that does not know `mining.configure`.
    pub version_mask: Option<VersionMask>,
    /// True if `mining.extranonce.subscribe` is answered `true`.
    pub extranonce_subscribe: bool,
    /// Added to the time in jobs, in seconds: a pool whose clock is wrong.
    pub ntime_offset: i64,
    /// Time after which a client that does not read is disconnected.
    pub write_timeout: Duration,
    pub misbehaviour: Misbehaviour,
    /// The seed of the invented transactions and hashes.
    pub seed: u64,
}

impl PoolOptions {
    /// The defaults at another share difficulty.
    ///
    /// # Errors
    /// When `difficulty` is not finite and above zero.
    pub fn with_difficulty(difficulty: f64) -> Result<PoolOptions, FieldError> {
        Ok(PoolOptions { difficulty: Difficulty::new(difficulty)?, ..PoolOptions::default() })
    }
}

impl Default for PoolOptions {
    fn default() -> PoolOptions {
        PoolOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            difficulty: Difficulty::new(0.000_01).unwrap_or(Difficulty::ONE),
            follow_suggested_difficulty: false,
            opening: OpeningOrder::default(),
            error_form: ErrorForm::default(),
            payout: SimPayout::default(),
            nbits: Nbits(0x1d00_ffff),
            height: Height(967_017),
            transactions: 4095,
            refresh_interval: Some(Duration::from_secs(30)),
            extranonce1_length: 4,
            extranonce2_size: Extranonce2Size::new(8).unwrap_or(Extranonce2Size::MAX),
            version_mask: Some(VersionMask::BIP320),
            extranonce_subscribe: true,
            ntime_offset: 0,
            write_timeout: Duration::from_secs(5),
            misbehaviour: Misbehaviour::default(),
            seed: 1,
        }
    }
}

/// The payouts of a block. A job that is sent before a worker is known pays the pool.
#[derive(Debug, Clone, PartialEq)]
pub enum SimPayout {
    /// The address in the worker's name, minus the pool's fee. If the name has no address, the pool.
    Solo { fee_percent: f64 },
    /// The pool.
    Pooled,
    /// This address, whoever mines, as a hijacked pool does. If the text is no address, the pool.
    Address(String),
    /// The address in the worker's name gets so much and `to` the rest: what a check that looks for
    /// nothing but the address does not notice.
    Crumb { percent: f64, to: String },
}

impl Default for SimPayout {
    fn default() -> SimPayout {
        SimPayout::Solo { fee_percent: 2.0 }
    }
}

/// The order of a pool's first messages (wire reference, section 1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OpeningOrder {
    /// ckpool, solo: the subscribe answer and set_difficulty; then notify and set_difficulty before
    /// the authorize answer.
    #[default]
    Ckpool,
    /// ckpool, pooled: the subscribe answer, set_difficulty and notify; then the authorize answer.
    CkpoolPooled,
    /// public-pool: answers, and only after authorize set_difficulty and notify.
    PublicPool,
    /// OCEAN: as ckpool pooled, but the configure answer comes late, after the burst, and a
    /// set_version_mask a second later.
    Ocean,
    /// F2Pool: the authorize answer, set_difficulty, notify.
    F2Pool,
}

impl OpeningOrder {
    /// All of them.
    pub const ALL: [OpeningOrder; 5] = [
        OpeningOrder::Ckpool,
        OpeningOrder::CkpoolPooled,
        OpeningOrder::PublicPool,
        OpeningOrder::Ocean,
        OpeningOrder::F2Pool,
    ];
}

/// The misbehaviour of a pool. It can be changed at run time with
/// [`SimPool::set_misbehaviour`](super::SimPool::set_misbehaviour).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Misbehaviour {
    /// Closes every connection as soon as it is made.
    pub close_on_accept: bool,
    /// Reads, and neither answers nor sends jobs.
    pub silent: bool,
    pub refuse_authorize: bool,
    /// Takes shares and never answers.
    pub swallow_submit_answers: bool,
    /// Refuses shares that are good (as code 23).
    pub reject_valid_shares: bool,
    /// From a connection's job after so many on, blocks pay the pool alone.
    pub swap_payout_after: Option<usize>,
    /// The network's target in jobs, instead of that of the options: work for another coin.
    pub nbits: Option<Nbits>,
}
