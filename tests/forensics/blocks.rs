//! Invented blocks: parents that meet their target, and coinbases in the layouts of real pools.

use sluice::stratum::{MerkleBranch, encode_hex};
use sluice::work::{BlockHash, Txid, merkle_branches, prevhash_of};

use crate::forensics::random::Random;

/// The network of 2025: difficulty 1.26e14.
pub const MAINNET: u32 = 0x1702_3a04;
/// Bitcoin Cash in 2025: difficulty 9e11.
pub const CASH: u32 = 0x1801_3ce9;
/// Difficulty 1: a block of a test network 20 minutes after the last.
pub const EASIEST: u32 = 0x1d00_ffff;

/// Offset of the extranonces (wire reference, section 4.4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layout {
    /// In the scriptSig, after the height and a mark, before the pool's tag.
    ScriptSig,
    /// In an output that carries data (OCEAN).
    OpReturn,
    /// The last four bytes are the nSequence (F2Pool).
    Sequence,
}

/// A hash below the target of `nbits`.
pub fn invented(nbits: u32, random: &mut Random) -> BlockHash {
    let zeros = 33 - (nbits >> 24) as usize;
    let mut bytes = [0; 32];
    bytes[..32 - zeros].copy_from_slice(&random.bytes(32 - zeros));
    // Never all zero.
    bytes[0] |= 1;
    BlockHash::from_bytes(bytes)
}

pub fn prevhash_text(parent: &BlockHash) -> String {
    encode_hex(prevhash_of(parent).wire_bytes())
}

/// The branches of so many transactions.
pub fn branches(transactions: usize, random: &mut Random) -> Vec<MerkleBranch> {
    let txids: Vec<Txid> =
        (0..transactions).map(|_| Txid::from_bytes(random.bytes(32).try_into().unwrap())).collect();
    merkle_branches(&txids)
}

/// The halves of a coinbase; `mark` tells connections apart.
pub fn coinbase(
    layout: Layout,
    height: u32,
    outputs: &[(u64, Vec<u8>)],
    room: usize,
    mark: u32,
) -> (Vec<u8>, Vec<u8>) {
    let mut start = vec![3];
    start.extend(&height.to_le_bytes()[..3]);
    start.push(4);
    start.extend(mark.to_be_bytes());
    let mut data = vec![0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
    data.extend([0x5c; 32]);
    let tag = b"/forensics/";
    let mut outputs: Vec<(u64, Vec<u8>)> = outputs.to_vec();
    let mut coinb1 = vec![1, 0, 0, 0, 1];
    coinb1.extend([0; 32]);
    coinb1.extend([0xff; 4]);
    let mut coinb2 = Vec::new();
    match layout {
        Layout::ScriptSig => {
            start.push(room as u8);
            coinb1.push((start.len() + room + tag.len()) as u8);
            coinb1.extend(start);
            coinb2.extend(tag);
            coinb2.extend([0xff; 4]);
        }
        Layout::Sequence => {
            start.extend(tag);
            coinb1.push((start.len() + room - 4) as u8);
            coinb1.extend(start);
        }
        Layout::OpReturn => {
            start.extend(tag);
            coinb1.push(start.len() as u8);
            coinb1.extend(start);
            coinb1.extend([0xff; 4]);
            coinb1.push(outputs.len() as u8 + 2);
            for (value, script) in outputs.drain(..) {
                write_output(&mut coinb1, value, &script);
            }
            // The extranonces: behind two bytes, in an output of their own.
            coinb1.extend([0; 8]);
            coinb1.extend([room as u8 + 4, 0x6a, room as u8 + 2, 0x0c, 0xea]);
            write_output(&mut coinb2, 0, &data);
            coinb2.extend([0; 4]);
            return (coinb1, coinb2);
        }
    }
    outputs.push((0, data));
    coinb2.push(outputs.len() as u8);
    for (value, script) in &outputs {
        write_output(&mut coinb2, *value, script);
    }
    coinb2.extend([0; 4]);
    (coinb1, coinb2)
}

fn write_output(bytes: &mut Vec<u8>, value: u64, script: &[u8]) {
    bytes.extend(value.to_le_bytes());
    bytes.push(script.len() as u8);
    bytes.extend(script);
}
