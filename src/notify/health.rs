//! How it goes with one recipient.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What there is to see of a recipient since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecipientHealth {
    /// Such as `notify[2] (discord)`: its place in the configuration, from 1, and its kind.
    pub name: String,
    /// Messages that arrived.
    pub sent: u64,
    /// Messages that were given up.
    pub failed: u64,
    /// Alerts that got no message of their own: too many, the same again, or no room in the queue.
    pub held_back: u64,
    /// Why the newest try failed; `None` once a message has arrived again.
    pub last_error: Option<String>,
}

/// How many alerts of each id.
pub(super) type AlertCounts = BTreeMap<&'static str, u64>;

/// What the one who tells and the recipient's thread share. Locked for a moment only.
#[derive(Debug, Default)]
pub(super) struct DeliveryRecord(Mutex<HealthEntries>);

#[derive(Debug, Default)]
pub(super) struct HealthEntries {
    pub health: RecipientHealth,
    /// What found no room in the queue, until a message sums it up.
    pub overflowed: AlertCounts,
}

impl DeliveryRecord {
    pub fn new(name: String) -> DeliveryRecord {
        let health = RecipientHealth { name, ..RecipientHealth::default() };
        DeliveryRecord(Mutex::new(HealthEntries { health, overflowed: AlertCounts::new() }))
    }

    pub fn lock(&self) -> MutexGuard<'_, HealthEntries> {
        // Numbers can't be left half-changed by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
