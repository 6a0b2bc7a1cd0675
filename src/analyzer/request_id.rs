//! Request ids, compared by meaning: some pools send back the number 42 as `"42"` or `42.0`, or a text with other
//! escapes (wire reference, section 1.3).

use std::borrow::Cow;

/// The most bytes that are kept of an id. An honest id has 20.
const MAX_ID_LENGTH: usize = 128;
/// The largest float below which every whole number is exact.
const MAX_WHOLE_FLOAT: f64 = 9_007_199_254_740_992.0;

/// The id as written, cut to [`MAX_ID_LENGTH`].
pub(super) fn truncated(id: &str) -> &str {
    let end = (0..=MAX_ID_LENGTH.min(id.len())).rev().find(|end| id.is_char_boundary(*end));
    &id[..end.unwrap_or(0)]
}

/// The canonical form of all spellings of an id. `id` is JSON, as [`truncated`] returns it.
pub(super) fn canonical(id: &str) -> Cow<'_, str> {
    if is_plain_number(id) || id == "null" {
        return Cow::Borrowed(id);
    }
    if let Ok(text) = serde_json::from_str::<String>(id) {
        let number = text.trim();
        return Cow::Owned(match whole_number(number) {
            Some(number) => number,
            // The quotes keep it apart from a number and from null.
            None => format!("\"{text}\""),
        });
    }
    whole_number(id).map_or(Cow::Borrowed(id), Cow::Owned)
}

/// The shortest form of `text` if it is a whole number.
fn whole_number(text: &str) -> Option<String> {
    if is_plain_number(text) {
        return Some(text.to_owned());
    }
    let starts_like_one = text.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    let value: f64 = text.parse().ok().filter(|_| starts_like_one)?;
    (value.fract() == 0.0 && value.abs() <= MAX_WHOLE_FLOAT).then(|| format!("{value:.0}"))
}

/// Returns whether `text` is digits without a leading zero, as nearly all ids are.
fn is_plain_number(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits && !text.is_empty() && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_number_are_one_id() {
        for spelling in ["42", "\"42\"", "42.0", "4.2e1", "\"42.0\"", "\" 42 \""] {
            assert_eq!(canonical(spelling), "42", "{spelling}");
        }
        assert_eq!(canonical("-7.0"), canonical("-7"));
        assert_eq!(canonical("\"a\\u0062\""), canonical("\"ab\""));
    }

    #[test]
    fn other_ids_stay_apart() {
        let ids = ["4", "-4", "4.5", "null", "\"null\"", "\"\"", "[4]", "\"b\"", "99999999999999999999999"];
        for (index, one) in ids.iter().enumerate() {
            for other in &ids[index + 1..] {
                assert_ne!(canonical(one), canonical(other));
            }
        }
    }

    #[test]
    fn long_ids_are_cut_between_characters() {
        assert_eq!(truncated(&"é".repeat(30_000)).len(), MAX_ID_LENGTH);
        assert_eq!(canonical(truncated(&"9".repeat(1000))).len(), MAX_ID_LENGTH);
    }
}
