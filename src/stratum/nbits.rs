//! The network target in compact form.

use super::hex_u32::hex_u32;

hex_u32! {
    /// The network target in compact form: one byte of exponent, three of mantissa. What it means
    /// is [`Target::from_nbits`](crate::work::Target::from_nbits)'s concern.
    Nbits, "nbits"
}
