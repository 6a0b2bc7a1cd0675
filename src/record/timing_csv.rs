//! A row of `timing.csv`.

use std::net::SocketAddr;
use std::time::Duration;

use super::csv::Row;
use crate::clock::NtpTime;
use crate::stratum::{JobId, Ntime};
use crate::tap::SessionId;
use crate::work::Height;

/// One job and its times.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// The upstream the job came from.
    pub pool: String,
    pub job_id: JobId,
    pub height: Option<Height>,
    pub ntime: Ntime,
    /// When the job arrived.
    pub at: NtpTime,
    /// Time since the previous job of the same pool and session.
    pub receive_gap: Option<Duration>,
    /// Time since the job's prevhash was first seen.
    pub prevhash_age: Option<Duration>,
    /// Number of merkle branches; none for an empty block.
    pub branches: usize,
    pub session: SessionId,
    /// The miner that the job is for; `None` if it is for all miners of a connection.
    pub miner: Option<SocketAddr>,
    /// The session's worker; empty before the pool has accepted one.
    pub worker: String,
}

impl JobRow {
    /// The header of `timing.csv`. The last three were added later: files of older versions lack them.
    pub const COLUMNS: [&str; 12] = [
        "pool",
        "job_id",
        "height",
        "ntime",
        "ntp_time",
        "ntime_minus_ntp_seconds",
        "receive_gap_seconds",
        "prevhash_age_seconds",
        "branches",
        "session",
        "miner_addr",
        "worker",
    ];

    pub(super) fn to_csv(&self) -> Vec<u8> {
        let ahead_ms = i64::from(self.ntime.0) * 1000 - self.at.timestamp().as_millisecond();
        Row::new()
            .text(&self.pool)
            .text(self.job_id.as_str())
            .optional(self.height)
            .value(self.ntime)
            .value(self.at)
            .value(format_args!("{:.3}", ahead_ms as f64 / 1e3))
            .seconds(self.receive_gap)
            .seconds(self.prevhash_age)
            .value(self.branches)
            .value(self.session)
            .optional(self.miner)
            .text(&self.worker)
            .end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_the_past_has_a_negative_difference() {
        let row = JobRow {
            pool: "=pool".into(),
            job_id: JobId::from_text("65,1").unwrap(),
            height: Some(Height(900_000)),
            ntime: Ntime(1_795_226_020),
            at: "2026-11-21T01:53:42.5Z".parse().unwrap(),
            receive_gap: Some(Duration::from_millis(30_125)),
            prevhash_age: None,
            branches: 12,
            session: SessionId(7),
            miner: "10.0.0.7:51234".parse().ok(),
            worker: "=rig".into(),
        };
        let text = String::from_utf8(row.to_csv()).unwrap();
        assert_eq!(
            text,
            "'=pool,\"65,1\",900000,6b00f9a4,2026-11-21T01:53:42.500Z,-2.500,30.125,,12,7,10.0.0.7:51234,'=rig\n"
        );
    }
}
