//! Bitcoin's serialization, as far as a coinbase needs it, and the faults of a coinbase.

use std::fmt;
use std::ops::Range;

use crate::stratum::encode_hex;
use crate::util::format::count;

/// Caps the bytes of a coinbase that an error contains.
const EXCERPT: usize = 16;

/// Bytes that are no coinbase. `at` counts bytes from the start of the transaction; texts are hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoinbaseError {
    /// The bytes end inside a field that wants more.
    Truncated { field: &'static str, at: usize, wanted: u64, rest: String },
    /// There are bytes after the last field.
    Trailing { at: usize, rest: String },
    /// A length in more bytes than it needs, which no node accepts.
    LongLength { field: &'static str, at: usize, found: String },
    /// Marker and flag of a witness (BIP144), which Stratum does not transport.
    Witness { at: usize, found: String },
    /// Another number of inputs than one.
    InputCount { found: u64 },
    /// The one input spends something.
    Outpoint { found: String },
    /// The payout depends on the extranonce2.
    PayChanges,
}

impl fmt::Display for CoinbaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the coinbase cannot be decoded: ")?;
        match self {
            CoinbaseError::Truncated { field, at, wanted, rest } => {
                write!(f, "{field} at byte {at} wants {}, but only {rest:?} is left", count(*wanted, "byte"))
            }
            CoinbaseError::Trailing { at, rest } => {
                write!(f, "it should end at byte {at}, but {rest:?} follows")
            }
            CoinbaseError::LongLength { field, at, found } => {
                write!(f, "{field} at byte {at} is {found:?}, in more bytes than it needs")
            }
            CoinbaseError::Witness { at, found } => {
                write!(f, "{found:?} at byte {at} announces a witness, which Stratum leaves out")
            }
            CoinbaseError::InputCount { found } => write!(f, "it has {found} inputs instead of one"),
            CoinbaseError::PayChanges => f.write_str("whom it pays depends on the miner's extranonce2"),
            CoinbaseError::Outpoint { found } => write!(f, "its input spends {found:?} instead of nothing"),
        }
    }
}

impl std::error::Error for CoinbaseError {}

/// Reads fields one after the other, numbers little-endian.
pub(super) struct ByteReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> ByteReader<'a> {
    pub fn new(bytes: &'a [u8]) -> ByteReader<'a> {
        ByteReader { bytes, at: 0 }
    }

    /// The number of bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The place of the next `length` bytes.
    pub fn range(&mut self, field: &'static str, length: u64) -> Result<Range<usize>, CoinbaseError> {
        let start = self.at;
        match usize::try_from(length) {
            Ok(length) if length <= self.rest().len() => {
                self.at += length;
                Ok(start..self.at)
            }
            _ => {
                Err(CoinbaseError::Truncated { field, at: start, wanted: length, rest: excerpt(self.rest()) })
            }
        }
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], CoinbaseError> {
        let range = self.range(field, N as u64)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[range]);
        Ok(array)
    }

    pub fn u32(&mut self, field: &'static str) -> Result<u32, CoinbaseError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, field: &'static str) -> Result<u64, CoinbaseError> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A CompactSize: one byte, or `fd`, `fe`, `ff` before a number of 2, 4 or 8 bytes that would
    /// not fit the shorter form.
    pub fn length(&mut self, field: &'static str) -> Result<u64, CoinbaseError> {
        let at = self.at;
        let [first] = self.array(field)?;
        let (number, least) = match first {
            0xfd => (u64::from(u16::from_le_bytes(self.array(field)?)), 0xfd),
            0xfe => (u64::from(self.u32(field)?), 0x1_0000),
            0xff => (self.u64(field)?, 0x1_0000_0000),
            small => (u64::from(small), 0),
        };
        if number < least {
            let found = encode_hex(&self.bytes[at..self.at]);
            return Err(CoinbaseError::LongLength { field, at, found });
        }
        Ok(number)
    }

    /// # Errors
    /// When something is left.
    pub fn end(&self) -> Result<(), CoinbaseError> {
        if self.rest().is_empty() {
            return Ok(());
        }
        Err(CoinbaseError::Trailing { at: self.at, rest: excerpt(self.rest()) })
    }
}

/// The excerpt of a peer's bytes in an error.
fn excerpt(bytes: &[u8]) -> String {
    match bytes.get(..EXCERPT) {
        Some(start) if bytes.len() > EXCERPT => format!("{}…", encode_hex(start)),
        _ => encode_hex(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_four_forms_each_with_its_own_numbers() {
        for (bytes, number) in [
            (&[0x00][..], 0),
            (&[0xfc], 0xfc),
            (&[0xfd, 0xfd, 0x00], 0xfd),
            (&[0xfd, 0xff, 0xff], 0xffff),
            (&[0xfe, 0x00, 0x00, 0x01, 0x00], 0x1_0000),
            (&[0xff, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00], 0x1_0000_0000),
        ] {
            let mut reader = ByteReader::new(bytes);
            assert_eq!(reader.length("a length"), Ok(number));
            assert_eq!(reader.end(), Ok(()));
        }
        for bytes in
            [&[0xfd, 0xfc, 0x00][..], &[0xfe, 0xff, 0xff, 0x00, 0x00], &[0xff, 1, 0, 0, 0, 0, 0, 0, 0]]
        {
            let error = ByteReader::new(bytes).length("a length").unwrap_err();
            assert!(matches!(error, CoinbaseError::LongLength { .. }), "{error}");
        }
    }

    #[test]
    fn an_error_says_where_and_carries_no_more_than_an_excerpt() {
        let bytes = [0xab; 1000];
        let mut reader = ByteReader::new(&bytes);
        reader.u32("a number").unwrap();
        let error = reader.range("a script", u64::MAX).unwrap_err();
        assert!(error.to_string().contains("a script at byte 4"), "{error}");
        assert!(error.to_string().len() < 200);
        assert!(matches!(reader.end(), Err(CoinbaseError::Trailing { at: 4, .. })));
    }
}
