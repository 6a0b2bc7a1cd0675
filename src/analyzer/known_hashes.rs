//! Hashes of shares that aggregate mode has already made to judge them, so that the analyzer need not hash the shares
//! again. The analyzer sees such a share twice: on the miner's connection and on the pool's.
//!
//! The hashes are not trusted: a hash counts for a share only if it was made from the same job, extranonces and
//! header as the conversation shows ([`PreparedJob::rebuild_knowing`]).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::stratum::Submit;
use crate::work::{HashedShare, PreparedJob};

/// Caps the shares that are kept of the time between two ticks. A share that is missing is hashed again.
const MAX_RECENT_SHARES: usize = 8192;

/// The hashed shares, shared by all sessions. Only the analyzer's thread uses them.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownHashes(Arc<Mutex<Generations>>);

/// Two generations, each of the time between two ticks. A copy of a share is read within some milliseconds, so older ones are not needed.
#[derive(Debug, Default)]
struct Generations {
    newer: HashMap<u64, Arc<HashedShare>>,
    older: HashMap<u64, Arc<HashedShare>>,
}

impl KnownHashes {
    pub(super) fn add(&self, share: HashedShare) {
        let mut shares = self.0.lock();
        if shares.newer.len() < MAX_RECENT_SHARES {
            let HashedShare { job, extranonce2, header, .. } = &share;
            let key = HashedShare::key(job, extranonce2, header.ntime, header.nonce);
            shares.newer.insert(key, Arc::new(share));
        }
    }

    /// Finds the share that this submit most likely is.
    pub(super) fn find(&self, job: &PreparedJob, submit: &Submit) -> Option<Arc<HashedShare>> {
        let shares = self.0.lock();
        if shares.newer.is_empty() && shares.older.is_empty() {
            return None;
        }
        let key = HashedShare::key(job, &submit.extranonce2, submit.ntime, submit.nonce);
        shares.newer.get(&key).or_else(|| shares.older.get(&key)).cloned()
    }

    /// Drops the older generation. Called at each tick.
    pub(super) fn drop_older(&self) {
        let mut shares = self.0.lock();
        shares.older = std::mem::take(&mut shares.newer);
    }
}
