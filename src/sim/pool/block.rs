//! The block a simulated pool works on: invented transactions under a valid coinbase.

use std::time::{SystemTime, UNIX_EPOCH};

use super::options::{PoolOptions, SimPayout};
use crate::sim::random::Random;
use crate::stratum::{MerkleBranch, Nbits, Ntime, PrevHash, Version};
use crate::work::{
    AddressChain, BlockHash, Height, PayoutScript, Sats, Target, Txid, account_of_worker, merkle_branches,
    payout_script, prevhash_of,
};

/// The mark the pool leaves in the coinbase.
const TAG: &[u8] = b"/sluice simulated pool/";

/// The version of every block: version bits in use, none of them set.
pub(super) const VERSION: Version = Version(0x2000_0000);

/// The block that is being mined.
#[derive(Debug)]
pub(super) struct Block {
    pub height: Height,
    pub prevhash: PrevHash,
    pub branches: Vec<MerkleBranch>,
    /// In satoshi.
    fees: u64,
    /// The value of the witness commitment; there are no witnesses.
    commitment: [u8; 32],
}

impl Block {
    /// The first block of a pool.
    pub fn first(options: &PoolOptions, random: &mut Random) -> Block {
        Block::at(options.height, options, random)
    }

    /// The block after this one.
    pub fn next(&self, options: &PoolOptions, random: &mut Random) -> Block {
        Block::at(Height(self.height.0.saturating_add(1)), options, random)
    }

    /// Other transactions and fees, the same parent and height.
    pub fn refresh(&mut self, options: &PoolOptions, random: &mut Random) {
        let transactions: Vec<Txid> =
            (0..options.transactions).map(|_| Txid::from_bytes(random.bytes_32())).collect();
        self.branches = merkle_branches(&transactions);
        self.fees = random.next() % (Sats::BITCOIN.0 / 10);
        self.commitment = random.bytes_32();
    }

    /// The two halves of a coinbase with room for `extranonces` bytes between them. `mark` sets
    /// connections apart that have no extranonce1 to do so.
    pub fn coinbase(
        &self,
        outputs: &[(u64, PayoutScript)],
        extranonces: u8,
        mark: Option<u32>,
    ) -> (Vec<u8>, Vec<u8>) {
        let mut start = self.height.to_push();
        if let Some(mark) = mark {
            start.push(4);
            start.extend(mark.to_be_bytes());
        }
        start.push(extranonces);
        let mut end = vec![TAG.len() as u8];
        end.extend(TAG);

        // Version, one input, which spends nothing (wire reference, section 4.1).
        let mut coinb1 = vec![1, 0, 0, 0, 1];
        coinb1.extend([0; 32]);
        coinb1.extend([0xff; 4]);
        coinb1.push((start.len() + usize::from(extranonces) + end.len()) as u8);
        coinb1.extend(start);

        let mut coinb2 = end;
        coinb2.extend([0xff; 4]);
        coinb2.push(outputs.len() as u8 + 1);
        for (value, script) in outputs {
            write_output(&mut coinb2, *value, script.as_bytes());
        }
        let mut commitment = vec![0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
        commitment.extend(self.commitment);
        write_output(&mut coinb2, 0, &commitment);
        coinb2.extend([0; 4]);
        (coinb1, coinb2)
    }

    /// The payouts for a connection that mines for `worker`.
    pub fn outputs(&self, payout: &SimPayout, worker: Option<&str>) -> Vec<(u64, PayoutScript)> {
        let total = Sats::subsidy(self.height, AddressChain::Mainnet).0 + self.fees;
        let all = |script| vec![(total, script)];
        match payout {
            SimPayout::Pooled => all(pool_script()),
            SimPayout::Address(address) => {
                all(payout_script(address).map_or_else(|_| pool_script(), |(script, _)| script))
            }
            SimPayout::Crumb { percent, to } => {
                let stranger = payout_script(to).map_or_else(|_| pool_script(), |(script, _)| script);
                let Some(Ok((script, _))) = worker.map(account_of_worker).map(payout_script) else {
                    return all(stranger);
                };
                let crumb = (total as f64 * percent.clamp(0.0, 100.0) / 100.0) as u64;
                vec![(total - crumb, stranger), (crumb, script)]
            }
            SimPayout::Solo { fee_percent } => {
                let account = worker.map(account_of_worker);
                let Some(Ok((script, _))) = account.map(payout_script) else {
                    return all(pool_script());
                };
                let fee = (total as f64 * fee_percent.clamp(0.0, 100.0) / 100.0) as u64;
                if fee == 0 {
                    return all(script);
                }
                vec![(total - fee, script), (fee, pool_script())]
            }
        }
    }

    /// A block on top of an invented one.
    fn at(height: Height, options: &PoolOptions, random: &mut Random) -> Block {
        let mut block = Block {
            height,
            prevhash: prevhash_of(&invented_hash(options.nbits, random)),
            branches: Vec::new(),
            fees: 0,
            commitment: [0; 32],
        };
        block.refresh(options, random);
        block
    }
}

/// The time for a job.
pub(super) fn ntime_now(options: &PoolOptions) -> Ntime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ntime(now.saturating_add_signed(options.ntime_offset) as u32)
}

