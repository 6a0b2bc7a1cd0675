//! Hex text and bytes, in the order they are written.

use super::field::FieldError;

/// `bytes` as lower-case hex digits.
pub fn encode(bytes: &[u8]) -> String {
    faster_hex::hex_string(bytes)
}

/// The bytes of hex digits in either case. `field` names the text in the error.
///
/// # Errors
/// [`FieldError::Hex`] for anything but hex digits, and for an odd number of them.
pub fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, FieldError> {
    let mut bytes = vec![0; text.len() / 2];
    decode_into(field, text, &mut bytes)?;
    Ok(bytes)
}

/// Exactly 32 bytes.
pub(super) fn decode_32(field: &'static str, text: &str) -> Result<[u8; 32], FieldError> {
    if text.len() != 64 {
        return Err(FieldError::length(field, text, "64 hex digits"));
    }
    let mut bytes = [0; 32];
    decode_into(field, text, &mut bytes)?;
    Ok(bytes)
}

fn decode_into(field: &'static str, text: &str, bytes: &mut [u8]) -> Result<(), FieldError> {
    if text.len() % 2 != 0 {
        return Err(FieldError::hex(field, text));
    }
    faster_hex::hex_decode(text.as_bytes(), bytes).map_err(|_| FieldError::hex(field, text))
}

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
    fn half_a_byte_and_other_letters_are_refused() {
        assert!(decode("x", "000").is_err());
        assert!(decode("x", "0g").is_err());
        assert!(decode("x", "0x00").is_err());
        assert!(decode("x", "é").is_err());
    }
}
