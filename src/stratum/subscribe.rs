//! The answer to `mining.subscribe` (wire reference, section 2.1).

use serde_json::json;
use serde_json::value::RawValue;

use super::extranonce::{Extranonce1, Extranonce2Size};
use super::field::{FieldError, at, elements};

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

    /// The result as JSON text, with `session` as the subscription's id. It contains the text
    /// `mining.notify`, which a Bitaxe's probe of its primary pool searches for.
    pub fn result(&self, session: &str) -> String {
        let subscriptions = json!([["mining.notify", session]]);
        format!("[{subscriptions},\"{}\",{}]", self.extranonce1, self.extranonce2_size)
    }
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
    fn half_an_answer_is_refused() {
        for result in ["true", "[]", r#"[[],"00"]"#, r#"[[],"0",4]"#, r#"[[],"00",-1]"#, r#"[[],null,4]"#] {
            assert!(read(result).is_err(), "{result}");
        }
    }
}
