//! The query parameters of the JSON documents. An invalid value is an error, never a guess.

use std::ops::RangeInclusive;

/// Looks up a decoded parameter.
pub(super) struct JsonQuery<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

/// The error message for the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonQueryError(pub(super) String);

impl JsonQuery<'_> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    pub(super) fn number(
        &self,
        name: &str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> Result<usize, JsonQueryError> {
        Ok(self.optional(name, range)?.unwrap_or(default))
    }

    /// The `upstream` parameter, which counts from 1, as an index.
    pub(super) fn upstream(&self, upstreams: usize) -> Result<Option<usize>, JsonQueryError> {
        Ok(self.optional("upstream", 1..=upstreams.max(1))?.map(|number| number - 1))
    }

    fn optional(&self, name: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, JsonQueryError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            // `parse` alone would accept a plus sign.
            Ok(number) if range.contains(&number) && !text.starts_with('+') => Ok(Some(number)),
            _ => {
                let short: String = text.chars().take(32).collect();
                let (first, last) = range.into_inner();
                Err(JsonQueryError(format!(
                    "{name} must be a whole number from {first} to {last}, not {short:?}"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> Result<usize, JsonQueryError> {
        JsonQuery(&|name| (name == "limit").then(|| text.to_owned())).number("limit", 7, 1..=100)
    }

    #[test]
    fn invalid_numbers_are_rejected_with_the_range() {
        assert_eq!(limit("100"), Ok(100));
        for text in ["", "0", "101", "-1", "+1", "1.0", "1e1", " 1", "99999999999999999999999", "\u{661}"] {
            let JsonQueryError(why) = limit(text).unwrap_err();
            assert!(why.starts_with("limit must be a whole number from 1 to 100, not \""), "{why}");
        }
        assert!(limit(&"9".repeat(10_000)).unwrap_err().0.len() < 100);
        assert_eq!(JsonQuery(&|_| None).number("limit", 7, 1..=100), Ok(7));
    }
}
