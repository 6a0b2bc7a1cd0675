//! Jobs as miners read them that are more lenient than [`Notify::from_params`].
//!
//! ESP-Miner checks next to nothing. It reads the values of an object as an array, anything else as an empty array,
//! hex digits in pairs where any other character counts as zero, and numbers as C's `strtoul` does.

use serde_json::value::RawValue;

use super::header_fields::{MerkleBranch, Nbits, Ntime, PrevHash};
use super::hex;
use super::hex_u32;
use super::job_id::JobId;
use super::json_field::{FieldError, at, string, values};
use super::notify::{Notify, clean_in};
use super::version::Version;

/// The most merkle branches that are read. With this many, rebuilding a share takes 0.3 ms. ESP-Miner and NerdMiner
/// take 32, cgminer any number.
const MAX_BRANCHES: usize = 1024;

/// A job, and the agreement of miners in reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReading {
    pub job: Notify,
    pub agreement: ReadingAgreement,
}

/// The agreement of miners in reading a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadingAgreement {
    /// Every miner reads the same.
    All,
    /// Some miners read this, the others ignore the message.
    OrIgnored,
    /// Some miners read this, others may read something else.
    Doubtful,
}

impl JobReading {
    /// The memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let job = &self.job;
        let contents =
            job.coinb1.len() + job.coinb2.len() + 32 * job.branches.len() + job.job_id.as_str().len();
        size_of::<JobReading>() + contents
    }
}

impl Notify {
    /// Reads the params as the most lenient miners do.
    ///
    /// # Errors
    /// The errors of [`Notify::from_params`], if no miner is known to make a job of it.
    pub fn as_miners_read(params: Option<&RawValue>) -> Result<JobReading, FieldError> {
        match Notify::from_params(params) {
            Ok(job) => Ok(JobReading { job, agreement: ReadingAgreement::All }),
            Err(error) => lenient(params).ok_or(error),
        }
    }
}

fn lenient(params: Option<&RawValue>) -> Option<JobReading> {
    let params = values(params?)?;
    let mut agreement = ReadingAgreement::OrIgnored;
    let text = |index| {
        let text = string("", at("", &params, index).ok()?).ok()?;
        Some(text.into_owned())
    };
    let (prevhash, coinb1, coinb2) = (text(1)?, text(2)?, text(3)?);
    let mut doubt = |(bytes, is_exact): (Vec<u8>, bool)| {
        if !is_exact {
            agreement = ReadingAgreement::Doubtful;
        }
        bytes
    };
    let prevhash = doubt(hex::pairs(&prevhash)).get(..32)?.try_into().ok()?;
    let (coinb1, coinb2) = (doubt(hex::pairs(&coinb1)), doubt(hex::pairs(&coinb2)));
    let texts = values(at("", &params, 4).ok()?).unwrap_or_default();
    if texts.len() > MAX_BRANCHES {
        return None;
    }
    let branch = |raw: &&RawValue| {
        let (bytes, is_exact) = hex::pairs(&string("", raw).ok()?);
        Some((MerkleBranch(bytes.get(..32)?.try_into().ok()?), is_exact && bytes.len() == 32))
    };
    let branches: Vec<_> = texts.iter().map(branch).collect::<Option<_>>()?;
    let mut number = |index| {
        let raw = at("", &params, index).ok()?;
        if let Ok(number) = hex_u32::from_json("", raw) {
            return Some(number);
        }
        doubt((Vec::new(), false));
        Some(hex::leading_number(&string("", raw).ok()?))
    };
    let (version, nbits, ntime) = (Version(number(5)?), Nbits(number(6)?), Ntime(number(7)?));
    if branches.iter().any(|(_, is_exact)| !is_exact) {
        agreement = ReadingAgreement::Doubtful;
    }
    let job = Notify {
        job_id: JobId::from_json(at("", &params, 0).ok()?).ok()?,
        prevhash: PrevHash::from_wire_bytes(prevhash),
        coinb1,
        coinb2,
        branches: branches.into_iter().map(|(branch, _)| branch).collect(),
        version,
        nbits,
        ntime,
        clean_jobs: clean_in(&params),
    };
    Some(JobReading { job, agreement })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "1901125004612a1701c3a621d930d31d36b607df1fccc2160002d01c00000000";

    fn read(params: &str) -> Option<JobReading> {
        Notify::as_miners_read(Some(serde_json::from_str(params).unwrap())).ok()
    }

    fn params(coinb1: &str, branches: &str, ntime: &str) -> String {
        format!(r#"["a","{HASH}","{coinb1}","02",{branches},"20000000","1b04864c",{ntime},true]"#)
    }

    #[test]
    fn forms_that_change_no_value_are_not_doubtful() {
        let plain = read(&params("0100", "[]", "\"4d1b2237\"")).unwrap();
        assert_eq!(plain.agreement, ReadingAgreement::All);
        for branches in ["null", "{}", "\"\"", "0", "false"] {
            let reading = read(&params("0100", branches, "\"4d1b2237\"")).unwrap();
            assert_eq!(
                reading,
                JobReading { agreement: ReadingAgreement::OrIgnored, ..plain.clone() },
                "{branches}"
            );
        }
        let object = format!(
            r#"{{"0":"a","b":"{HASH}","c":"0100","d":"02","e":[],"f":"20000000","g":"1b04864c","h":"4d1b2237","i":true}}"#
        );
        assert_eq!(read(&object).unwrap(), JobReading { agreement: ReadingAgreement::OrIgnored, ..plain });
        let many = format!("[{}]", vec![format!("\"{HASH}\""); 33].join(","));
        assert_eq!(read(&params("0100", &many, "1")).unwrap().job.branches.len(), 33);
    }

    #[test]
    fn hex_is_read_in_pairs() {
        for (written, read_as) in
            [("0100 ", &[1, 0][..]), ("01000", &[1, 0]), ("0x0100", &[0, 1, 0]), ("0g1\u{e9}", &[0, 0x10])]
        {
            let reading = read(&params(written, "[]", "\"4d1b2237\"")).unwrap();
            assert_eq!(
                (&reading.job.coinb1[..], reading.agreement),
                (read_as, ReadingAgreement::Doubtful),
                "{written}"
            );
        }
        let reading = read(&params("0100", "[]", "\" 0x4d1b2237 \"")).unwrap();
        assert_eq!((reading.job.ntime, reading.agreement), (Ntime(0x4d1b_2237), ReadingAgreement::Doubtful));
        let branch = format!("[\"{HASH}00\"]");
        assert_eq!(read(&params("0100", &branch, "1")).unwrap().agreement, ReadingAgreement::Doubtful);
    }

    #[test]
    fn what_no_miner_makes_a_job_of_is_an_error() {
        let nested = format!("[{}]", params("0100", "[]", "1"));
        let many = format!("[{}]", vec![format!("\"{HASH}\""); 1025].join(","));
        for params in [
            "null",
            "[]",
            "\"x\"",
            &nested,
            &params("0100", "[null]", "1"),
            &params("0100", "[\"00\"]", "1"),
            &params("0100", &many, "1"),
            &params("0100", "[]", "null"),
        ] {
            assert_eq!(read(params), None, "{params}");
        }
    }
}
