//! The NULs at the end of a file after a power cut: the file system had made the file longer and had
//! not yet written its content.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// What is looked at in one piece.
const PIECE: u64 = 64 * 1024;

/// Cuts off the NULs at the end of `file`, however many, and returns its length.
///
/// # Errors
/// The disk's.
pub(crate) fn cut(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        piece.clear();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut piece)?;
        match piece.iter().rposition(|byte| *byte != 0) {
            Some(last) => {
                end = start + last as u64 + 1;
                break;
            }
            None => end = start,
        }
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}
