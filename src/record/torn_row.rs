//! Repair of a file's end after a crash: a row of which only the beginning was written, and NULs where
//! the file system had extended the file but not yet written its content.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use log::warn;

use crate::util::files::{cut_trailing_nuls, with_suffix};
use crate::util::format::count;

/// Longest row that Sluice writes; a newline further back does not end one.
const MAX_ROW: u64 = 64 * 1024;

/// Makes sure that `file` ends with a newline, and returns its length. NULs at its end are cut off. A
/// torn row is moved to `path` + `.partial`, so that every line of the file is a whole row; if it can't
/// be moved, a newline is appended.
///
/// # Errors
/// The disk's.
pub(super) fn repair(file: &mut File, path: &Path) -> io::Result<u64> {
    let with_nuls = file.metadata()?.len();
    let length = cut_trailing_nuls(file)?;
    if length < with_nuls {
        let bytes = count(with_nuls - length, "NUL byte");
        warn!("{}: {bytes} at its end, as a power cut leaves them, were cut off", path.display());
    }
    let start = length.saturating_sub(MAX_ROW);
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    Read::by_ref(file).take(MAX_ROW).read_to_end(&mut end)?;
    if end.is_empty() || end.ends_with(b"\n") {
        return Ok(length);
    }
    let newline = end.iter().rposition(|byte| *byte == b'\n');
    let whole = match newline {
        Some(newline) => newline + 1,
        None if start == 0 => 0,
        // Sluice writes no such row, so it is left alone.
        None => end.len(),
    };
    let (torn, cut) = (&end[whole..], start + whole as u64);
    if !torn.is_empty() && set_aside(torn, path).is_ok() {
        file.set_len(cut)?;
        warn!(
            "{}: its last row was incomplete after an unclean end; it was moved to {0}.partial",
            path.display()
        );
        return Ok(cut);
    }
    file.write_all(b"\n")?;
    Ok(length + 1)
}

fn set_aside(torn: &[u8], path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(with_suffix(path, ".partial"))?;
    file.write_all(&[torn, b"\n"].concat())?;
    // Before it is cut from where it was.
    file.sync_all()
}
