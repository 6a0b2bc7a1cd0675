//! Leases parts of a connection's search space: each miner gets one, gets another one when the connection
//! changes, and frees it with the next job after it left.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::miner::MoveOutcome;
use super::{GroupState, UNUSABLE_TIME};
use crate::net::Stamp;
use crate::proxy::aggregate::{
    ConnectedMiner, ExtranonceLease, ExtranonceSpace, LeaseError, MinerGroup, PrefixTable, SharedConnection,
    SpaceId,
};
use crate::upstream::UpstreamId;
use crate::util::format::count;

impl MinerGroup {
    /// Leases a part of the search space to a miner, as soon as there is a pool. A miner that had another one
    /// gets new extranonces.
    ///
    /// # Errors
    /// [`LeaseError`], at the deadline at the latest.
    pub(in super::super) fn lease(
        &self,
        miner: &Arc<ConnectedMiner>,
        deadline: Instant,
    ) -> Result<(), LeaseError> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.wake_waiters();
        let leased = self.wait_for_lease(miner, deadline);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        leased
    }

    fn wait_for_lease(&self, miner: &Arc<ConnectedMiner>, deadline: Instant) -> Result<(), LeaseError> {
        let mut state = self.state.lock();
        loop {
            if state.is_retired || miner.is_leaving() {
                return Err(LeaseError::NoPool);
            }
            let connection = state.connection.clone().filter(|connection| !connection.is_over());
            if let Some(connection) = connection {
                let unusable = connection.connection_state().unusable.clone();
                if let Some(why) = unusable {
                    return Err(LeaseError::Unusable(why));
                }
                match state.move_miner(miner, &connection, Stamp::now())? {
                    MoveOutcome::Moved => {
                        state.miners.insert(miner.id(), miner.clone());
                        state.empty_since = None;
                        return Ok(());
                    }
                    MoveOutcome::MustLeave => return Err(LeaseError::NoPool),
                }
            } else if let Some(why) = state.why_unusable(&self.services.upstreams.order()) {
                return Err(LeaseError::Unusable(why));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let pools = self.services.upstreams.order();
                let why = state.newly_unusable(&pools).next();
                return Err(why.map_or(LeaseError::NoPool, |why| LeaseError::Unusable(why.to_owned())));
            }
            self.leasable.wait_for(&mut state, left);
        }
    }

    /// Removes the miner. Its prefix is free from the next job on.
    pub(in super::super) fn leave(&self, miner: &ConnectedMiner) {
        let mut state = self.state.lock();
        if state.miners.remove(&miner.id()).is_none() {
            return;
        }
        let lease = miner.work().lease.take();
        if let (Some(lease), Some((space_id, prefixes))) = (lease, &mut state.prefixes) {
            if lease.space_id == *space_id {
                prefixes.release(&lease.prefix);
            }
        }
        if state.miners.is_empty() {
            state.empty_since = Some(Instant::now());
            self.notify_changed(state);
        }
    }

    pub(crate) fn move_miners(&self, state: &mut GroupState, connection: &Arc<SharedConnection>) {
        let (space_id, newest) = {
            let connection_state = connection.connection_state();
            (connection_state.space.as_ref().map(|space| space.space_id), connection_state.newest.clone())
        };
        let now = Stamp::now();
        let mut leaving = 0_usize;
        for miner in state.miners.clone().values() {
            let is_here = miner.work().lease.as_ref().is_some_and(|lease| Some(lease.space_id) == space_id);
            if is_here {
                // It joined after the search space was known and before the first job.
                newest.iter().for_each(|miner_job| miner.send_job(miner_job, connection, now));
            } else if miner.is_leaving() || state.move_miner(miner, connection, now) != Ok(MoveOutcome::Moved)
            {
                leaving += 1;
                miner.disconnect();
            }
        }
        if leaving > 0 {
            // They reconnect in a wave, which is not their fault.
            self.services.listener_context.gatekeeper.pool_failed(Instant::now());
            log::info!("{} can't take new extranonces and must reconnect", count(leaving as u64, "miner"));
        }
    }
}

impl GroupState {
    /// The reason that no miner can get a lease, if all of these pools were found unusable in the last 10 s.
    fn why_unusable(&self, pools: &[UpstreamId]) -> Option<String> {
        let mut fresh = self.newly_unusable(pools);
        let why = fresh.next()?;
        (fresh.count() + 1 == pools.len()).then(|| why.to_owned())
    }

    /// The reasons recorded in the last 10 s for which these pools could not be used.
    fn newly_unusable<'a>(&'a self, pools: &'a [UpstreamId]) -> impl Iterator<Item = &'a str> {
        let found = pools.iter().filter_map(|pool| self.unusable.get(pool));
        found.filter(|(_, at)| at.elapsed() < UNUSABLE_TIME).map(|(why, _)| why.as_str())
    }

    /// Leases a part of this connection's search space to a miner. The miner gets its version mask before the
    /// first job: some use it from the next job on only (wire reference, section 2.5).
    fn move_miner(
        &mut self,
        miner: &ConnectedMiner,
        connection: &SharedConnection,
        now: Stamp,
    ) -> Result<MoveOutcome, LeaseError> {
        let (space, newest, mask) = {
            let connection_state = connection.connection_state();
            (connection_state.space.clone(), connection_state.newest.clone(), connection_state.known_mask())
        };
        let Some(space) = space else { return Err(LeaseError::NoPool) };
        let is_to_be_told = {
            let work = miner.work();
            work.is_subscribed && work.can_move()
        };
        if let Some(mask) = mask.filter(|_| is_to_be_told) {
            miner.set_mask(mask, now);
        }
        let newest_job = newest.as_ref().map(|miner_job| (miner_job, connection));
        miner.conversation.set_carrier(&connection.conversation);
        miner.move_to(|| self.take_lease(&space), newest_job, now)
    }

    fn take_lease(&mut self, space: &ExtranonceSpace) -> Result<ExtranonceLease, LeaseError> {
        let is_of = |(space_id, _): &(SpaceId, PrefixTable)| *space_id == space.space_id;
        if !self.prefixes.as_ref().is_some_and(is_of) {
            self.prefixes = Some((space.space_id, PrefixTable::starting_at(space.split, space.space_id.0)));
        }
        let prefix =
            self.prefixes.as_mut().and_then(|(_, prefixes)| prefixes.take()).ok_or(LeaseError::Full)?;
        match space.split.extranonce1(&space.extranonce1, &prefix) {
            Ok(extranonce1) => Ok(ExtranonceLease {
                space_id: space.space_id,
                prefix: Arc::new(prefix),
                extranonce1: Arc::new(extranonce1),
                extranonce2_size: space.split.miner_size,
            }),
            Err(error) => Err(LeaseError::Unusable(error.to_string())),
        }
    }
}
