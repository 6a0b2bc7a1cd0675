//! A row of `shares.csv`, borrowed from the file's bytes.

use super::fields::{TimeParser, UnixMs, parse_number};
use super::rows::RowFields;
use crate::record::ShareRow;

/// The places of the columns in one file, by the names in its first line.
#[derive(Debug, Default, Clone)]
pub(super) struct ShareColumns {
    count: usize,
    /// The place of each of [`ShareRow::COLUMNS`].
    places: [Option<usize>; ShareRow::COLUMNS.len()],
    /// The file of the Python proxy: it has no result, and its difficulty is the pool's.
    is_python: bool,
}

/// The pool's answer, as the column `result` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShareResult {
    Accepted,
    Rejected,
    Unanswered,
    Unknown,
}

/// One share.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShareLine<'a> {
    pub at: UnixMs,
    pub worker: &'a str,
    pub upstream: &'a str,
    pub result: ShareResult,
    pub code: &'a str,
    pub reason: &'a str,
    pub share_difficulty: Option<f64>,
    pub assigned_difficulty: Option<f64>,
    pub job_age: Option<f64>,
    pub response_ms: Option<f64>,
    pub network_difficulty: Option<f64>,
    pub hash: &'a str,
    pub is_block: bool,
}

#[cfg(test)]
impl<'a> ShareLine<'a> {
    /// An accepted share of difficulty 9, where 8 was asked for.
    pub fn for_tests(worker: &'a str, at: UnixMs) -> ShareLine<'a> {
        ShareLine {
            at,
            worker,
            upstream: "pool:1",
            result: ShareResult::Accepted,
            code: "",
            reason: "",
            share_difficulty: Some(9.0),
            assigned_difficulty: Some(8.0),
            job_age: None,
            response_ms: None,
            network_difficulty: None,
            hash: "",
            is_block: false,
        }
    }
}

const TIMESTAMP: usize = 0;
const WORKER: usize = 2;
const SHARE_DIFFICULTY: usize = 5;
const JOB_AGE: usize = 6;
const IS_BLOCK: usize = 7;
const ASSIGNED: usize = 9;
const RESULT: usize = 10;
const REJECT_CODE: usize = 11;
const REJECT_REASON: usize = 12;
const RESPONSE: usize = 13;
const HASH: usize = 18;
const NETWORK_DIFFICULTY: usize = 20;
const UPSTREAM: usize = 21;

impl ShareColumns {
    /// The columns of a file with this first line; `None` if it is no header of `shares.csv`.
    pub fn of_header(header: &RowFields<'_>) -> Option<ShareColumns> {
        let place = |name: &str| header.iter().position(|field| field == name);
        let places = ShareRow::COLUMNS.map(place);
        let is_ours = places[TIMESTAMP].is_some() && places[WORKER].is_some();
        let is_python = places[RESULT].is_none() && places[ASSIGNED].is_none();
        is_ours.then_some(ShareColumns { count: header.len(), places, is_python })
    }

    /// The columns as Sluice writes them, for rows that come before a header.
    pub fn usual() -> ShareColumns {
        let mut next = 0;
        let places = ShareRow::COLUMNS.map(|_| {
            next += 1;
            Some(next - 1)
        });
        ShareColumns { count: ShareRow::COLUMNS.len(), places, is_python: false }
    }

    /// True if the row is the file's header once more.
    pub fn is_header(&self, row: &RowFields<'_>) -> bool {
        self.text(row, TIMESTAMP) == ShareRow::COLUMNS[TIMESTAMP]
    }

