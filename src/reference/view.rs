//! What there is to see of a reference.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tip::Tip;

/// How one reference fares.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceView {
    /// Host and port; also the [`Tip::source`] of what it tells.
    pub name: Arc<str>,
    pub kind: ReferenceKind,
    /// A pool: it has sent a job since it was connected to. A node: it answered the newest question.
    pub is_connected: bool,
    /// What is wrong, and what can be done; without secrets. Holds words of strangers.
    pub error: Option<String>,
    /// The newest, and when it was heard first. `None` also while the newest job can't be read.
    pub tip: Option<Tip>,
}

/// What a reference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    Pool,
    Node,
}

impl ReferenceKind {
    /// A stable word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            ReferenceKind::Pool => "pool",
            ReferenceKind::Node => "node",
        }
    }
}

impl fmt::Display for ReferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a reference's thread writes down, for whoever wants to see it. Locked for a moment only.
#[derive(Debug)]
pub(super) struct ReferenceStatus(Mutex<ReferenceView>);

impl ReferenceStatus {
    pub(super) fn new(name: &str, kind: ReferenceKind) -> ReferenceStatus {
        let name = name.into();
        ReferenceStatus(Mutex::new(ReferenceView { name, kind, is_connected: false, error: None, tip: None }))
    }

    pub(super) fn name(&self) -> Arc<str> {
        self.lock().name.clone()
    }

    pub(super) fn view(&self) -> ReferenceView {
        self.lock().clone()
    }

    /// It works, with something to remark or not.
    pub(super) fn works(&self, remark: Option<String>) {
        let mut view = self.lock();
        let is_new = !view.is_connected || view.error != remark;
        // A pool can send an odd job and a usual one in turns, as often as it likes.
        let is_pools_turn = view.is_connected && view.kind == ReferenceKind::Pool;
        (view.is_connected, view.error) = (true, remark);
        if is_new && !is_pools_turn {
            match &view.error {
                None => log::info!("reference {} ({}) is connected", view.name, view.kind),
                Some(remark) => log::warn!("reference {} ({}): {remark}", view.name, view.kind),
            }
        }
    }

    /// It does not. Only the first of several failures in a row is worth a warning.
    pub(super) fn failed(&self, why: String) {
        let mut view = self.lock();
        let is_known = !view.is_connected && view.error.is_some();
        let level = if is_known { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "reference {} ({}): {why}; it is tried again", view.name, view.kind);
        (view.is_connected, view.error) = (false, Some(why));
    }

    /// Nobody can tell any more what it works on. The first time on a connection is worth a warning.
    pub(super) fn lost_tip(&self, why: String, is_first: bool) {
        let mut view = self.lock();
        let level = if is_first { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "reference {} ({}): {why}", view.name, view.kind);
        (view.tip, view.error) = (None, Some(why));
    }

    pub(super) fn tip(&self, tip: &Tip) {
        self.lock().tip = Some(tip.clone());
    }

    fn lock(&self) -> MutexGuard<'_, ReferenceView> {
        // Whole values are put in place of whole values.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
