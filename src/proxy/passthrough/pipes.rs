//! Limits the file descriptors of pipes. A session on the splice path needs up to ten where copying needs
//! two. Without a limit they would be used up before `listen.max_miners` is reached, and none would be left
//! to accept and connect with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::net::process;
pub use crate::net::process::{OWN_DESCRIPTORS, SOCKETS_PER_SESSION};

/// The two ends of a pipe.
pub const DESCRIPTORS_PER_PIPE: u64 = 2;

/// The pipes that may still be made. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct PipeBudget {
    left: Arc<AtomicU64>,
}

/// Pipes that may be made. Dropping it gives them back.
#[derive(Debug)]
pub(super) struct PipeGrant {
    left: Arc<AtomicU64>,
    pipes: u64,
}

impl PipeBudget {
    /// The pipes that this process's limit leaves when `max_miners` are connected.
    pub(super) fn for_miners(max_miners: usize) -> PipeBudget {
        let kept = OWN_DESCRIPTORS + SOCKETS_PER_SESSION * max_miners as u64;
        PipeBudget::of(process::fd_limit().saturating_sub(kept) / DESCRIPTORS_PER_PIPE)
    }

    fn of(pipes: u64) -> PipeBudget {
        PipeBudget { left: Arc::new(AtomicU64::new(pipes)) }
    }

    /// Takes `pipes`. `None` when fewer are left.
    pub(super) fn take(&self, pipes: u64) -> Option<PipeGrant> {
        let taken =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(pipes));
        taken.ok().map(|_| PipeGrant { left: self.left.clone(), pipes })
    }
}

impl Drop for PipeGrant {
    fn drop(&mut self) {
        self.left.fetch_add(self.pipes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_grants_can_be_taken_again_and_the_budget_holds() {
        let budget = PipeBudget::of(5);
        let two = budget.take(2).unwrap();
        let _three = budget.take(3).unwrap();
        assert!(budget.take(1).is_none());
        drop(two);
        assert!(budget.take(3).is_none());
        assert!(budget.take(2).is_some());
    }
}
