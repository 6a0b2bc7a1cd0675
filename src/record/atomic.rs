//! Replacing a file so that there is always a whole one, also after a power cut.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` beside `path`, makes sure that they are on the disk, and renames. Directories
/// above are made.
///
/// # Errors
/// The disk's; what was there before is then still there.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut temporary = OsString::from(path);
    temporary.push(".tmp");
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // On a full disk even half a file is too much.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(dir)
}

/// Makes sure that names in `dir` are on the disk.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