    /// The field of a column, by its place in [`ShareRow::COLUMNS`].
    pub fn text<'a>(&self, row: &RowFields<'a>, column: usize) -> &'a str {
        row.get(self.places[column])
    }

    /// Reads a row.
    ///
    /// # Errors
    /// The reason why the row is damaged.
    pub fn share<'a>(
        &self,
        row: &RowFields<'a>,
        times: &mut TimeParser,
    ) -> Result<ShareLine<'a>, &'static str> {
        if row.len() != self.count {
            return Err("it has more or fewer fields than the header");
        }
        let text = |column: usize| self.text(row, column);
        let at = times.parse(text(TIMESTAMP)).ok_or("its time can't be read")?;
        let number = |column: usize| parse_number(text(column)).map_err(|()| "a number can't be read");
        let result = match text(RESULT) {
            "accepted" => ShareResult::Accepted,
            "rejected" => ShareResult::Rejected,
            "unanswered" => ShareResult::Unanswered,
            "unknown" => ShareResult::Unknown,
            "" if self.places[RESULT].is_none() => ShareResult::Unknown,
            _ => return Err("its result is unknown"),
        };
        let (share_difficulty, assigned) = (number(SHARE_DIFFICULTY)?, number(ASSIGNED)?);
        let (share_difficulty, assigned_difficulty) =
            if self.is_python { (None, share_difficulty) } else { (share_difficulty, assigned) };
        Ok(ShareLine {
            at,
            worker: text(WORKER),
            upstream: text(UPSTREAM),
            result,
            code: text(REJECT_CODE),
            reason: text(REJECT_REASON),
            share_difficulty,
            assigned_difficulty,
            job_age: number(JOB_AGE)?,
            response_ms: number(RESPONSE)?,
            // It only says how far away a block is, so a wrong one damages nothing.
            network_difficulty: number(NETWORK_DIFFICULTY).unwrap_or_default(),
            hash: text(HASH),
            is_block: text(IS_BLOCK) == "true",
        })
    }
}

impl ShareLine<'_> {
    /// The work that the hash proves, whatever the pool has answered: what the pool asked for, if the hash meets it.
    pub fn proven(&self) -> Option<f64> {
        let (found, assigned) = (self.share_difficulty?, self.assigned_difficulty?);
        (found >= assigned && assigned > 0.0).then_some(assigned)
    }

    /// A number by which the hash is recognised: its last 16 digits. The first ones are zeros.
    pub fn hash_key(&self) -> Option<u64> {
        let bytes = self.hash.as_bytes();
        let digits = bytes.get(bytes.len().checked_sub(16)?..)?;
        digits.iter().try_fold(0_u64, |key, digit| {
            let value = (*digit as char).to_digit(16)?;
            Some(key << 4 | u64::from(value))
        })
    }

    /// True if the pool rejected the share because its job was over.
    pub fn is_stale_reject(&self) -> bool {
        if self.result != ShareResult::Rejected {
            return false;
        }
        let has = |word: &str| {
            let (reason, word) = (self.reason.as_bytes(), word.as_bytes());
            reason.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
        };
        self.code == "21" || has("stale") || has("job not found")
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{NextRow, RowReader};
    use super::*;

    fn read(text: &str) -> Vec<Result<String, &'static str>> {
        let mut reader = RowReader::new(text.as_bytes());
        let mut columns: Option<ShareColumns> = None;
        let mut found = Vec::new();
        let mut times = TimeParser::default();
        while let Some(NextRow::Row(row)) = reader.next().unwrap() {
            match &columns {
                None => columns = Some(ShareColumns::of_header(&row).unwrap()),
                Some(columns) => found.push(columns.share(&row, &mut times).map(|share| {
                    format!(
                        "{} {} {:?} {:?} {:?}",
                        share.worker,
                        share.upstream,
                        share.result,
                        share.assigned_difficulty,
                        share.proven()
                    )
                })),
            }
        }
        found
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let text = "new,worker,timestamp,result,assigned_difficulty,share_difficulty\n\
                    ?,a,2026-11-21T01:53:42.512Z,accepted,8,9\n\
                    ?,b,2026-11-21T01:53:42.512Z,rejected,8,7\n\
                    ?,b,2026-11-21T01:53:42.512Z,refused,8,7\n\
                    ?,b,2026-11-21T01:53:42.512Z,rejected,8,-7\n\
                    ?,b,2026-11-21T01:53:42.512Z,rejected,8\n";
        let found = read(text);
        assert_eq!(found[0].as_deref(), Ok("a  Accepted Some(8.0) Some(8.0)"));
        assert_eq!(found[1].as_deref(), Ok("b  Rejected Some(8.0) None"));
        assert_eq!(found[2..].iter().filter(|row| row.is_err()).count(), 3);
    }

    #[test]
    fn the_nine_columns_of_the_python_proxy_are_read() {
        let text = "timestamp,miner_addr,worker,job_id,nonce,share_difficulty,job_age_seconds,is_block,msg_id\n\
                    2025-10-02T11:22:33.123456+00:00,10.0.0.7:5000,rig,1a,00ff,512.000000,3.1,pending,7\n";
        assert_eq!(read(text)[0].as_deref(), Ok("rig  Unknown Some(512.0) None"));
    }
}
