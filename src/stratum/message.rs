//! One line of the protocol, read as a JSON-RPC frame.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_field::{self, JsonText};
use super::method::PoolMethod;
use super::tolerant::{KEYS, key_place};

/// The largest id that is read from a float: below this every whole number is exact.
const MAX_OWN_ID: f64 = 9_007_199_254_740_992.0;

/// A message, borrowed from its line. Its keys tell a request, a notification and an answer apart:
/// [`Envelope::method`] is `None` in an answer, even if a library writes `"method":null`.
///
/// Key order, spacing and unknown keys are free. A key that appears twice, or in another case, is an error: the two
/// sides of a proxy must not read the same line differently. [`Readings`](super::Readings) gives the ways in which
/// miners read such a line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Envelope<'a> {
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    /// The params as they are written; `None` if it is missing or null.
    pub params: Option<&'a RawValue>,
    /// The result as it is written; `None` if it is missing or null.
    pub result: Option<&'a RawValue>,
    /// The error as it is written; `None` if it is missing or null.
    pub error: Option<&'a RawValue>,
    /// The reason for a refusal in old ckpool's form.
    pub reject_reason: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads one line; `\n`, `\r` and other white space around it do not matter.
    ///
    /// # Errors
    /// If the line is no JSON object, or has a known key twice or in another case.
    pub fn read(line: &'a [u8]) -> Result<Envelope<'a>, EnvelopeError> {
        if !line.trim_ascii_start().starts_with(b"{") {
            // serde would take an array for the fields in their order.
            return Err(EnvelopeError::new(line, "it does not begin with a brace"));
        }
        serde_json::from_slice(line).map_err(|reason| EnvelopeError::new(line, reason))
    }

    /// A message with these values, in the order of [`KEYS`].
    pub(super) fn of_values(values: [Option<&'a RawValue>; KEYS.len()]) -> Envelope<'a> {
        let is_there = |value: &&RawValue| value.get() != "null";
        let [id, method, params, result, error, reject_reason] = values.map(|value| value.filter(is_there));
        Envelope { id, method, params, result, error, reject_reason }
    }

    /// The id exactly as it is written, of any type, to be echoed. `null` if it is missing.
    pub fn id(&self) -> &'a str {
        self.id.map_or("null", RawValue::get)
    }

    /// The id if it is an unsigned integer, like the ids of Sluice's own requests. Some pools send it back as a text,
    /// or as a number with a fraction.
    pub fn numeric_id(&self) -> Option<u64> {
        let id = self.id?.get();
        id.parse().ok().or_else(|| {
            let text = serde_json::from_str::<String>(id).unwrap_or_else(|_| id.to_owned());
            let (text, is_own) = (text.trim(), |number: &f64| (0.0..MAX_OWN_ID).contains(number));
            let whole = |text: &str| text.parse::<f64>().ok().filter(is_own).filter(|id| id.fract() == 0.0);
            text.parse().ok().or_else(|| whole(text).map(|id| id as u64))
        })
    }

    /// Returns whether there is an id that is not null, so that the sender expects an answer.
    pub fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// Returns whether it is an answer, even in the form of a request: ESP-Miner answers a `mining.ping` with the
    /// method `pong` (wire reference, section 2.11), others repeat the method beside their result.
    pub fn is_answer(&self) -> bool {
        let Some(method) = self.method() else { return true };
        let is_pong = ["pong", "mining.pong"].iter().any(|pong| method.eq_ignore_ascii_case(pong));
        is_pong || self.params.is_none() && (self.result.is_some() || self.error.is_some())
    }

    /// The method's name; `None` in an answer.
    pub fn method(&self) -> Option<Cow<'a, str>> {
        self.method.and_then(|method| json_field::string("method", method).ok())
    }

    /// The pool's method, its name read as leniently as miners do; `None` for any other.
    pub fn pool_method(&self) -> Option<PoolMethod> {
        PoolMethod::of(&self.method()?)
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Envelope<'de>, D::Error> {
        deserializer.deserialize_map(MessageFields)
    }
}

struct MessageFields;

