//! Pools that close the connection when they get `mining.configure` (wire reference, section 2.4): they are
//! used without it.

use crate::upstream::UpstreamId;

/// Connections in a row that ended without a line after which `mining.configure` is left out: one may be a
/// pool that is just starting.
const MAX_UNANSWERED: u32 = 2;

#[derive(Debug, Default)]
pub(crate) struct NoConfigurePools {
    /// The pool that ended them, and how many.
    closed_unanswered: Option<(UpstreamId, u32)>,
}

impl NoConfigurePools {
    /// Whether the next connection to this pool is to be made without `mining.configure`.
    pub(crate) fn is_due(&self, upstream: UpstreamId) -> bool {
        self.closed_unanswered.is_some_and(|(of, count)| of == upstream && count >= MAX_UNANSWERED)
    }

    /// Notes a connection that ended without a line of the pool's. If it ended so without `mining.configure`
    /// as well, there is another reason.
    pub(crate) fn closed_unanswered(&mut self, upstream: UpstreamId) {
        let before = self.closed_unanswered.filter(|(of, _)| *of == upstream).map_or(0, |(_, count)| count);
        self.closed_unanswered = Some((upstream, if before >= MAX_UNANSWERED { 0 } else { before + 1 }));
    }

    /// Notes that the pool has answered. If it got `mining.configure`, it can take it; if not, the next
    /// connection sends it again, once.
    pub(crate) fn answered(&mut self, upstream: UpstreamId, was_asked: bool) {
        if self.closed_unanswered.is_some_and(|(of, _)| of == upstream) {
            self.closed_unanswered = (!was_asked).then_some((upstream, MAX_UNANSWERED - 1));
        }
    }

    /// Starts over, because the pool is down, which explains the missing lines.
    pub(crate) fn reset(&mut self) {
        self.closed_unanswered = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_hangs_up_twice_gets_no_configure_until_it_answers() {
        let (mut no_configure, pool) = (NoConfigurePools::default(), UpstreamId(0));
        no_configure.closed_unanswered(pool);
        assert!(!no_configure.is_due(pool));
        no_configure.closed_unanswered(pool);
        assert!(no_configure.is_due(pool) && !no_configure.is_due(UpstreamId(1)));
        // The next one asks once more; one silence is enough then.
        no_configure.answered(pool, false);
        assert!(!no_configure.is_due(pool));
        no_configure.closed_unanswered(pool);
        assert!(no_configure.is_due(pool));
        // Silence unasked has another reason.
        no_configure.closed_unanswered(pool);
        assert!(!no_configure.is_due(pool));
        no_configure.closed_unanswered(pool);
        no_configure.answered(pool, true);
        no_configure.closed_unanswered(pool);
        assert!(!no_configure.is_due(pool));
        no_configure.closed_unanswered(pool);
        no_configure.reset();
        assert!(!no_configure.is_due(pool));
    }
}
