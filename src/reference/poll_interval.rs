//! How often everything is done.

use std::time::Duration;

/// How often everything is done. The defaults are polite; tests are in a hurry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollInterval {
    /// A pool that has said nothing for so long has failed. Pools send a job every 30 to 60 s.
    pub silence: Duration,
    /// At least so long lies between two tips that are told.
    pub gap: Duration,
    /// What is known is told again after so long: who listens may have forgotten.
    pub repeat: Duration,
    /// After a pool's first failure. Each further one doubles it.
    pub first_pause: Duration,
    /// The pauses grow no longer than this.
    pub longest_pause: Duration,
    /// After a connection that held for so long the pauses begin anew.
    pub proven: Duration,
    /// Between two questions to a node.
    pub poll: Duration,
    /// The same after many failures.
    pub longest_poll: Duration,
    /// A question to a node takes no longer.
    pub request: Duration,
}

impl Default for PollInterval {
    fn default() -> PollInterval {
        PollInterval {
            silence: Duration::from_secs(180),
            gap: Duration::from_secs(1),
            repeat: Duration::from_secs(120),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
            proven: Duration::from_secs(60),
            poll: Duration::from_secs(5),
            longest_poll: Duration::from_secs(60),
            request: Duration::from_secs(10),
        }
    }
}
