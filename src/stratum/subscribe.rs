//! The search space in the answer to `mining.subscribe` (wire reference, section 2.1) and in `mining.set_extranonce`.

use serde_json::json;
use serde_json::value::RawValue;

use super::extranonce::{Extranonce1, Extranonce2Size};
use super::job_reading::ReadingAgreement;
use super::json_field::{FieldError, at, elements, values};

/// The search space in `[subscriptions, extranonce1, extranonce2_size]`. The subscriptions matter only for resuming a
/// session and are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeAnswer {
    pub extranonce1: Extranonce1,
    pub extranonce2_size: Extranonce2Size,
}

impl SubscribeAnswer {
    /// Reads the result of an answer. The first element may be anything, and there may be more than three.
    ///
    /// # Errors
    /// If an extranonce or a size is missing or wrong.
    pub fn from_result(result: &RawValue) -> Result<SubscribeAnswer, FieldError> {
        search_space("subscribe result", result, 1, None, false).map(|(space, _)| space)
    }

    /// Reads the result as the most lenient miners do. Returns also the agreement of miners.
    ///
    /// # Errors
    /// If no miner is known to make an extranonce1 and a size of it.
    pub fn as_miners_read(result: &RawValue) -> Result<(SubscribeAnswer, ReadingAgreement), FieldError> {
        search_space("subscribe result", result, 1, None, true)
    }

    /// Reads the params of `mining.set_extranonce` as every miner reads them (wire reference, section 2.6).
    ///
    /// # Errors
    /// If the extranonce1 or the size is missing or wrong.
    pub fn from_set_extranonce(params: Option<&RawValue>) -> Result<SubscribeAnswer, FieldError> {
        let params = params.ok_or(FieldError::missing("params"))?;
        search_space("params", params, 0, None, false).map(|(space, _)| space)
    }

    /// Reads the params of `mining.set_extranonce` as the most lenient miners do. If there is no size, `known` takes
    /// its place. Returns also the agreement of miners.
    ///
    /// # Errors
    /// If no miner is known to make an extranonce1 and a size of it.
    pub fn of_set_extranonce(
        params: Option<&RawValue>,
        known: Option<Extranonce2Size>,
    ) -> Result<(SubscribeAnswer, ReadingAgreement), FieldError> {
        let params = params.ok_or(FieldError::missing("params"))?;
        search_space("params", params, 0, known, true)
    }

    /// The result as JSON text, with `session` as the subscription's id. It contains the text `mining.notify`, which
    /// a Bitaxe's probe of its primary pool looks for.
    pub fn result(&self, session: &str) -> String {
        let subscriptions = json!([["mining.notify", session]]);
        format!("[{subscriptions},\"{}\",{}]", self.extranonce1, self.extranonce2_size)
    }
}

/// Reads the extranonce1 at `index` and the size behind it. If there is no size, `known` takes its place. A lenient
/// reader takes whatever any miner reads; ESP-Miner reads the values of an object, too.
fn search_space(
    field: &'static str,
    raw: &RawValue,
    index: usize,
    known: Option<Extranonce2Size>,
    is_lenient: bool,
) -> Result<(SubscribeAnswer, ReadingAgreement), FieldError> {
    let elements = match values(raw).filter(|_| is_lenient) {
        Some(values) => values,
        None => elements(field, raw)?,
    };
    let text = at("extranonce1", &elements, index)?;
    let (extranonce1, is_exact) =
        if is_lenient { Extranonce1::as_miners_read(text)? } else { (Extranonce1::from_json(text)?, true) };
    let size = at("extranonce2 size", &elements, index + 1);
    let size = size.and_then(Extranonce2Size::from_json);
    let has_size = elements.get(index + 1).is_some_and(|size| size.get() != "null");
    let extranonce2_size = match known.filter(|_| !has_size) {
        Some(known) => known,
        None => size?,
    };
    let agreement = match is_exact {
        false => ReadingAgreement::Doubtful,
        true if raw.get().starts_with('{') || !has_size => ReadingAgreement::OrIgnored,
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
            assert_eq!((read.0.extranonce1.to_string().as_str(), read.1), (read_as, agreement));
        }
    }

    #[test]
    fn half_an_answer_is_refused() {
        for result in ["true", "[]", r#"[[],"00"]"#, r#"[[],"0",4]"#, r#"[[],"00",-1]"#, r#"[[],null,4]"#] {
            assert!(read(result).is_err(), "{result}");
        }
    }

    #[test]
    fn params_are_read_strictly_and_as_miners_read_them() {
        let four = Extranonce2Size::new(4).ok();
        for (params, known, size, agreement, is_exact) in [
            (r#"["d1e5",8]"#, None, 8, ReadingAgreement::All, true),
            (r#"["d1e5","8",1]"#, four, 8, ReadingAgreement::All, true),
            (r#"["d1e5"]"#, four, 4, ReadingAgreement::OrIgnored, false),
            (r#"["d1e5",null]"#, four, 4, ReadingAgreement::OrIgnored, false),
            (r#"{"a":"d1e5","b":8}"#, None, 8, ReadingAgreement::OrIgnored, false),
            (r#"["d1e5x",8]"#, None, 8, ReadingAgreement::Doubtful, false),
        ] {
            let raw = serde_json::from_str(params).ok();
            let (space, read) = SubscribeAnswer::of_set_extranonce(raw, known).unwrap();
            assert_eq!((space.extranonce1.to_string().as_str(), read), ("d1e5", agreement), "{params}");
            assert_eq!(space.extranonce2_size.bytes(), size, "{params}");
            let exact = SubscribeAnswer::from_set_extranonce(raw);
            assert_eq!(exact.ok(), is_exact.then_some(space), "{params}");
        }
        for params in ["null", "[null,8]", "[\"00\",33]", "[\"00\"]", "{}"] {
            let raw = serde_json::from_str(params).ok();
            assert!(SubscribeAnswer::of_set_extranonce(raw, None).is_err(), "{params}");
        }
        assert!(SubscribeAnswer::of_set_extranonce(None, four).is_err());
    }
}
