//! Percent-encoding (RFC 3986), both ways.

/// Decodes `%41`. With `plus` a `+` is a space, as in a query. `None` for a `%` without two hex digits,
/// for bytes that are not UTF-8, and for control characters, which no parameter needs.
pub(super) fn decode(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                let [high, low, after @ ..] = rest else { return None };
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                rest = after;
            }
            b'+' if plus => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

fn digit(byte: u8) -> Option<u8> {
    // A hex digit fits in four bits.
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Encodes everything except unreserved characters, and `/` if `keep_slash`.
pub(in crate::status) fn encode(text: &str, keep_slash: bool, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keep_slash && byte == b'/') {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push_str(&faster_hex::hex_string_upper(&[byte]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn valid_text_is_decoded_and_invalid_text_rejected() {
        assert_eq!(decode("/a%20b+c", false).as_deref(), Some("/a b+c"));
        assert_eq!(decode("a%2Bb+c%e2%82%ac", true).as_deref(), Some("a+b c€"));
        for wrong in ["%", "%4", "%zz", "%+1", "a%00b", "%0d%0a", "%7f", "%ff", "%c3%28", "%c2%80"] {
            assert_eq!(decode(wrong, true), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn encoded_text_is_decoded(text in "\\PC{0,40}") {
            prop_assume!(!text.contains(char::is_control));
            for keep_slash in [true, false] {
                let mut encoded = String::new();
                encode(&text, keep_slash, &mut encoded);
                prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(decode(&encoded, true), Some(text.clone()));
            }
        }

        #[test]
        fn arbitrary_text_is_no_panic(text in ".{0,40}") {
            let _ = decode(&text, true);
        }
    }
}
