//! The state of a reference, for the page, JSON and metrics.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::tip::Tip;

/// The state of one reference at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceView {
    /// Host and port; also the [`Tip::source`] of its tips.
    pub name: Arc<str>,
    pub kind: ReferenceKind,
    /// For a pool: it has sent a job on the current connection. For a node: it answered the last request.
    pub is_connected: bool,
    /// The fault, and what to do about it; without secrets. May quote the reference's own words.
    pub error: Option<String>,
    /// The newest tip, with the time when it was first seen. `None` also while the newest job is unreadable.
    pub tip: Option<Tip>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    Pool,
    Node,
}

impl ReferenceKind {
    /// The stable name for JSON and metrics.
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

/// The state that a reference's thread updates and others read. The lock is held for a moment only.
#[derive(Debug)]
pub(super) struct ReferenceStatus(Mutex<ReferenceView>);

impl ReferenceStatus {
    pub(super) fn new(name: &str, kind: ReferenceKind) -> ReferenceStatus {
        let name = name.into();
        ReferenceStatus(Mutex::new(ReferenceView { name, kind, is_connected: false, error: None, tip: None }))
    }

    pub(super) fn name(&self) -> Arc<str> {
        self.0.lock().name.clone()
    }

    pub(super) fn view(&self) -> ReferenceView {
        self.0.lock().clone()
    }

    /// Records that the reference works, with a remark if something limits its use.
    pub(super) fn set_connected(&self, remark: Option<String>) {
        let mut view = self.0.lock();
        let is_new = !view.is_connected || view.error != remark;
        // A pool can alternate between readable and unreadable jobs as often as it likes: not a log line each.
        let is_alternating_pool = view.is_connected && view.kind == ReferenceKind::Pool;
        (view.is_connected, view.error) = (true, remark);
        if is_new && !is_alternating_pool {
            match &view.error {
                None => log::info!("reference {} ({}) is connected", view.name, view.kind),
                Some(remark) => log::warn!("reference {} ({}): {remark}", view.name, view.kind),
            }
        }
    }

    /// Records a failure. Only the first of several in a row is logged as a warning.
    pub(super) fn set_failed(&self, why: String) {
        let mut view = self.0.lock();
        let is_known = !view.is_connected && view.error.is_some();
        let level = if is_known { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "reference {} ({}): {why}; Sluice retries", view.name, view.kind);
        (view.is_connected, view.error) = (false, Some(why));
    }

    /// Records that the tip is unknown. Only the first time on a connection is logged as a warning.
    pub(super) fn clear_tip(&self, why: String, is_first: bool) {
        let mut view = self.0.lock();
        let level = if is_first { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "reference {} ({}): {why}", view.name, view.kind);
        (view.tip, view.error) = (None, Some(why));
    }

    pub(super) fn set_tip(&self, tip: &Tip) {
        self.0.lock().tip = Some(tip.clone());
    }
}
