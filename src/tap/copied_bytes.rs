//! The bytes of a copy, in buffers that are used again. A session thread fills a buffer and the analyzer empties it. With
//! the allocator between them a session thread could wait for a lock that the analyzer holds, which runs with a lower
//! priority.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use crossbeam_channel::{Receiver, Sender, bounded};

/// The sizes of the buffers, for a share or answer, a long share, and jobs. A longer copy has a buffer of its own.
const SIZES: [usize; 4] = [256, 1024, 2048, 4096];

/// Caps the bytes of the free buffers of each size. 4,096 of the smallest are what a saturated CPU fills until the
/// analyzer has read them; more are needed only while a job reaches thousands of miners.
const MAX_FREE_BYTES: usize = 1 << 20;

/// The free buffers that are left alone. A session thread that takes the very buffer which the analyzer is about to put
/// back would wait for the analyzer.
const MIN_FREE: usize = 4;

static FREE_BUFFERS: LazyLock<[FreeBuffers; SIZES.len()]> = LazyLock::new(|| SIZES.map(FreeBuffers::new));

/// A copy of bytes, of any length.
pub struct CopiedBytes(Storage);

enum Storage {
    /// The first `length` bytes of a buffer.
    Own { buffer: Box<[u8]>, length: usize },
    /// Bytes that many sessions were sent, such as an aggregate-mode job.
    Shared(Arc<[u8]>),
}

/// The free buffers of one size, oldest first.
struct FreeBuffers {
    size: usize,
    put: Sender<Box<[u8]>>,
    take: Receiver<Box<[u8]>>,
}

impl CopiedBytes {
    /// `length` bytes of any value, to be written by the caller.
    pub fn of_length(length: usize) -> CopiedBytes {
        let free = FREE_BUFFERS.iter().find(|free| length <= free.size);
        let buffer = free.map_or_else(|| vec![0; length].into_boxed_slice(), FreeBuffers::take);
        CopiedBytes(Storage::Own { buffer, length })
    }

    /// Bytes that others hold, too, and keep until the analyzer has read them: the analyzer's thread should free none.
    pub(super) fn shared(bytes: Arc<[u8]>) -> CopiedBytes {
        CopiedBytes(Storage::Shared(bytes))
    }

    /// Gives the memory of most free buffers back. For a time when little is forwarded.
    pub(crate) fn release_free_buffers() {
        for free in FREE_BUFFERS.iter() {
            free.take.try_iter().take(free.take.len().saturating_sub(2 * MIN_FREE)).for_each(drop);
        }
    }
}

impl From<&[u8]> for CopiedBytes {
    fn from(bytes: &[u8]) -> CopiedBytes {
        let mut copy = CopiedBytes::of_length(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }
}

impl Deref for CopiedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Storage::Own { buffer, length } => &buffer[..*length],
            Storage::Shared(bytes) => bytes,
        }
    }
}

impl DerefMut for CopiedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Storage::Own { buffer, length } => &mut buffer[..*length],
            Storage::Shared(bytes) => Arc::make_mut(bytes),
        }
    }
}

impl fmt::Debug for CopiedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

impl Drop for CopiedBytes {
    fn drop(&mut self) {
        let Storage::Own { buffer, .. } = &mut self.0 else { return };
        if let Some(free) = FREE_BUFFERS.iter().find(|free| free.size == buffer.len()) {
            // Without room the buffer is freed.
            let _ = free.put.try_send(std::mem::take(buffer));
        }
    }
}

impl FreeBuffers {
    fn new(size: usize) -> FreeBuffers {
        let (put, take) = bounded(MAX_FREE_BYTES / size);
        FreeBuffers { size, put, take }
    }

    fn take(&self) -> Box<[u8]> {
        let free = if self.take.len() > MIN_FREE { self.take.try_recv().ok() } else { None };
        free.unwrap_or_else(|| vec![0; self.size].into_boxed_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_its_bytes_in_a_buffer_of_any_age() {
        for round in 0..20_u8 {
            for length in [0, 1, 255, 256, 257, 4096, 4097, 100_000] {
                let bytes = vec![round; length];
                assert_eq!(*CopiedBytes::from(bytes.as_slice()), *bytes);
            }
        }
        CopiedBytes::release_free_buffers();
        let copy = CopiedBytes::from([7; 300].as_slice());
        let Storage::Own { buffer, .. } = &copy.0 else { panic!("{copy:?}") };
        assert_eq!((copy.to_vec(), buffer.len()), (vec![7; 300], 1024));
    }

    #[test]
    fn a_shared_copy_changes_alone() {
        let line: Arc<[u8]> = Arc::from(b"job".as_slice());
        let mut copy = CopiedBytes::shared(line.clone());
        assert_eq!(*copy, *line);
        copy[0] = b'J';
        assert_eq!((&*copy, &*line), (b"Job".as_slice(), b"job".as_slice()));
    }
}
