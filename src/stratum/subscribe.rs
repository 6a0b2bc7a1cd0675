//! The answer to `mining.subscribe` (wire reference, section 2.1).

use serde_json::json;
use serde_json::value::RawValue;

use super::extranonce::{Extranonce1, Extranonce2Size};
use super::job_reading::ReadingAgreement;
use super::json_field::{FieldError, at, elements, values};
use super::message::Envelope;
use super::verdict::ResponseVerdict;

/// The search space in `[subscriptions, extranonce1, extranonce2_size]`. The subscriptions matter only for resuming a
/// session and are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeAnswer {
    pub extranonce1: Extranonce1,
    pub extranonce2_size: Extranonce2Size,
}

/// The reason why an answer to `mining.subscribe` gives no search space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscribeError {
    /// The pool refuses, with the code and the reason it gave, if any.
    Refused { code: Option<i64>, reason: Option<String> },
    /// No miner is known to read a search space in the result.
    Unreadable(FieldError),
}

/// The leniency of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leniency {
    /// Only what every miner reads alike.
    None,
    /// Whatever any miner reads.
    OfMiners,
}

impl SubscribeAnswer {
    /// Reads the result of an answer. The first element may be anything, and there may be more than three.
    ///
    /// # Errors
    /// If an extranonce or a size is missing or wrong.
    pub fn from_result(result: &RawValue) -> Result<SubscribeAnswer, FieldError> {
        search_space("subscribe result", result, 1, None, Leniency::None).map(|(space, _)| space)
    }

    /// Reads the result as the most lenient miners do. Returns also the agreement of miners.
    ///
    /// # Errors
    /// If no miner is known to make an extranonce1 and a size of it.
    pub fn as_miners_read(result: &RawValue) -> Result<(SubscribeAnswer, ReadingAgreement), FieldError> {
        search_space("subscribe result", result, 1, None, Leniency::OfMiners)
    }

    /// Reads an answer as the most lenient miners do: an error beside a good result does not matter.
    ///
    /// # Errors
    /// If it refuses, or no miner is known to make a search space of it.
    pub fn of_answer(answer: &Envelope<'_>) -> Result<(SubscribeAnswer, ReadingAgreement), SubscribeError> {
        match answer.result.map(SubscribeAnswer::as_miners_read) {
            Some(Ok(space)) => Ok(space),
            Some(Err(why)) if !answer.has_error() => Err(SubscribeError::Unreadable(why)),
            Some(Err(_)) | None => Err(match ResponseVerdict::of(answer) {
                ResponseVerdict::Refused { code, reason } => SubscribeError::Refused { code, reason },
                ResponseVerdict::Accepted => SubscribeError::Refused { code: None, reason: None },
            }),
        }
    }

    /// The result as JSON text, with `session` as the subscription's id. It contains the text `mining.notify`, which
    /// a Bitaxe's probe of its primary pool looks for.
    pub fn result(&self, session: &str) -> String {
        let subscriptions = json!([["mining.notify", session]]);
        format!("[{subscriptions},\"{}\",{}]", self.extranonce1, self.extranonce2_size)
    }
}

/// Reads the extranonce1 at `index` and the size behind it. If there is no size, `known` takes its place. ESP-Miner
/// reads the values of an object, too.
pub(super) fn search_space(
    field: &'static str,
    raw: &RawValue,
    index: usize,
    known: Option<Extranonce2Size>,
    leniency: Leniency,
) -> Result<(SubscribeAnswer, ReadingAgreement), FieldError> {
    let is_strict = leniency == Leniency::None;
    let elements = match values(raw).filter(|_| !is_strict) {
        Some(values) => values,
        None => elements(field, raw)?,
    };
    let text = at("extranonce1", &elements, index)?;
    let (extranonce1, is_exact) =
        if is_strict { (Extranonce1::from_json(text)?, true) } else { Extranonce1::as_miners_read(text)? };
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
}