/// The pool's own script, of a key nobody has.
pub(super) fn pool_script() -> PayoutScript {
    let mut script = vec![0x00, 0x14];
    script.extend(*b"sluice simulated pwl");
    PayoutScript::from_bytes(script)
}

/// A random hash that meets the target of `nbits`, as that of a block must.
fn invented_hash(nbits: Nbits, random: &mut Random) -> BlockHash {
    let mut bytes = random.bytes_32();
    let target = Target::from_nbits(nbits).map_or([0xff; 32], |target| target.to_be_bytes());
    // Zero down to and including the target's first byte that is not.
    let zeros = target.iter().take_while(|byte| **byte == 0).count() + 1;
    for byte in bytes.iter_mut().rev().take(zeros) {
        *byte = 0;
    }
    BlockHash::from_bytes(bytes)
}

fn write_output(bytes: &mut Vec<u8>, value: u64, script: &[u8]) {
    bytes.extend(value.to_le_bytes());
    bytes.push(script.len() as u8);
    bytes.extend(script);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::parent_hash;
    use bitcoin::consensus::encode::deserialize;

    const WORKER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.garage";

    fn block(options: &PoolOptions) -> Block {
        Block::first(options, &mut Random::new(7))
    }

    #[test]
    fn the_coinbase_is_a_transaction_that_pays_the_worker() {
        let options = PoolOptions::default();
        let block = block(&options);
        assert_eq!(block.branches.len(), 12);
        for mark in [None, Some(9)] {
            let outputs = block.outputs(&options.payout, Some(WORKER));
            let (mut coinbase, coinb2) = block.coinbase(&outputs, 12, mark);
            coinbase.extend([0xee; 12]);
            coinbase.extend(coinb2);
            assert!(coinbase.len() <= 255, "a NerdMiner takes no more: {}", coinbase.len());

            let transaction: bitcoin::Transaction = deserialize(&coinbase).unwrap();
            assert!(transaction.is_coinbase());
            let script_sig = transaction.input[0].script_sig.as_bytes();
            assert!(script_sig.len() <= 100);
            assert_eq!(Height::from_script_sig(script_sig), Ok(options.height));
            assert_eq!(transaction.output.len(), 3);
            let paid = payout_script(account_of_worker(WORKER)).unwrap().0;
            assert_eq!(transaction.output[0].script_pubkey.as_bytes(), paid.as_bytes());
            let total: u64 = outputs.iter().map(|(value, _)| value).sum();
            let share = transaction.output[0].value.to_sat() as f64 / total as f64;
            assert!((share - 0.98).abs() < 1e-6, "{share}");
            assert!(transaction.output[2].script_pubkey.as_bytes().starts_with(&[0x6a, 0x24, 0xaa, 0x21]));
        }
    }

    #[test]
    fn an_account_that_is_no_address_leaves_the_block_to_the_pool() {
        let block = block(&PoolOptions::default());
        for worker in [None, Some("farm.rig1")] {
            assert_eq!(block.outputs(&SimPayout::default(), worker)[0].1, pool_script());
        }
        assert_eq!(block.outputs(&SimPayout::Pooled, Some(WORKER)).len(), 1);
    }

    #[test]
    fn parents_meet_the_target() {
        let mut random = Random::new(3);
        for nbits in [0x207f_ffff, 0x1d00_ffff, 0x1702_3a04] {
            let options = PoolOptions { nbits: Nbits(nbits), ..PoolOptions::default() };
            let block = Block::first(&options, &mut random);
            let next = block.next(&options, &mut random);
            for hash in [parent_hash(&block.prevhash), parent_hash(&next.prevhash)] {
                assert!(Target::from_nbits(options.nbits).unwrap().is_met_by(&hash), "{hash}");
            }
            assert_eq!(next.height.0, block.height.0 + 1);
        }
    }
}