impl<'de> Visitor<'de> for MessageFields {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let mut fields: [Option<Option<&RawValue>>; KEYS.len()] = Default::default();
        while let Some(JsonText(name)) = map.next_key()? {
            let Some(key) = key_place(&name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if KEYS[key] != name {
                return Err(de::Error::custom("a known key in another case"));
            }
            if fields[key].replace(map.next_value()?).is_some() {
                return Err(de::Error::duplicate_field(KEYS[key]));
            }
        }
        let [id, method, params, result, error, reject_reason] = fields.map(Option::flatten);
        Ok(Envelope { id, method, params, result, error, reject_reason })
    }
}

/// The error for a line that is no message, with the beginning of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeError {
    line: String,
    reason: String,
}

impl EnvelopeError {
    fn new(line: &[u8], reason: impl fmt::Display) -> EnvelopeError {
        let start = &line[..line.len().min(80)];
        EnvelopeError { line: start.escape_ascii().to_string(), reason: reason.to_string() }
    }
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line \"{}\" is no Stratum message: {}", self.line, self.reason)
    }
}

impl std::error::Error for EnvelopeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_type_are_kept_to_the_letter() {
        for id in ["1", "1.0", "\"txlist\"", "-3", "1e2", "null", "[1, 2]", "99999999999999999999"] {
            let line = format!("{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[]}}\r\n");
            assert_eq!(Envelope::read(line.as_bytes()).unwrap().id(), id);
        }
        assert_eq!(Envelope::read(br#"{"method":"x"}"#).unwrap().id(), "null");
    }

    #[test]
    fn a_null_method_makes_an_answer() {
        let answer = Envelope::read(br#"{"id":4,"method":null,"result":true,"error":null}"#).unwrap();
        assert_eq!(answer.method(), None);
        assert_eq!(answer.numeric_id(), Some(4));
        assert_eq!(answer.result.map(RawValue::get), Some("true"));
        assert!(answer.error.is_none());
    }

    #[test]
    fn own_ids_are_known_in_every_form() {
        for (id, number) in [
            ("42", Some(42)),
            ("\"42\"", Some(42)),
            ("42.0", Some(42)),
            ("4.2e1", Some(42)),
            ("\"42.0\"", Some(42)),
            ("18446744073709551615", Some(u64::MAX)),
            ("42.5", None),
            ("-42", None),
            ("1e300", None),
            ("\"x\"", None),
            ("null", None),
            ("[42]", None),
        ] {
            let line = format!("{{\"id\":{id},\"result\":true}}");
            assert_eq!(Envelope::read(line.as_bytes()).unwrap().numeric_id(), number, "{id}");
        }
    }

    #[test]
    fn answers_in_the_form_of_requests_are_answers() {
        for (line, is_answer) in [
            (r#"{"id":42,"method":"pong","params":[]}"#, true),
            (r#"{"id":42,"method":"mining.ping","result":"pong","error":null}"#, true),
            (r#"{"id":4,"method":null,"result":true}"#, true),
            (r#"{"id":4,"method":"mining.submit","params":[],"result":null,"error":null}"#, false),
            (r#"{"id":4,"method":"mining.ping"}"#, false),
        ] {
            assert_eq!(Envelope::read(line.as_bytes()).unwrap().is_answer(), is_answer, "{line}");
        }
    }

    #[test]
    fn garbage_and_double_keys_are_refused() {
        for line in [&b""[..], b"GET / HTTP/1.1", b"[1]", b"{\"id\":1", b"\x16\x03\x01", b"{\"id\":\"\xff\"}"]
        {
            assert!(Envelope::read(line).is_err(), "{}", line.escape_ascii());
        }
        assert!(Envelope::read(br#"{"id":1,"id":2,"method":"x"}"#).is_err());
        assert!(Envelope::read(br#"{"id":1,"Method":"x"}"#).is_err());
        assert!(Envelope::read(br#"{"id":1,"method\u0000":"x"}"#).is_err());
        assert!(Envelope::read(br#"{"id":1,"other":1,"Other":2,"method":"x"}"#).is_ok());
    }
}
