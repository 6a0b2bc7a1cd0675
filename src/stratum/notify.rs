//! `mining.notify` (wire reference, section 2.9).

use serde_json::json;
use serde_json::value::RawValue;

use super::header_fields::{MerkleBranch, Nbits, Ntime, PrevHash};
use super::hex;
use super::job_id::JobId;
use super::json_field::{FieldError, at, elements, params_of, string};
use super::version::Version;

/// The most merkle branches that are read; 14 are possible in practice.
const MAX_BRANCHES: usize = 32;

/// A job as the pool sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    pub job_id: JobId,
    pub prevhash: PrevHash,
    /// The coinbase up to the extranonces.
    pub coinb1: Vec<u8>,
    /// The coinbase from the extranonces on.
    pub coinb2: Vec<u8>,
    pub branches: Vec<MerkleBranch>,
    pub version: Version,
    pub nbits: Nbits,
    pub ntime: Ntime,
    /// `None` if the pool did not send it; see [`Notify::is_clean_after`].
    pub clean_jobs: Option<bool>,
}

impl Notify {
    /// Reads the params: eight or more. The last one is `clean_jobs` if it is a truth value in any form.
    ///
    /// # Errors
    /// If one of the eight is missing or wrong.
    pub fn from_params(params: Option<&RawValue>) -> Result<Notify, FieldError> {
        let params = params_of("notify params", params)?;
        let text = |field, index| string(field, at(field, &params, index)?);
        Ok(Notify {
            job_id: JobId::from_json(at("job id", &params, 0)?)?,
            prevhash: PrevHash::from_text(&text("prevhash", 1)?)?,
            coinb1: hex::decode("coinb1", &text("coinb1", 2)?)?,
            coinb2: hex::decode("coinb2", &text("coinb2", 3)?)?,
            branches: branches(at("merkle branches", &params, 4)?)?,
            version: Version::from_json(at("version", &params, 5)?)?,
            nbits: Nbits::from_json(at("nbits", &params, 6)?)?,
            ntime: Ntime::from_json(at("ntime", &params, 7)?)?,
            clean_jobs: clean_in(&params),
        })
    }

    /// Reads `clean_jobs` from params that may be unreadable otherwise.
    pub fn clean_in(params: Option<&RawValue>) -> Option<bool> {
        clean_in(&elements("notify params", params?).ok()?)
    }

    /// Returns whether the job ends the jobs before it: `clean_jobs`, or else whether the prevhash differs from that
    /// of the job `before`.
    pub fn is_clean_after(&self, before: Option<&PrevHash>) -> bool {
        self.clean_jobs.unwrap_or(before != Some(&self.prevhash))
    }

    /// The notification as one line with its newline. An unknown `clean_jobs` is written as `true`.
    pub fn line(&self) -> String {
        let branches: Vec<String> = self.branches.iter().map(MerkleBranch::to_string).collect();
        let params = json!([
            self.job_id.as_str(),
            self.prevhash.to_string(),
            hex::encode(&self.coinb1),
            hex::encode(&self.coinb2),
            branches,
            self.version.to_string(),
            self.nbits.to_string(),
            self.ntime.to_string(),
            self.clean_jobs.unwrap_or(true),
        ]);
        format!("{{\"id\":null,\"method\":\"mining.notify\",\"params\":{params}}}\n")
    }
}

fn branches(raw: &RawValue) -> Result<Vec<MerkleBranch>, FieldError> {
    let texts = elements("merkle branches", raw)?;
    if texts.len() > MAX_BRANCHES {
        return Err(FieldError::new("merkle branches", &texts.len().to_string(), "at most 32 of them"));
    }
    texts.into_iter().map(|text| MerkleBranch::from_text(&string("merkle branch", text)?)).collect()
}

pub(super) fn clean_in(params: &[&RawValue]) -> Option<bool> {
    params.get(8..).and_then(<[_]>::last).and_then(|raw| truth(raw))
}

fn truth(raw: &RawValue) -> Option<bool> {
    match raw.get() {
        "true" | "1" | "\"true\"" => Some(true),
        "false" | "0" | "\"false\"" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
impl Notify {
    /// An ordinary job with these halves of a coinbase.
    pub(crate) fn with_coinbase(coinb1: Vec<u8>, coinb2: Vec<u8>) -> Notify {
        Notify {
            job_id: JobId::from_counter(1),
            prevhash: PrevHash::from_wire_bytes([7; 32]),
            coinb1,
            coinb2,
            branches: Vec::new(),
            version: Version(0x2000_0000),
            nbits: Nbits(0x1d00_ffff),
            ntime: Ntime(1000),
            clean_jobs: Some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "1901125004612a1701c3a621d930d31d36b607df1fccc2160002d01c00000000";

    fn read(tail: &str) -> Result<Notify, FieldError> {
        let params = format!(r#"["B8jXUJ1l0","{HASH}","0100","00",["{HASH}"],"00000001","1b04864c",{tail}]"#);
        Notify::from_params(Some(serde_json::from_str(&params).unwrap()))
    }

    #[test]
    fn clean_jobs_is_the_last_element_if_it_is_a_truth_value() {
        for (tail, clean) in [
            (r#""4d1b2237",true"#, Some(true)),
            (r#""4d1b2237","4d1b2237",false"#, Some(false)),
            (r#""4d1b2237",1"#, Some(true)),
            (r#""4d1b2237","true""#, Some(true)),
            (r#""4d1b2237""#, None),
            (r#""4d1b2237","what""#, None),
        ] {
            assert_eq!(read(tail).unwrap().clean_jobs, clean, "{tail}");
        }
        let silent = read(r#""4d1b2237""#).unwrap();
        assert!(silent.is_clean_after(None));
        assert!(!silent.is_clean_after(Some(&silent.prevhash)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let job = read(r#""4d1b2237",false"#).unwrap();
        let line = job.line();
        let envelope = crate::stratum::Envelope::read(line.as_bytes()).unwrap();
        assert_eq!(Notify::from_params(envelope.params).unwrap(), job);
    }

    #[test]
    fn an_error_names_its_field() {
        assert_eq!(read("null").unwrap_err().field, "ntime");
        assert_eq!(Notify::from_params(None).unwrap_err().field, "notify params");
        for (params, clean) in [("[0,1,2,3,4,5,6,7,false]", Some(false)), ("[true]", None), ("{}", None)] {
            assert_eq!(Notify::clean_in(Some(serde_json::from_str(params).unwrap())), clean);
        }
    }
}
