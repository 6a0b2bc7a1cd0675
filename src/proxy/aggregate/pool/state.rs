//! The state of one connection, as the pool has set it: search space, jobs, names, version mask.

use std::sync::Arc;
use std::time::Instant;

use super::live_jobs::LiveJobs;
use super::names::PoolNames;
use crate::proxy::aggregate::{ExtranonceSpace, ExtranonceSplit, MinerJob, NameStatus, PoolName, SpaceId};
use crate::stratum::{Extranonce1, Extranonce2Size, RefusalCode, StratumError, VersionMask};

/// The refusals of every name in a row, without an accepted share, after which the pool takes work and
/// credits nobody (wire reference, section 5.3, 26).
const MAX_UNAUTHORIZED: u32 = 10;

/// The state of a connection, as the pool has set it.
#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    pub(crate) space: Option<ExtranonceSpace>,
    /// The search space of a `mining.set_extranonce`, in effect from the next job on (wire reference, section
    /// 2.6).
    pub(crate) next_space: Option<(Extranonce1, Extranonce2Size)>,
    /// A job that came before the search space was known.
    pub(crate) early_job: Option<Box<[u8]>>,
    /// The reason that the connection can't be used, such as an extranonce2 that can't be split.
    pub(crate) unusable: Option<String>,
    pub(crate) mask: Option<VersionMask>,
    /// The pool has answered `mining.configure`, or set the mask in another way.
    pub(crate) knows_mask: bool,
    pub(crate) newest: Option<Arc<MinerJob>>,
    pub(crate) live: LiveJobs,
    /// Since when there has been an unreadable job that may have ended those before it.
    pub(crate) unread_since: Option<Instant>,
    /// When the pool wants a reconnection, and at which port if not at the configured one.
    pub(crate) redirection: Option<(Instant, Option<u16>)>,
    pub(crate) names: PoolNames,
    /// Refusals for an unknown worker since the last accepted share.
    pub(crate) unauthorized: u32,
}

/// The pool's view of the name and the version bits of a share.
#[derive(Debug)]
pub(crate) struct ShareAtPool {
    /// The name that the share goes out under.
    pub(crate) name: PoolName,
    /// The pool's refusal, if it does not know the miner's name: no one is credited.
    pub(crate) refusal: Option<StratumError>,
    /// The version bits that miners may roll; `None` while the pool has not said.
    pub(crate) mask: Option<Option<VersionMask>>,
}

impl ConnectionState {
    pub(crate) fn credits_nobody(&self) -> bool {
        self.unauthorized >= MAX_UNAUTHORIZED
    }

    /// The pool's refusal of this name, in its words, for the miner.
    pub(crate) fn refusal_of(&self, name: &PoolName) -> Option<StratumError> {
        match self.names.status(name)? {
            NameStatus::Refused(refusal) => {
                Some(StratumError::new(RefusalCode::Unauthorized, refusal.reason.clone()))
            }
            NameStatus::Asked | NameStatus::Accepted => None,
        }
    }

    /// The pool's view of a share under this name.
    pub(crate) fn at_pool(&self, name: &PoolName) -> ShareAtPool {
        ShareAtPool {
            refusal: self.refusal_of(name),
            mask: self.known_mask(),
            name: self.names.name_for_shares(name).clone(),
        }
    }

    /// The version bits that miners may roll. `None` while the pool has not said.
    pub(crate) fn known_mask(&self) -> Option<Option<VersionMask>> {
        self.knows_mask.then_some(self.mask)
    }

    /// Splits the search space that the pool gives.
    pub(crate) fn divide(&mut self, space_id: SpaceId, extranonce1: Extranonce1, size: Extranonce2Size) {
        match ExtranonceSplit::of_space(&extranonce1, size) {
            Ok(split) => self.space = Some(ExtranonceSpace { space_id, extranonce1, split }),
            Err(error) => self.unusable = Some(error.to_string()),
        }
    }
}
