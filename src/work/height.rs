//! The block height at the start of a coinbase's scriptSig (BIP34).

use std::fmt;

use crate::stratum::encode_hex;

/// A block's place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Height(pub u32);

impl Height {
    /// The push that begins the scriptSig, as Bitcoin Core writes it: `OP_0`, `OP_1` to `OP_16`,
    /// else a length and the number, little-endian with a sign bit.
    pub fn to_push(self) -> Vec<u8> {
        match self.0 {
            0 => vec![0x00],
            number @ 1..=16 => vec![0x50 + number as u8],
            number => {
                let mut bytes = number.to_le_bytes().to_vec();
                while bytes.last() == Some(&0) {
                    bytes.pop();
                }
                // A set top bit would mean a negative number.
                if bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
                    bytes.push(0);
                }
                bytes.insert(0, bytes.len() as u8);
                bytes
            }
        }
    }

    /// Reads the first push of `script_sig`: any of the forms above, and a pushed number where an
    /// opcode would do, as public-pool writes it.
    ///
    /// # Errors
    /// When there is no such push, as before BIP34 (block 227 931).
    pub fn from_script_sig(script_sig: &[u8]) -> Result<Height, HeightError> {
        let error = || HeightError::new(script_sig);
        let (first, rest) = script_sig.split_first().ok_or_else(error)?;
        match *first {
            0x00 => Ok(Height(0)),
            opcode @ 0x51..=0x60 => Ok(Height(u32::from(opcode - 0x50))),
            length @ 1..=5 => {
                let bytes = rest.get(..usize::from(length)).ok_or_else(error)?;
                let number = bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                // A negative number has the top bit of its last byte; none is a height.
                if bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
                    return Err(error());
                }
                u32::try_from(number).map(Height).map_err(|_| error())
            }
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A scriptSig that does not begin with a height. Carries its first bytes as hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeightError {
    start: String,
}

impl HeightError {
    fn new(script_sig: &[u8]) -> HeightError {
        HeightError { start: encode_hex(&script_sig[..script_sig.len().min(8)]) }
    }
}

impl fmt::Display for HeightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the scriptSig {}… does not begin with a block height as BIP34 asks for", self.start)
    }
}

impl std::error::Error for HeightError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pushes_of_bip34() {
        for (height, push) in [
            (0, &[0x00][..]),
            (1, &[0x51]),
            (16, &[0x60]),
            (17, &[0x01, 0x11]),
            (127, &[0x01, 0x7f]),
            (128, &[0x02, 0x80, 0x00]),
            (32_767, &[0x02, 0xff, 0x7f]),
            (32_768, &[0x03, 0x00, 0x80, 0x00]),
            (967_017, &[0x03, 0x69, 0xc1, 0x0e]),
            (8_388_608, &[0x04, 0x00, 0x00, 0x80, 0x00]),
            (u32::MAX, &[0x05, 0xff, 0xff, 0xff, 0xff, 0x00]),
        ] {
            assert_eq!(Height(height).to_push(), push, "{height}");
            assert_eq!(Height::from_script_sig(push), Ok(Height(height)));
        }
    }

    #[test]
    fn a_pushed_small_number_is_read_and_what_is_none_refused() {
        assert_eq!(Height::from_script_sig(&[0x01, 0x05]), Ok(Height(5)));
        for script_sig in [&[][..], &[0x03, 1, 2], &[0x01, 0x81], &[0x04, 1, 2, 3, 0x80], &[0x2c], &[0xfa]] {
            assert!(Height::from_script_sig(script_sig).is_err(), "{script_sig:?}");
        }
    }
}
