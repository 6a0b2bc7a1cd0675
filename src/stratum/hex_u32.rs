//! The text forms of the 32-bit quantities. On the wire each is a big-endian number in hex, normally of 8 digits
//! (wire reference, section 3.1).

use serde_json::value::RawValue;

use super::json_field::{FieldError, string_or_number};

/// Reads 1 to 8 hex digits in either case: NerdMiners do not pad their nonces, public-pool did not pad any number,
/// and cgminer writes masks without leading zeros.
pub(super) fn from_text(field: &'static str, text: &str) -> Result<u32, FieldError> {
    if text.is_empty() || text.len() > 8 {
        return Err(FieldError::new(field, text, "8 hex digits"));
    }
    // from_str_radix alone would accept a sign, too.
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(FieldError::hex(field, text));
    }
    u32::from_str_radix(text, 16).map_err(|_| FieldError::hex(field, text))
}

/// Reads a text of hex digits, or a JSON number for its value.
pub(super) fn from_json(field: &'static str, raw: &RawValue) -> Result<u32, FieldError> {
    if raw.get().starts_with('"') {
        return from_text(field, &string_or_number(field, raw)?);
    }
    raw.get().parse().map_err(|_| FieldError::new(field, raw.get(), "8 hex digits"))
}

/// Declares a 32-bit quantity with its text forms, and without conversions to the other quantities.
macro_rules! hex_u32 {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u32);

        impl $name {
            /// Reads 1 to 8 hex digits of either case, as a big-endian number.
            ///
            /// # Errors
            /// If the text is empty, longer, or something else than hex digits.
            pub fn from_text(text: &str) -> Result<$name, crate::stratum::FieldError> {
                super::hex_u32::from_text($field, text).map($name)
            }

            /// Reads a text of hex digits, or a JSON number for its value.
            ///
            /// # Errors
            /// If it is neither, or the number does not fit 32 bits.
            pub fn from_json(
                raw: &serde_json::value::RawValue,
            ) -> Result<$name, crate::stratum::FieldError> {
                super::hex_u32::from_json($field, raw).map($name)
            }
        }

        /// 8 lower-case hex digits, as every peer reads them.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:08x}", self.0)
            }
        }
    };
}

pub(super) use hex_u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_upper_case_and_numeric_forms_are_the_same_number() {
        assert_eq!(from_text("nonce", "2bdcb"), Ok(0x2bdcb));
        assert_eq!(from_text("nonce", "0002BDCB"), Ok(0x2bdcb));
        let raw: &RawValue = serde_json::from_str("179659").unwrap();
        assert_eq!(from_json("nonce", raw), Ok(0x2bdcb));
    }

    #[test]
    fn what_is_no_32_bit_number_is_refused() {
        for text in ["", "000293f3b", "0000293f3b", "00293fxx", "+293f", "-1", " 1", "0x12"] {
            assert!(from_text("nonce", text).is_err(), "{text:?}");
        }
        for json in ["-1", "4294967296", "1.5", "null", "true", "[]"] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert!(from_json("nonce", raw).is_err(), "{json}");
        }
    }
}
