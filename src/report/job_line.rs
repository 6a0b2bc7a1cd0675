//! A row of `timing.csv`, borrowed from the file's bytes.

use super::fields::{TimeParser, UnixMs, parse_number};
use super::rows::RowFields;
use crate::record::JobRow;

/// The places of the columns in one file.
#[derive(Debug, Clone)]
pub(super) struct JobColumns {
    count: usize,
    places: [Option<usize>; JobRow::COLUMNS.len()],
}

/// One job.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobLineRead<'a> {
    pub at: UnixMs,
    pub pool: &'a str,
    pub height: Option<u32>,
    /// Seconds by which the job's own time is ahead of the clock.
    pub ahead: Option<f64>,
    pub receive_gap: Option<f64>,
    pub branches: Option<u32>,
}

impl JobColumns {
    /// The columns of a file with this first line; `None` if it is no header of `timing.csv`.
    pub fn of_header(header: &RowFields<'_>) -> Option<JobColumns> {
        let place = |name: &str| header.iter().position(|field| field == name);
        let columns = JobColumns { count: header.len(), places: JobRow::COLUMNS.map(place) };
        (place("pool").is_some() && place("ntp_time").is_some()).then_some(columns)
    }

    pub fn is_header(row: &RowFields<'_>) -> bool {
        row.get(Some(0)) == JobRow::COLUMNS[0] && row.get(Some(1)) == JobRow::COLUMNS[1]
    }

    /// Reads a row.
    ///
    /// # Errors
    /// The reason why the row is damaged.
    pub fn job<'a>(
        &self,
        row: &RowFields<'a>,
        times: &mut TimeParser,
    ) -> Result<JobLineRead<'a>, &'static str> {
        if row.len() != self.count {
            return Err("it has more or fewer fields than the header");
        }
        let text = |name: &str| {
            let place = JobRow::COLUMNS.iter().position(|column| *column == name);
            row.get(place.and_then(|place| self.places[place]))
        };
        let at = times.parse(text("ntp_time")).ok_or("its time can't be read")?;
        let number = |name: &str| parse_number(text(name)).map_err(|()| "a number can't be read");
        Ok(JobLineRead {
            at,
            pool: text("pool"),
            height: text("height").parse().ok(),
            ahead: text("ntime_minus_ntp_seconds").parse().ok().filter(|ahead: &f64| ahead.is_finite()),
            receive_gap: number("receive_gap_seconds")?,
            branches: text("branches").parse().ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{NextRow, RowReader};
    use super::*;

    #[test]
    fn files_with_and_without_the_newer_columns_are_read() {
        let old = "pool,job_id,height,ntime,ntp_time,ntime_minus_ntp_seconds,receive_gap_seconds,prevhash_age_seconds,branches\n\
                   p:1,1,900000,6b00f9a4,2026-11-21T01:53:42.500Z,-2.500,30.125,,12\n";
        let new = "pool,job_id,height,ntime,ntp_time,ntime_minus_ntp_seconds,receive_gap_seconds,prevhash_age_seconds,branches,session,miner_addr,worker\n\
                   p:1,1,,6b00f9a4,2026-11-21T01:53:42.500Z,-2.500,,1.5,12,7,10.0.0.7:1,rig\n";
        for (text, height) in [(old, Some(900_000)), (new, None)] {
            let mut reader = RowReader::new(text.as_bytes());
            let Some(NextRow::Row(row)) = reader.next().unwrap() else { panic!() };
            let columns = JobColumns::of_header(&row).unwrap();
            let Some(NextRow::Row(row)) = reader.next().unwrap() else { panic!() };
            let job = columns.job(&row, &mut TimeParser::default()).unwrap();
            assert_eq!((job.height, job.ahead, job.branches), (height, Some(-2.5), Some(12)));
        }
    }
}
