//! Hex text and bytes in the order in which they are written.

use std::fmt;

use super::json_field::FieldError;

/// `bytes` as lower-case hex digits.
pub fn encode(bytes: &[u8]) -> String {
    faster_hex::hex_string(bytes)
}

/// Writes `bytes` as lower-case hex digits, without an allocation for up to 32 of them.
pub(crate) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0; 64];
    match digits.get_mut(..2 * bytes.len()) {
        Some(digits) => f.write_str(faster_hex::hex_encode(bytes, digits).map_err(|_| fmt::Error)?),
        None => f.write_str(&encode(bytes)),
    }
}

/// The bytes of hex digits in either case. `field` names the text in the error.
///
/// # Errors
/// For anything but hex digits, and for an odd number of them.
pub fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, FieldError> {
    let mut bytes = vec![0; text.len() / 2];
    decode_into(field, text, &mut bytes)?;
    Ok(bytes)
}

/// Exactly 32 bytes.
pub(super) fn decode_32(field: &'static str, text: &str) -> Result<[u8; 32], FieldError> {
    if text.len() != 64 {
        return Err(FieldError::new(field, text, "64 hex digits"));
    }
    let mut bytes = [0; 32];
    decode_into(field, text, &mut bytes)?;
    Ok(bytes)
}

/// The bytes as lenient miners read them: two characters a byte, where any character but a digit counts as zero, and
/// half a byte at the end is dropped. Returns also whether the text was pairs of digits throughout.
pub(super) fn pairs(text: &str) -> (Vec<u8>, bool) {
    if let Ok(bytes) = decode("", text) {
        return (bytes, true);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    // C strings end at a NUL.
    let text = text.split('\0').next().unwrap_or_default().as_bytes();
    (text.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect(), false)
}

/// The number at the beginning of `text` as C's `strtoul` reads it: after white space and `0x`, up to the first
/// character that is no digit; zero without digits. A number of more than 32 bits becomes the largest one.
pub(super) fn leading_number(text: &str) -> u32 {
    let text = text.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == '\x0b');
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let digits = text.bytes().map_while(|byte| char::from(byte).to_digit(16));
    let number =
        digits.fold(0_u64, |number, digit| (number << 4 | u64::from(digit)).min(u64::from(u32::MAX)));
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    if is_negative { number.wrapping_neg() } else { number }
}

fn decode_into(field: &'static str, text: &str, bytes: &mut [u8]) -> Result<(), FieldError> {
    if text.len() % 2 != 0 {
        return Err(FieldError::hex(field, text));
    }
    faster_hex::hex_decode(text.as_bytes(), bytes).map_err(|_| FieldError::hex(field, text))
}

/// Displays types that contain bytes as their hex digits.
macro_rules! display_as_hex {
    ($($name:ident),*) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                crate::stratum::write_hex(&self.0, f)
            }
        }
    )*};
}

/// Debugs types as their name and what they display.
macro_rules! debug_as_display {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    )*};
}

pub(crate) use {debug_as_display, display_as_hex};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_are_read_and_lower_case_is_written() {
        assert_eq!(decode("x", "00aBFf").unwrap(), [0x00, 0xab, 0xff]);
        assert_eq!(encode(&[0x00, 0xab, 0xff]), "00abff");
        assert_eq!(decode("x", "").unwrap(), Vec::<u8>::new());
    }

    #[test]
    fn a_number_ends_where_its_digits_do() {
        for (text, number) in [
            ("20000000", 0x2000_0000),
            (" \t0x1b04864czz", 0x1b04_864c),
            ("-1", u32::MAX),
            ("123456789", u32::MAX),
            ("", 0),
            ("zz", 0),
        ] {
            assert_eq!(leading_number(text), number, "{text}");
        }
    }

    #[test]
    fn pairs_are_what_a_lenient_miner_takes() {
        assert_eq!(pairs("00aBFf"), (vec![0x00, 0xab, 0xff], true));
        assert_eq!(pairs("0x1"), (vec![0x00], false));
        assert_eq!(pairs("01\x002345"), (vec![0x01], false));
        assert_eq!(pairs(""), (vec![], true));
    }

    #[test]
    fn half_a_byte_and_other_letters_are_refused() {
        assert!(decode("x", "000").is_err());
        assert!(decode("x", "0g").is_err());
        assert!(decode("x", "0x00").is_err());
        assert!(decode("x", "é").is_err());
    }
}
