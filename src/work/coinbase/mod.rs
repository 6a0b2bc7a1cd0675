//! The coinbase transaction (wire reference, section 4). Stratum transports it without witness and
//! cut in two where the extranonces go; the cut can be anywhere, so it is decoded after joining.

mod output;
mod reader;
mod tag;

use std::ops::Range;

pub use output::{CoinbaseOutput, OutputKind};
pub use reader::CoinbaseError;
pub use tag::PoolTag;

use super::hash::{Txid, double_sha256};
use super::height::{Height, HeightError};
use super::payout::PayoutScript;
use super::sats::Sats;
use crate::stratum::{Extranonce1, Extranonce2, Extranonce2Size, Notify};
use reader::ByteReader;

/// A decoded coinbase, which keeps its bytes and copies nothing out of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coinbase {
    bytes: Vec<u8>,
    script_sig: Range<usize>,
    /// Offset of the first output, which begins with its value.
    outputs_start: usize,
    outputs: Vec<OutputSpan>,
    /// The range of both extranonces, if known.
    extranonce: Option<Range<usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct OutputSpan {
    value: Sats,
    script: Range<usize>,
}

/// The shortest output: a value and the length of an empty script.
const SHORTEST_OUTPUT: usize = 9;

/// `coinb1 ‖ extranonce1 ‖ extranonce2 ‖ coinb2`.
pub fn assemble_coinbase(
    coinb1: &[u8],
    extranonce1: &Extranonce1,
    extranonce2: &Extranonce2,
    coinb2: &[u8],
) -> Vec<u8> {
    [coinb1, extranonce1.as_bytes(), extranonce2.as_bytes(), coinb2].concat()
}

/// The id of the assembled transaction. Having no witness, it is hashed as it is.
pub fn coinbase_txid(coinbase: &[u8]) -> Txid {
    Txid::from_bytes(double_sha256(coinbase))
}

impl Coinbase {
    /// Decodes a joined transaction, exactly to its last byte (wire reference, section 4.1).
    ///
    /// # Errors
    /// When the bytes are no transaction, have a witness, or have another input than a coinbase's.
    pub fn decode(bytes: Vec<u8>) -> Result<Coinbase, CoinbaseError> {
        let mut reader = ByteReader::new(&bytes);
        reader.u32("the version")?;
        read_input_start(&mut reader)?;
        let length = reader.length("the scriptSig's length")?;
        let script_sig = reader.range("the scriptSig", length)?;
        // F2Pool keeps a part of the extranonce here.
        reader.u32("the sequence")?;
        let count = reader.length("the number of outputs")?;
        let outputs_start = reader.at();
        // The count is untrusted; memory is reserved for as many outputs as the bytes allow.
        let most = reader.rest().len() / SHORTEST_OUTPUT;
        let mut outputs = Vec::with_capacity(usize::try_from(count).map_or(most, |count| count.min(most)));
        for _ in 0..count {
            let value = Sats(reader.u64("an output's value")?);
            let length = reader.length("an output script's length")?;
            outputs.push(OutputSpan { value, script: reader.range("an output's script", length)? });
        }
        reader.u32("the locktime")?;
        reader.end()?;
        Ok(Coinbase { script_sig, outputs_start, outputs, extranonce: None, bytes })
    }

    /// Joins and decodes a job's coinbase with zeros for the extranonce2, and remembers where the
    /// extranonces are.
    ///
    /// # Errors
    /// Like [`Coinbase::decode`], and if the payout depends on the extranonce2, which each miner chooses.
    pub fn of_job(
        job: &Notify,
        extranonce1: &Extranonce1,
        extranonce2_size: Extranonce2Size,
    ) -> Result<Coinbase, CoinbaseError> {
        let start = job.coinb1.len();
        let end = start + extranonce1.as_bytes().len() + extranonce2_size.bytes();
        let mut bytes = Vec::with_capacity(end + job.coinb2.len());
        bytes.extend_from_slice(&job.coinb1);
        bytes.extend_from_slice(extranonce1.as_bytes());
        bytes.resize(end, 0);
        bytes.extend_from_slice(&job.coinb2);
        let coinbase = Coinbase::decode(bytes)?;
        if end > coinbase.outputs_start {
            let mut others = coinbase.bytes.clone();
            others[end - extranonce2_size.bytes()..end].fill(0xff);
            let other = Coinbase::decode(others).map_err(|_| CoinbaseError::PayChanges)?;
            if !coinbase.pays_like(&other) {
                return Err(CoinbaseError::PayChanges);
            }
        }
        Ok(Coinbase { extranonce: Some(start..end), ..coinbase })
    }

