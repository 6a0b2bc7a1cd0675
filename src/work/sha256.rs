//! SHA-256 of messages of a known length, without a buffer: the blocks of their padding are known too.

use sha2::block_api::compress256;

/// The bytes that one step of SHA-256 takes.
pub(super) type ShaBlock = [u8; 64];

/// The initial state of SHA-256 (FIPS 180-4, section 5.3.3).
pub(super) const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The SHA-256 of the SHA-256 of a message. Its last block ends with its [`padding`].
pub(super) fn double_sha256_of(blocks: &[ShaBlock]) -> [u8; 32] {
    let mut state = INITIAL;
    compress256(&mut state, blocks);
    sha256_of_state(&state)
}

/// The SHA-256 of a first SHA-256 that ended with this state.
pub(super) fn sha256_of_state(first: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    write_state(&second_state(first), &mut bytes);
    bytes
}

/// The final state of the SHA-256 of a first SHA-256 that ended with this state.
pub(super) fn second_state(first: &[u32; 8]) -> [u32; 8] {
    let mut block = const { padding(32) };
    write_state(first, &mut block[..32]);
    let mut state = INITIAL;
    compress256(&mut state, &[block]);
    state
}

/// A last block with the padding for a message of `length` bytes, to be written over its start.
pub(super) const fn padding(length: u64) -> ShaBlock {
    let mut block = [0; 64];
    block[(length % 64) as usize] = 0x80;
    let bits = (length * 8).to_be_bytes();
    let mut index = 0;
    while index < bits.len() {
        block[56 + index] = bits[index];
        index += 1;
    }
    block
}

fn write_state(state: &[u32; 8], bytes: &mut [u8]) {
    for (word, out) in state.iter().zip(bytes.chunks_exact_mut(4)) {
        out.copy_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// The blocks of `message` with its padding, which must have room in the last block.
    fn blocks_of(message: &[u8]) -> Vec<ShaBlock> {
        let mut blocks: Vec<ShaBlock> = message.chunks(64).map(|_| [0; 64]).collect();
        if message.len() % 64 == 0 {
            blocks.push([0; 64]);
        }
        if let Some(last) = blocks.last_mut() {
            *last = padding(message.len() as u64);
        }
        blocks.as_flattened_mut()[..message.len()].copy_from_slice(message);
        blocks
    }

    #[test]
    fn it_hashes_as_the_library_does() {
        for length in [1, 32, 55, 64, 80, 119, 128] {
            let message: Vec<u8> = (0..length).collect();
            let expected: [u8; 32] = Sha256::digest(Sha256::digest(&message)).into();
            assert_eq!(double_sha256_of(&blocks_of(&message)), expected, "{length} bytes");
        }
    }
}
