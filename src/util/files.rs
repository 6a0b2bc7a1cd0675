//! Checks and repairs of files that a crash, a power cut or another process may have changed.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The number of bytes read at once, from the end backwards.
const CHUNK: u64 = 64 * 1024;

/// Truncates `file` to remove all NULs at its end, and returns the new length. A power cut leaves them if the file
/// system had extended the file and not yet written its content.
///
/// # Errors
/// The file can't be read or truncated.
pub(crate) fn cut_trailing_nuls(file: &mut File) -> io::Result<u64> {
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

/// True if `path` still leads to the open `file`: somebody may have deleted or replaced it.
pub(crate) fn is_at_path(file: &File, path: &Path) -> bool {
    let (Ok(there), Ok(ours)) = (fs::metadata(path), file.metadata()) else { return false };
    (there.dev(), there.ino()) == (ours.dev(), ours.ino())
}
