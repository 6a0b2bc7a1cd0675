//! Files that survive a crash or a power cut, and checks of those that did not.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut chunk = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut chunk)?;
        if let Some(last) = chunk.iter().rposition(|byte| *byte != 0) {
            end = start + last as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

/// The directory that this variable of the environment names, the first one if it lists several. `None` if it is not
/// absolute.
pub(crate) fn directory_of_variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name)?;
    let first = std::env::split_paths(&value).next()?;
    first.is_absolute().then_some(first)
}

/// The path with `suffix` behind the file's name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// True if `path` still leads to the open `file`: somebody may have deleted or replaced it.
pub(crate) fn is_at_path(file: &File, path: &Path) -> bool {
    let (Ok(there), Ok(ours)) = (fs::metadata(path), file.metadata()) else { return false };
    (there.dev(), there.ino()) == (ours.dev(), ours.ino())
}

/// Replaces the file: writes `bytes` to a temporary file, syncs it and renames it to `path`. After a power cut there is
/// the old or the new file, and it is whole. Creates missing directories.
///
/// # Errors
/// Errors of the disk; the old file is then unchanged.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let temporary = with_suffix(path, ".tmp");
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
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
