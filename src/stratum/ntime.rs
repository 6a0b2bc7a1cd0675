//! The time in a block header.

use super::hex_u32::hex_u32;

hex_u32! {
    /// Seconds since 1970-01-01 UTC, as they stand in a job and in the header.
    Ntime, "ntime"
}

impl Ntime {
    /// How far a miner may roll a job's time forward (ckpool's limit; wire reference, section 3.4).
    pub const MAX_ROLL: u32 = 7000;

    /// Whether this is the time of a job or one it may be rolled to.
    pub fn is_within(self, job: Ntime) -> bool {
        self >= job && self.0 - job.0 <= Ntime::MAX_ROLL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_closed_on_both_sides() {
        let job = Ntime(0x668d_76e2);
        assert!(job.is_within(job));
        assert!(Ntime(job.0 + 7000).is_within(job));
        assert!(!Ntime(job.0 + 7001).is_within(job));
        assert!(!Ntime(job.0 - 1).is_within(job));
    }
}