    /// True if both have the same payouts. Outputs without value contain data; OCEAN has its extranonces
    /// there.
    fn pays_like(&self, other: &Coinbase) -> bool {
        fn paying(coinbase: &Coinbase) -> impl Iterator<Item = (Sats, &[u8])> {
            let spans = coinbase.outputs.iter().filter(|output| output.value.0 > 0);
            spans.map(|output| (output.value, &coinbase.bytes[output.script.clone()]))
        }
        paying(self).eq(paying(other))
    }

    /// The transaction's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The input's script. Consensus wants 2 to 100 bytes of it; that is not verified.
    pub fn script_sig(&self) -> &[u8] {
        &self.bytes[self.script_sig.clone()]
    }

    /// The block's height (BIP34).
    ///
    /// # Errors
    /// When the scriptSig does not begin with one.
    pub fn height(&self) -> Result<Height, HeightError> {
        Height::from_script_sig(self.script_sig())
    }

    /// The pool's text about itself; `None` if there is none.
    pub fn tag(&self) -> Option<PoolTag> {
        let start = self.script_sig.start;
        let extranonce = self.extranonce.clone().unwrap_or(start..start);
        // As offsets in the scriptSig; what lies outside it does no harm.
        let extranonce = extranonce.start.saturating_sub(start)..extranonce.end.saturating_sub(start);
        PoolTag::from_script_sig(self.script_sig(), extranonce)
    }

    /// The outputs, in their order.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = CoinbaseOutput<'_>> {
        self.outputs
            .iter()
            .map(|output| CoinbaseOutput { value: output.value, script: &self.bytes[output.script.clone()] })
    }

    /// The sum of all outputs, saturating at the largest u64; no node accepts more.
    pub fn total(&self) -> Sats {
        Sats(u64::try_from(self.sum(|_| true)).unwrap_or(u64::MAX))
    }

    /// The percentage of the total that `script` gets; zero if the total is zero.
    pub fn percent_to(&self, script: &PayoutScript) -> f64 {
        let total = self.sum(|_| true);
        if total == 0 {
            return 0.0;
        }
        self.sum(|output| output.script == script.as_bytes()) as f64 / total as f64 * 100.0
    }

    /// The witness commitment of the block (BIP141), which is in the last such output. `None` in a block
    /// without SegWit transactions.
    pub fn witness_commitment(&self) -> Option<[u8; 32]> {
        self.outputs().filter_map(|output| output.witness_commitment()).last()
    }

    fn sum(&self, counts: impl Fn(&CoinbaseOutput<'_>) -> bool) -> u128 {
        self.outputs().filter(counts).map(|output| u128::from(output.value.0)).sum()
    }
}

/// The number of inputs, one, and its outpoint, which spends nothing.
fn read_input_start(reader: &mut ByteReader<'_>) -> Result<(), CoinbaseError> {
    if reader.rest().starts_with(&[0, 1]) {
        return Err(CoinbaseError::Witness { at: reader.at(), found: "0001".to_owned() });
    }
    let found = reader.length("the number of inputs")?;
    if found != 1 {
        return Err(CoinbaseError::InputCount { found });
    }
    let outpoint: [u8; 36] = reader.array("the outpoint")?;
    // A hash of zeros, and the largest index.
    if outpoint[..32] != [0; 32] || outpoint[32..] != [0xff; 4] {
        return Err(CoinbaseError::Outpoint { found: crate::stratum::encode_hex(&outpoint) });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
