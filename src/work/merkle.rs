//! The merkle tree of a block (Bitcoin's, with the last node of an odd row paired with itself).
//! Nothing is reversed anywhere: branches go in as they are written.

use super::hash::{MerkleRoot, Txid};
use super::sha256::{double_sha256_of, padding};
use crate::stratum::MerkleBranch;

/// The root above a coinbase: its id, hashed with each branch in turn.
pub fn merkle_root(coinbase: &Txid, branches: &[MerkleBranch]) -> MerkleRoot {
    let root = branches.iter().fold(*coinbase.as_bytes(), |left, branch| pair(&left, &branch.0));
    MerkleRoot::from_bytes(root)
}

/// The branches of a block whose transactions after the coinbase are `others`: on each row, the
/// neighbour of the coinbase's ancestor.
pub fn merkle_branches(others: &[Txid]) -> Vec<MerkleBranch> {
    let mut branches = Vec::new();
    // The row without its first node, which depends on the coinbase.
    let mut row: Vec<[u8; 32]> = others.iter().map(|txid| *txid.as_bytes()).collect();
    while let Some((neighbour, rest)) = row.split_first() {
        branches.push(MerkleBranch(*neighbour));
        row = rest.chunks(2).map(|nodes| pair(&nodes[0], nodes.last().unwrap_or(&nodes[0]))).collect();
    }
    branches
}

fn pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut blocks = [[0; 64], const { padding(64) }];
    blocks[0][..32].copy_from_slice(left);
    blocks[0][32..].copy_from_slice(right);
    double_sha256_of(&blocks)
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::{Hash, sha256d};

    use super::*;

    #[test]
    fn the_branches_lead_to_the_root_of_the_whole_tree() {
        for count in 0..40_u8 {
            let coinbase = Txid::from_bytes([0xcb; 32]);
            let others: Vec<Txid> = (0..count).map(|index| Txid::from_bytes([index; 32])).collect();
            let all = std::iter::once(&coinbase).chain(&others);
            let all = all.map(|txid| sha256d::Hash::from_byte_array(*txid.as_bytes()));
            let root = merkle_root(&coinbase, &merkle_branches(&others));
            let expected = bitcoin::merkle_tree::calculate_root(all).unwrap();
            assert_eq!(root.as_bytes(), expected.as_byte_array(), "{count} transactions");
        }
    }

    #[test]
    fn a_block_with_its_coinbase_alone_has_no_branches() {
        let coinbase = Txid::from_bytes([7; 32]);
        assert!(merkle_branches(&[]).is_empty());
        assert_eq!(merkle_root(&coinbase, &[]).as_bytes(), coinbase.as_bytes());
    }
}
