//! `mining.submit` (wire reference, section 2.3).

use serde_json::value::RawValue;

use super::extranonce::Extranonce2;
use super::field::{FieldError, at, elements, string};
use super::job_id::JobId;
use super::nonce::Nonce;
use super::ntime::Ntime;
use super::version::VersionBits;

/// A share as a miner sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    pub worker: String,
    pub job_id: JobId,
    pub extranonce2: Extranonce2,
    pub ntime: Ntime,
    pub nonce: Nonce,
    /// The sixth param, of miners that roll the version.
    pub version_bits: Option<VersionBits>,
}

impl Submit {
    /// Reads the params: five or six, the numbers in any of their forms.
    ///
    /// # Errors
    /// When one of the five is missing, or one is wrong.
    pub fn from_params(params: Option<&RawValue>) -> Result<Submit, FieldError> {
        let params =
            elements("submit params", params.ok_or(FieldError::Missing { field: "submit params" })?)?;
        Ok(Submit {
            worker: string("worker", at("worker", &params, 0)?)?.into_owned(),
            job_id: JobId::from_json(at("job id", &params, 1)?)?,
            extranonce2: Extranonce2::from_json(at("extranonce2", &params, 2)?)?,
            ntime: Ntime::from_json(at("ntime", &params, 3)?)?,
            nonce: Nonce::from_json(at("nonce", &params, 4)?)?,
            version_bits: params.get(5).map(|raw| VersionBits::from_json(raw)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> Result<Submit, FieldError> {
        Submit::from_params(Some(serde_json::from_str(params).unwrap()))
    }

    #[test]
    fn the_same_share_in_other_clothes_is_the_same_share() {
        let plain = read(r#"["w","765c","08000000008f","68596192","0ab60150","043c8000"]"#).unwrap();
        assert_eq!(read(r#"["w","765c","08000000008F","68596192","AB60150","43C8000"]"#).unwrap(), plain);
        assert_eq!(read(r#"["w","765c","08000000008f",1750688146,179700048,"043c8000"]"#).unwrap(), plain);
    }

    #[test]
    fn the_sixth_param_may_be_missing_and_the_fifth_not() {
        assert_eq!(read(r#"["w","1","00","68596192","1"]"#).unwrap().version_bits, None);
        assert_eq!(read(r#"["w","1","00","68596192"]"#).unwrap_err().field(), "nonce");
        assert_eq!(Submit::from_params(None).unwrap_err().field(), "submit params");
    }
}
