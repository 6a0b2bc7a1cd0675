//! Removal of the NULs that a power cut can leave at the end of a file: the file system had extended the file and
//! not yet written its content.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// The number of bytes read at once, from the end backwards.
const CHUNK: u64 = 64 * 1024;

/// Truncates `file` to remove all NULs at its end, and returns the new length.
///
/// # Errors
/// The file can't be read or truncated.
pub(crate) fn cut(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        chunk.clear();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut chunk)?;
        match chunk.iter().rposition(|byte| *byte != 0) {
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
