//! `mining.submit` (wire reference, section 2.3).

use serde_json::value::RawValue;

use super::extranonce::Extranonce2;
use super::header_fields::{Nonce, Ntime};
use super::hex_u32;
use super::job_id::JobId;
use super::json_field::{FieldError, at, name, params_of, string};
use super::version::VersionBits;

/// The most zeros before a number of eight digits: some miners write 64 bits.
const MAX_PADDING_ZEROS: usize = 8;

/// A share as it is sent.
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

type ReadNumber = fn(&'static str, &RawValue) -> Result<u32, FieldError>;

impl Submit {
    /// Reads the params as pools do: five or six, with numbers in any form that pools accept.
    ///
    /// # Errors
    /// If one of the five is missing, or one is wrong.
    pub fn from_params(params: Option<&RawValue>) -> Result<Submit, FieldError> {
        let params = params_of("submit params", params)?;
        let worker = string("worker", at("worker", &params, 0)?)?.into_owned();
        Submit::read(worker, &params, params.get(5).copied(), hex_u32::from_json)
    }

    /// Reads the params of a miner, also in forms that pools refuse (wire reference, section 5.4, 31 and 32): with
    /// `0x`, with zeros beyond eight digits, with an empty sixth param, without a worker name.
    ///
    /// # Errors
    /// If one of the five is missing, or one is wrong.
    pub fn from_miner(params: Option<&RawValue>) -> Result<Submit, FieldError> {
        let params = params_of("submit params", params)?;
        let worker = name(at("worker", &params, 0)?);
        Submit::read(worker, &params, params.get(5).copied().filter(|raw| !is_empty_param(raw)), number)
    }

    fn read(
        worker: String,
        params: &[&RawValue],
        sixth: Option<&RawValue>,
        word: ReadNumber,
    ) -> Result<Submit, FieldError> {
        Ok(Submit {
            worker,
            job_id: JobId::from_json(at("job id", params, 1)?)?,
            extranonce2: Extranonce2::from_json(at("extranonce2", params, 2)?)?,
            ntime: Ntime(word("ntime", at("ntime", params, 3)?)?),
            nonce: Nonce(word("nonce", at("nonce", params, 4)?)?),
            version_bits: sixth.map(|raw| word("version bits", raw).map(VersionBits)).transpose()?,
        })
    }
}

/// Reads a number, also with `0x` or with zeros beyond eight digits.
fn number(field: &'static str, raw: &RawValue) -> Result<u32, FieldError> {
    if !raw.get().starts_with('"') {
        return hex_u32::from_json(field, raw);
    }
    let text = string(field, raw)?;
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(&text);
    let beyond = digits.len().saturating_sub(8);
    let is_padded =
        beyond > 0 && beyond <= MAX_PADDING_ZEROS && digits.bytes().take(beyond).all(|digit| digit == b'0');
    hex_u32::from_text(field, if is_padded { &digits[beyond..] } else { digits })
}

/// Returns whether a param is null or empty: some miners always write the sixth param.
fn is_empty_param(raw: &RawValue) -> bool {
    matches!(raw.get(), "null" | "\"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> Result<Submit, FieldError> {
        Submit::from_miner(Some(serde_json::from_str(params).unwrap()))
    }

    #[test]
    fn the_same_share_in_other_clothes_is_the_same_share() {
        let plain = read(r#"["w","765c","08000000008f","68596192","0ab60150","043c8000"]"#).unwrap();
        assert_eq!(read(r#"["w","765c","08000000008F","68596192","AB60150","43C8000"]"#).unwrap(), plain);
        assert_eq!(read(r#"["w","765c","08000000008f",1750688146,179700048,"043c8000"]"#).unwrap(), plain);
    }

    #[test]
    fn prefixes_and_zeros_change_no_number() {
        let plain = read(r#"["w","1","00","68596192","0ab60150","00002000"]"#).unwrap();
        for written in [
            r#"["w","1","00","0x68596192","0x0ab60150","0x00002000"]"#,
            r#"["w","1","00","0X68596192","0XAB60150","0X2000"]"#,
            r#"["w","1","00","0000000068596192","000000000ab60150","0x0000000000002000"]"#,
            r#"["w","1","00",1750688146,179700048,8192]"#,
        ] {
            assert_eq!(read(written).unwrap(), plain, "{written}");
        }
        for wrong in [
            r#"["w","1","00","68596192","10ab60150"]"#,
            r#"["w","1","00","68596192","000000000000ab60150"]"#,
            r#"["w","1","00","68596192","0x"]"#,
            r#"["w","1","00","68596192","0x0x1"]"#,
            r#"["w","1","00","68596192","é00000000"]"#,
            r#"["w","1","00","68596192","-1"]"#,
            r#"["w","1","00","68596192",""]"#,
            r#"["w","1","00","68596192","00","zz"]"#,
            r#"["w","1","00","68596192","00",[]]"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pools_take_eight_digits_at_most() {
        for written in ["\"0x1\"", "\"0000293f3b\"", "\"1\",null", "\"1\",\"\""] {
            let params = format!(r#"["w","1","00","68596192",{written}]"#);
            assert!(Submit::from_params(serde_json::from_str(&params).ok()).is_err(), "{params}");
            assert!(read(&params).is_ok(), "{params}");
        }
    }

    #[test]
    fn the_sixth_param_may_be_missing_and_the_fifth_not() {
        for sixth in ["", ",null", r#","""#] {
            let share = read(&format!(r#"["w","1","00","68596192","1"{sixth}]"#)).unwrap();
            assert_eq!(share.version_bits, None, "{sixth}");
        }
        assert_eq!(read(r#"["w","1","00","68596192"]"#).unwrap_err().field, "nonce");
        assert_eq!(Submit::from_params(None).unwrap_err().field, "submit params");
    }
}
