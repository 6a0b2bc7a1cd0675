//! The answer to `mining.subscribe` (wire reference, section 2.1).

use serde_json::json;
use serde_json::value::RawValue;

use super::extranonce::{Extranonce1, Extranonce2Size};
use super::job_reading::ReadingAgreement;
use super::json_field::{FieldError, at, elements, values};

/// `[subscriptions, extranonce1, extranonce2_size]`. The list of subscriptions matters only for
/// the resumption of a session and is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeAnswer {
    pub extranonce1: Extranonce1,
    pub extranonce2_size: Extranonce2Size,
}

impl SubscribeAnswer {
    /// Reads the result of an answer; whatever its first element is, and more elements than three.
    ///
    /// # Errors
    /// When an extranonce or a size is missing or wrong.
    pub fn from_result(result: &RawValue) -> Result<SubscribeAnswer, FieldError> {
        let elements = elements("subscribe result", result)?;
        Ok(SubscribeAnswer {
            extranonce1: Extranonce1::from_json(at("extranonce1", &elements, 1)?)?,
            extranonce2_size: Extranonce2Size::from_json(at("extranonce2 size", &elements, 2)?)?,
        })
    }

    /// Reads the result as the most lenient miners do. With it, how far miners agree.
    ///
    /// # Errors
    /// When no miner is known to make an extranonce1 and a size of it.
    pub fn as_miners_read(result: &RawValue) -> Result<(SubscribeAnswer, ReadingAgreement), FieldError> {
        search_space("subscribe result", result, 1)
    }

    /// Reads the params of `mining.set_extranonce` as the most lenient miners do. With it, how far miners
    /// agree.
    ///
    /// # Errors
    /// When no miner is known to make an extranonce1 and a size of it.
    pub fn of_set_extranonce(
        params: Option<&RawValue>,
    ) -> Result<(SubscribeAnswer, ReadingAgreement), FieldError> {
        search_space("params", params.ok_or(FieldError::Missing { field: "params" })?, 0)
    }

    /// The result as JSON text, with `session` as the subscription's id. It contains the text
    /// `mining.notify`, which a Bitaxe's probe of its primary pool searches for.
    pub fn result(&self, session: &str) -> String {
        let subscriptions = json!([["mining.notify", session]]);
        format!("[{subscriptions},\"{}\",{}]", self.extranonce1, self.extranonce2_size)
    }
}

/// The extranonce1 at `index` and the size behind it. ESP-Miner takes the values of an object, too.
fn search_space(
    field: &'static str,
    raw: &RawValue,
    index: usize,
) -> Result<(SubscribeAnswer, ReadingAgreement), FieldError> {
    let elements = values(raw).ok_or_else(|| FieldError::kind(field, raw.get(), "an array"))?;
    let (extranonce1, is_exact) = Extranonce1::as_miners_read(at("extranonce1", &elements, index)?)?;
    let extranonce2_size = Extranonce2Size::from_json(at("extranonce2 size", &elements, index + 1)?)?;
    let agreement = match is_exact {
        false => ReadingAgreement::Doubtful,
        true if raw.get().starts_with('{') => ReadingAgreement::OrIgnored,
        true => ReadingAgreement::All,
    };
    Ok((SubscribeAnswer { extranonce1, extranonce2_size }, agreement))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(result: &str) -> Result<SubscribeAnswer, FieldError> {
        SubscribeAnswer::from_result(serde_json::from_str(result).unwrap())
    }

    #[test]
    fn the_answers_seen_are_read() {
        for (result, extranonce1, size) in [
            (r#"[[["mining.notify","761aae13"]],"d1e54072",8]"#, "d1e54072", 8),
            (r#"[["mining.notify","id"],"02a10782",4,"more"]"#, "02a10782", 4),
            (r#"[null,"",6]"#, "", 6),
            (r#"[[],"0102","7"]"#, "0102", 7),
        ] {
            let answer = read(result).unwrap();
            assert_eq!(answer.extranonce1.to_string(), extranonce1);
            assert_eq!(answer.extranonce2_size.bytes(), size);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let answer = read(r#"[[],"00ff",4]"#).unwrap();
        assert_eq!(answer.result("s"), r#"[[["mining.notify","s"]],"00ff",4]"#);
        assert_eq!(read(&answer.result("s")).unwrap(), answer);
    }

    #[test]
    fn what_only_lenient_miners_read_is_doubtful() {
        for (extranonce1, read_as, agreement) in [
            ("d1e54072", "d1e54072", ReadingAgreement::All),
            ("0xd1e5", "00d1e5", ReadingAgreement::Doubtful),
            ("d1e54", "d1e5", ReadingAgreement::Doubtful),
        ] {
            let result = format!("[[],\"{extranonce1}\",8]");
            let read = SubscribeAnswer::as_miners_read(serde_json::from_str(&result).unwrap()).unwrap();
            let params = format!("[\"{extranonce1}\",8]");
            let set = SubscribeAnswer::of_set_extranonce(serde_json::from_str(&params).ok()).unwrap();
            assert_eq!((read.0.extranonce1.to_string().as_str(), read.1), (read_as, agreement));
            assert_eq!(set, read);
        }
        for params in ["null", "[null,8]", "[\"00\",33]", "[\"00\"]"] {
            assert!(
                SubscribeAnswer::of_set_extranonce(serde_json::from_str(params).ok()).is_err(),
                "{params}"
            );
        }
    }

    #[test]
    fn half_an_answer_is_refused() {
        for result in ["true", "[]", r#"[[],"00"]"#, r#"[[],"0",4]"#, r#"[[],"00",-1]"#, r#"[[],null,4]"#] {
            assert!(read(result).is_err(), "{result}");
        }
    }
}
