//! The delivery state of one recipient.

use std::collections::BTreeMap;

use parking_lot::{Mutex, MutexGuard};

use serde::Serialize;

/// The state of a recipient since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecipientHealth {
    /// Place in the configuration, counted from 1, and kind, such as `notify[2] (discord)`.
    pub name: String,
    /// Messages that were delivered.
    pub sent: u64,
    /// Messages that could not be delivered.
    pub failed: u64,
    /// Alerts without a message of their own: too many, repeated, or no room in the queue.
    pub held_back: u64,
    /// Why the newest attempt failed; `None` after a delivered message.
    pub last_error: Option<String>,
}

/// The number of alerts of each id.
pub(super) type AlertCounts = BTreeMap<&'static str, u64>;

/// Data shared by the [`Notifier`](super::Notifier) and the recipient's thread. It is locked for a
/// moment only.
#[derive(Debug, Default)]
pub(super) struct DeliveryRecord(Mutex<HealthEntries>);

#[derive(Debug, Default)]
pub(super) struct HealthEntries {
    pub health: RecipientHealth,
    /// Alerts that did not fit into the queue, until a message sums them up.
    pub overflowed: AlertCounts,
}

impl DeliveryRecord {
    pub fn new(name: String) -> DeliveryRecord {
        let health = RecipientHealth { name, ..RecipientHealth::default() };
        DeliveryRecord(Mutex::new(HealthEntries { health, overflowed: AlertCounts::new() }))
    }

    pub fn lock(&self) -> MutexGuard<'_, HealthEntries> {
        // A panic can't leave numbers half-changed.
        self.0.lock()
    }
}
