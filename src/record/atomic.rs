//! Atomic replacement of files: after a power cut there is the old or the new file, and it is whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` to a temporary file, syncs it and renames it to `path`. Creates missing
/// directories.
///
/// # Errors
/// Errors of the disk; the old file is then unchanged.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut temporary = OsString::from(path);
    temporary.push(".tmp");
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // Half a file only wastes room on a full disk.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(dir)
}

/// Syncs the names in `dir` to the disk.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
