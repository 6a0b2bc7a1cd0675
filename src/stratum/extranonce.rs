//! The two extranonces and the size of the second.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::hex;
use super::json_field::{FieldError, string, string_or_number};

/// The pool's part of the coinbase, one for each connection: 0 to 100 bytes, hashed as written. Braiins sends an
/// empty one (2025). Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Extranonce1(Arc<[u8]>);

/// The miner's part of the coinbase: opaque bytes, hashed as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Extranonce2(Vec<u8>);

/// The number of bytes of an [`Extranonce2`] on a connection: 0 to 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Extranonce2Size(u8);

impl Extranonce1 {
    /// The longest one that Sluice gives to miners, in bytes.
    pub const MAX: usize = 32;
    /// The longest one that is read, in bytes: the coinbase's script, where it stands, has no more.
    pub const MAX_READ: usize = 100;

    /// # Errors
    /// If there are more than [`Extranonce1::MAX_READ`] bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Extranonce1, FieldError> {
        if bytes.len() > Extranonce1::MAX_READ {
            return Err(FieldError::new("extranonce1", &hex::encode(&bytes), "at most 100 bytes"));
        }
        Ok(Extranonce1(bytes.into()))
    }

    /// Reads hex digits.
    ///
    /// # Errors
    /// If there is half a byte, another character, or too much of it.
    pub fn from_text(text: &str) -> Result<Extranonce1, FieldError> {
        Extranonce1::from_bytes(hex::decode("extranonce1", text)?)
    }

    /// Reads a JSON text.
    ///
    /// # Errors
    /// The errors of [`Extranonce1::from_text`], and if it is no text.
    pub fn from_json(raw: &RawValue) -> Result<Extranonce1, FieldError> {
        Extranonce1::from_text(&string("extranonce1", raw)?)
    }

    /// Reads a text as lenient miners do: hex digits in pairs, where any other character counts as zero. Returns also
    /// whether the text was pairs of digits throughout.
    ///
    /// # Errors
    /// If it is no text, or too long.
    pub(super) fn as_miners_read(raw: &RawValue) -> Result<(Extranonce1, bool), FieldError> {
        let (bytes, is_exact) = hex::pairs(&string("extranonce1", raw)?);
        Ok((Extranonce1::from_bytes(bytes)?, is_exact))
    }

    /// The bytes, in the order they stand in the coinbase.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Extranonce2 {
    /// Takes bytes in the order they stand in the coinbase.
    pub fn from_bytes(bytes: Vec<u8>) -> Extranonce2 {
        Extranonce2(bytes)
    }

    /// Reads hex digits. [`Extranonce2::has_size`] checks their number against the connection's size.
    ///
    /// # Errors
    /// If there is half a byte, another character, or more than 32 bytes.
    pub fn from_text(text: &str) -> Result<Extranonce2, FieldError> {
        if text.len() > 2 * usize::from(Extranonce2Size::MAX.0) {
            return Err(FieldError::new("extranonce2", text, "at most 32 bytes"));
        }
        hex::decode("extranonce2", text).map(Extranonce2)
    }

    /// Reads a JSON text.
    ///
    /// # Errors
    /// The errors of [`Extranonce2::from_text`], and if it is no text.
    pub fn from_json(raw: &RawValue) -> Result<Extranonce2, FieldError> {
        Extranonce2::from_text(&string("extranonce2", raw)?)
    }

    /// The `counter` as `size` little-endian bytes, as ESP-Miner and cgminer count. It wraps if the size is too
    /// small.
    pub fn from_counter(counter: u64, size: Extranonce2Size) -> Extranonce2 {
        let mut bytes = counter.to_le_bytes().to_vec();
        bytes.resize(size.bytes(), 0);
        Extranonce2(bytes)
    }

    /// Returns whether it has exactly `size` bytes.
    pub fn has_size(&self, size: Extranonce2Size) -> bool {
        self.0.len() == size.bytes()
    }

    /// The bytes, in the order they stand in the coinbase.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Extranonce2Size {
    /// The largest size that is read: ESP-Miner's limit.
    pub const MAX: Extranonce2Size = Extranonce2Size(32);
    /// The largest size that every miner can send: cgminer sends no more, and no pool in use asks for more (wire
    /// reference, section 2.1).
    pub const MAX_OF_MINERS: usize = 8;

    /// # Errors
    /// If `bytes` is above 32.
    pub fn new(bytes: u8) -> Result<Extranonce2Size, FieldError> {
        if bytes > Extranonce2Size::MAX.0 {
            return Err(FieldError::new("extranonce2 size", &bytes.to_string(), "at most 32"));
        }
        Ok(Extranonce2Size(bytes))
    }

    /// Reads a number, or the same as text.
    ///
    /// # Errors
    /// If it is neither, or above 32.
    pub fn from_json(raw: &RawValue) -> Result<Extranonce2Size, FieldError> {
        let text = string_or_number("extranonce2 size", raw)?;
        let bytes = text
            .parse()
            .map_err(|_| FieldError::new("extranonce2 size", raw.get(), "a number from 0 to 32"))?;
        Extranonce2Size::new(bytes)
    }

    /// The number of bytes.
    pub fn bytes(self) -> usize {
        usize::from(self.0)
    }
}

hex::display_as_hex!(Extranonce1, Extranonce2);

impl fmt::Display for Extranonce2Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_extranonce1_is_legal() {
        assert_eq!(Extranonce1::from_text("").unwrap().as_bytes(), b"");
    }

    #[test]
    fn a_script_has_room_for_so_much_and_no_more() {
        assert!(Extranonce1::from_text(&"ab".repeat(100)).is_ok());
        assert!(Extranonce1::from_text(&"ab".repeat(101)).is_err());
    }

    #[test]
    fn the_counter_is_little_endian() {
        let size = Extranonce2Size::new(4).unwrap();
        assert_eq!(Extranonce2::from_counter(23, size).to_string(), "17000000");
        let size = Extranonce2Size::new(10).unwrap();
        assert_eq!(Extranonce2::from_counter(0x0755, size).to_string(), "55070000000000000000");
        let size = Extranonce2Size::new(1).unwrap();
        assert_eq!(Extranonce2::from_counter(256, size).to_string(), "00");
    }

    #[test]
    fn half_bytes_are_refused_and_sizes_compared() {
        assert!(Extranonce2::from_text("000000000000000").is_err());
        assert!(Extranonce2::from_text("00000000000000zz").is_err());
        let size = Extranonce2Size::new(8).unwrap();
        assert!(!Extranonce2::from_text("").unwrap().has_size(size));
        assert!(Extranonce2::from_text("00000000000000ff").unwrap().has_size(size));
        assert!(Extranonce2Size::new(33).is_err());
    }
}
