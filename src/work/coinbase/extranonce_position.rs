//! The position of the extranonces in a coinbase (wire reference, section 4.4).

use std::fmt;
use std::ops::Range;

use super::Coinbase;

/// A field of a coinbase. Outputs are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CoinbasePart {
    /// The version, the input up to its script, and the script's length.
    Start,
    ScriptSig,
    Sequence,
    OutputCount,
    /// An output's value and the length of its script.
    OutputValue(usize),
    OutputScript(usize),
    Locktime,
}

/// The fields in which the extranonces begin and end. They span fields at F2Pool, whose extranonce2
/// ends with the nSequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtranoncePosition {
    /// The field of the first byte.
    pub first: CoinbasePart,
    /// The field of the last byte.
    pub last: CoinbasePart,
    /// The first byte's offset in its field.
    pub offset: usize,
    /// The length of that field, in bytes.
    pub length: usize,
}

impl ExtranoncePosition {
    pub(super) fn of(coinbase: &Coinbase, extranonce: Range<usize>) -> ExtranoncePosition {
        let (first, field) = part_at(coinbase, extranonce.start);
        let (last, _) = part_at(coinbase, extranonce.end.saturating_sub(1).max(extranonce.start));
        ExtranoncePosition { first, last, offset: extranonce.start - field.start, length: field.len() }
    }

    /// True if more than one field is involved.
    pub fn is_spanning(&self) -> bool {
        self.first != self.last
    }
}

impl fmt::Display for CoinbasePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoinbasePart::Start => f.write_str("start"),
            CoinbasePart::ScriptSig => f.write_str("scriptSig"),
            CoinbasePart::Sequence => f.write_str("nSequence"),
            CoinbasePart::OutputCount => f.write_str("output count"),
            CoinbasePart::OutputValue(index) => write!(f, "output {index} value"),
            CoinbasePart::OutputScript(index) => write!(f, "output {index} script"),
            CoinbasePart::Locktime => f.write_str("nLockTime"),
        }
    }
}

/// The form `scriptSig offset 16 of 53`.
impl fmt::Display for ExtranoncePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offset {} of {}", self.first, self.offset, self.length)?;
        if self.is_spanning() {
            write!(f, " to {}", self.last)?;
        }
        Ok(())
    }
}

/// The field that contains the byte at `offset`, and where that field is. A byte behind the end,
/// where an extranonce of no bytes may be, counts as the locktime's.
fn part_at(coinbase: &Coinbase, offset: usize) -> (CoinbasePart, Range<usize>) {
    let script_sig = &coinbase.script_sig;
    // The nSequence has 4 bytes.
    let sequence = script_sig.end..script_sig.end + 4;
    let fixed = [
        (CoinbasePart::Start, 0..script_sig.start),
        (CoinbasePart::ScriptSig, script_sig.clone()),
        (CoinbasePart::Sequence, sequence.clone()),
        (CoinbasePart::OutputCount, sequence.end..coinbase.outputs_start),
    ];
    if let Some(found) = fixed.into_iter().find(|(_, range)| range.contains(&offset)) {
        return found;
    }
    let mut end = coinbase.outputs_start;
    for (index, output) in coinbase.outputs.iter().enumerate() {
        let value = end..output.script.start;
        end = output.script.end;
        if value.contains(&offset) {
            return (CoinbasePart::OutputValue(index), value);
        }
        if output.script.contains(&offset) {
            return (CoinbasePart::OutputScript(index), output.script.clone());
        }
    }
    (CoinbasePart::Locktime, end..coinbase.bytes.len())
}
