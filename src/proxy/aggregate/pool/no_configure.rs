//! Pools that close the connection when they get `mining.configure` (wire reference, section 2.4): they are
//! used without it.

use crate::upstream::UpstreamId;

/// Connections in a row that ended without a line after which `mining.configure` is left out: one may be a
/// pool that is just starting.
const ENOUGH: u32 = 2;

#[derive(Debug, Default)]
pub(crate) struct NoConfigurePools {
    /// The pool that ended them, and how many.
    wordless: Option<(UpstreamId, u32)>,
}

impl NoConfigurePools {
    /// Whether the next connection to this pool is to be made without `mining.configure`.
    pub(crate) fn is_due(&self, upstream: UpstreamId) -> bool {
        self.wordless.is_some_and(|(of, count)| of == upstream && count >= ENOUGH)
    }

    /// Notes a connection that ended without a line of the pool's. If it ended so without `mining.configure`
    /// as well, there is another reason.
    pub(crate) fn wordless(&mut self, upstream: UpstreamId) {
        let before = self.wordless.filter(|(of, _)| *of == upstream).map_or(0, |(_, count)| count);
        self.wordless = Some((upstream, if before >= ENOUGH { 0 } else { before + 1 }));
    }

    /// Notes that the pool has answered. If it got `mining.configure`, it can take it; if not, the next
    /// connection sends it again, once.
    pub(crate) fn answered(&mut self, upstream: UpstreamId, was_asked: bool) {
        if self.wordless.is_some_and(|(of, _)| of == upstream) {
            self.wordless = (!was_asked).then_some((upstream, ENOUGH - 1));
        }
    }

    /// Starts over, because the pool is down, which explains the missing lines.
    pub(crate) fn begin_anew(&mut self) {
        self.wordless = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_hangs_up_twice_is_taken_without_and_then_with_again() {
        let (mut unconfigured, pool) = (NoConfigurePools::default(), UpstreamId(0));
        unconfigured.wordless(pool);
        assert!(!unconfigured.is_due(pool));
        unconfigured.wordless(pool);
        assert!(unconfigured.is_due(pool) && !unconfigured.is_due(UpstreamId(1)));
        // The next one asks once more; one silence is enough then.
        unconfigured.answered(pool, false);
        assert!(!unconfigured.is_due(pool));
        unconfigured.wordless(pool);
        assert!(unconfigured.is_due(pool));
        // Silence unasked has another reason.
        unconfigured.wordless(pool);
        assert!(!unconfigured.is_due(pool));
        unconfigured.wordless(pool);
        unconfigured.answered(pool, true);
        unconfigured.wordless(pool);
        assert!(!unconfigured.is_due(pool));
        unconfigured.wordless(pool);
        unconfigured.begin_anew();
        assert!(!unconfigured.is_due(pool));
    }
}
