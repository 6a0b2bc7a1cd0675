//! The names of a group's miners, and their authorization at the pool.

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use crate::proxy::aggregate::{MinerGroup, PoolName, SharedConnection, WorkerName};
use crate::upstream::UpstreamId;

/// Caps the refused names that are authorized again at one check.
const MAX_NAME_RETRIES: usize = 8;

impl MinerGroup {
    /// Authorizes a miner's name at the pool.
    pub(crate) fn authorize(&self, worker: &WorkerName) {
        if let Some(connection) = self.connection() {
            self.authorize_on(&connection, worker);
        }
    }

    pub(crate) fn authorize_on(&self, connection: &SharedConnection, worker: &WorkerName) {
        let pool_name = self.name_at_pool(connection, worker);
        if pool_name.0.is_empty() {
            return;
        }
        if connection.connection_state().names.is_full() {
            let used = self.used_names(connection);
            connection.connection_state().names.retain(|name| used.contains(name));
        }
        let password = worker.password.as_ref().unwrap_or(&connection.configured.password);
        connection.authorize(&pool_name, password.expose(), self.services.limits.authorize_retry);
    }

    /// Authorizes refused names again: the pool may have been unable to check them for a moment.
    pub(crate) fn retry_refused_names(&self, connection: &SharedConnection) {
        if !self.services.config.aggregate.local_authorize {
            // The miners have to reconnect with the right password.
            return;
        }
        let again = self.services.limits.authorize_retry;
        let refused = connection.connection_state().names.refused_since(again, Instant::now());
        if refused.is_empty() {
            return;
        }
        let used = self.used_names(connection);
        for name in refused.into_iter().filter(|name| used.contains(name)).take(MAX_NAME_RETRIES) {
            connection.authorize(&name, connection.configured.password.expose(), again);
        }
    }

    /// The names of all miners at the pool of this connection.
    fn used_names(&self, connection: &SharedConnection) -> HashSet<PoolName> {
        self.workers().iter().map(|worker| self.name_at_pool(connection, worker)).collect()
    }

    fn name_at_pool(&self, connection: &SharedConnection, worker: &WorkerName) -> PoolName {
        self.services.naming.at_pool(&worker.name, &connection.configured.user)
    }

    /// The names that a new connection is to carry, without those of miners that are about to leave.
    pub(crate) fn own_workers(&self) -> Vec<WorkerName> {
        let (own, miners) = self.owner_and_miners();
        let its = miners.into_iter().filter(|(account, _)| Some(account) == own.as_ref());
        its.flat_map(|(_, miner)| miner.work().workers.clone()).collect()
    }

    /// The authorized names of all miners. A new connection authorizes them all.
    pub(crate) fn workers(&self) -> Vec<WorkerName> {
        self.miners().iter().flat_map(|miner| miner.work().workers.clone()).collect()
    }

    /// The names of all miners at this pool.
    pub(crate) fn names_at(&self, upstream: UpstreamId) -> BTreeSet<String> {
        let configured = self.services.upstreams.configured(upstream);
        let name = |worker: &WorkerName| self.services.naming.at_pool(&worker.name, &configured.user).0;
        self.workers().iter().map(name).collect()
    }
}
