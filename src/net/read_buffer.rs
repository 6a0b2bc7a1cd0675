//! The buffer of one forwarding direction. It grows when a read fills it, so that an idle miner costs little memory.

/// The first size for the miner's direction. A share has 100 to 250 bytes.
pub const FIRST_SIZE_UP: usize = 1024;

/// The first size for the pool's direction. Most jobs have 1.4 to 2 KiB.
pub const FIRST_SIZE_DOWN: usize = 2048;

/// A buffer for reads.
#[derive(Debug)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    max_size: usize,
}

impl ReadBuffer {
    /// A buffer that has `first_size` bytes and grows to `max_size`.
    pub fn new(first_size: usize, max_size: usize) -> ReadBuffer {
        ReadBuffer { bytes: vec![0; first_size.min(max_size)], max_size }
    }

    /// The whole buffer.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first `length` bytes.
    pub fn filled(&self, length: usize) -> &[u8] {
        &self.bytes[..length]
    }

    /// Makes room for longer reads if the last one, of `length` bytes, filled the buffer. Its bytes may be lost.
    pub fn grow_after(&mut self, length: usize) {
        if length == self.bytes.len() && length < self.max_size {
            self.bytes = vec![0; (2 * length).min(self.max_size)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_limit_by_full_reads_only() {
        let mut buffer = ReadBuffer::new(1024, 3000);
        let mut sizes = Vec::new();
        for is_full in [false, true, false, true, true] {
            let size = buffer.as_mut_slice().len();
            buffer.grow_after(if is_full { size } else { size - 1 });
            sizes.push(buffer.as_mut_slice().len());
        }
        assert_eq!(sizes, [1024, 2048, 2048, 3000, 3000]);
        assert_eq!(ReadBuffer::new(FIRST_SIZE_DOWN, 1024).as_mut_slice().len(), 1024);
    }
}
