//! Shares that were hashed where they were judged, so that nobody has to hash them again. Where many miners share a
//! connection to a pool, a share is seen twice: with the miner and with the pool.
//!
//! Nothing is believed of them: a hash counts for a share only if it was made of the same job, extranonces and header
//! as the conversation shows ([`PreparedJob::rebuild_knowing`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::stratum::Submit;
use crate::work::{HashedShare, PreparedJob};

/// The most that are kept of one half second. One that is missing is hashed again.
const MAX_SHARES: usize = 8192;

/// Shared by the sessions. The analyzer's thread alone uses it.
#[derive(Debug, Clone, Default)]
pub(super) struct HashedShares(Arc<Mutex<Shares>>);

/// Copies of a share wait some milliseconds for their turn, so that older ones are not needed any more.
#[derive(Debug, Default)]
struct Shares {
    newer: HashMap<u64, Arc<HashedShare>>,
    older: HashMap<u64, Arc<HashedShare>>,
}

impl HashedShares {
    pub(super) fn add(&self, share: HashedShare) {
        let mut shares = self.lock();
        if shares.newer.len() < MAX_SHARES {
            let HashedShare { job, extranonce2, header, .. } = &share;
            let key = HashedShare::key(job, extranonce2, header.ntime, header.nonce);
            shares.newer.insert(key, Arc::new(share));
        }
    }

    /// The share that this is in all likelihood.
    pub(super) fn find(&self, job: &PreparedJob, submit: &Submit) -> Option<Arc<HashedShare>> {
        let shares = self.lock();
        if shares.newer.is_empty() && shares.older.is_empty() {
            return None;
        }
        let key = HashedShare::key(job, &submit.extranonce2, submit.ntime, submit.nonce);
        shares.newer.get(&key).or_else(|| shares.older.get(&key)).cloned()
    }

    /// Half a second has passed.
    pub(super) fn forget_older(&self) {
        let mut shares = self.lock();
        shares.older = std::mem::take(&mut shares.newer);
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
