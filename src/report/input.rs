//! The files of a report: those that are named, and those of the named directories.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::record::{FileName, RotatedName, STATE_FILE};

/// The name that the Python proxy gave to its shares.
const PYTHON_SHARES: &str = "share_analysis.txt";

/// The bytes at the beginning of a file by which it is recognised.
const HEAD: usize = 16;

/// The content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RecordKind {
    Events,
    Alerts,
    State,
    Timing,
    Shares,
}

/// One file to read.
#[derive(Debug, Clone)]
pub(super) struct RecordSource {
    pub path: PathBuf,
    pub kind: RecordKind,
    /// The length on the disk.
    pub bytes: u64,
    /// Files of one directory have the same number: their Sluice is the same.
    pub directory: usize,
    is_compressed: bool,
    /// The place among the files of one kind: the rotated ones by date and number, the live one last.
    order: (Option<RotatedName>, bool),
}

/// The files that were found, and those that could not be read.
#[derive(Debug, Default)]
pub(super) struct RecordSources {
    pub files: Vec<RecordSource>,
    pub unreadable: Vec<UnreadableFile>,
}

/// A file that could not be read, and why.
#[derive(Debug, Clone)]
pub struct UnreadableFile {
    pub path: PathBuf,
    pub reason: String,
}

/// Whether a file that is to be written is one of the records that are to be read.
pub fn is_record(paths: &[PathBuf], output: &Path) -> bool {
    RecordSources::find(paths).has(output)
}

impl RecordSources {
    /// Finds the files. In the order in which they are read: what explains shares comes before them.
    pub fn find(paths: &[PathBuf]) -> RecordSources {
        let mut found = RecordSources::default();
        let mut directories = Vec::new();
        for path in paths {
            let home = directory_of(path);
            let directory = directories.iter().position(|known| *known == home).unwrap_or_else(|| {
                directories.push(home);
                directories.len() - 1
            });
            if let Err(error) = found.add(path, directory) {
                found.unreadable.push(UnreadableFile { path: path.clone(), reason: error.to_string() });
            }
        }
        found
            .files
            .sort_by(|a, b| (a.kind, a.directory).cmp(&(b.kind, b.directory)).then_with(|| a.by_age(b)));
        found.drop_repeated();
        found
    }

    /// Whether this file is one of those that were found.
    fn has(&self, path: &Path) -> bool {
        let Ok(data) = fs::metadata(path) else { return false };
        let is_same = |file: &RecordSource| {
            fs::metadata(&file.path).is_ok_and(|other| (other.dev(), other.ino()) == (data.dev(), data.ino()))
        };
        self.files.iter().any(is_same)
    }

    fn add(&mut self, path: &Path, directory: usize) -> io::Result<()> {
        if !fs::metadata(path)?.is_dir() {
            let kind = kind_of_name(path).map_or_else(|| kind_of_content(path), Ok)?;
            return self.add_file(path.to_owned(), kind, directory);
        }
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            let Some(kind) = kind_of_name(&path).filter(|_| path.is_file()) else { continue };
            if rival(&path).is_some_and(|rival| rival.exists()) {
                continue;
            }
            self.add_file(path, kind, directory)?;
        }
        Ok(())
    }

    fn add_file(&mut self, path: PathBuf, kind: RecordKind, directory: usize) -> io::Result<()> {
        let bytes = fs::metadata(&path)?.len();
        let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
        let rotated = path.file_name().and_then(|name| RotatedName::parse(name.to_str()?));
        let order = (rotated, rotated.is_none());
        self.files.push(RecordSource { path, kind, bytes, directory, is_compressed, order });
        Ok(())
    }

    /// A file that is named twice, or by its directory as well, is read once.
    fn drop_repeated(&mut self) {
        let mut known = Vec::new();
        self.files.retain(|file| {
            let Ok(data) = fs::metadata(&file.path) else { return true };
            let id = (data.dev(), data.ino());
            let is_new = !known.contains(&id);
            known.push(id);
            is_new
        });
    }
}

impl RecordSource {
    /// Opens the file. Reads of a compressed one give its content. `count` sees the bytes that are read from the disk.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open<'a>(&self, count: impl FnMut(usize) + 'a) -> io::Result<Box<dyn Read + 'a>> {
        let file = CountedFile { file: File::open(&self.path)?, count };
        if self.is_compressed {
            return Ok(Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(64 * 1024, file))));
        }
        Ok(Box::new(file))
    }

    fn by_age(&self, other: &RecordSource) -> std::cmp::Ordering {
        let key = |file: &RecordSource| {
            let (rotated, is_live) = file.order;
            (is_live, rotated.map(|rotated| (rotated.date, rotated.number)))
        };
        key(self).cmp(&key(other)).then_with(|| self.path.cmp(&other.path))
    }
}

struct CountedFile<F> {
    file: File,
    count: F,
}

impl<F: FnMut(usize)> Read for CountedFile<F> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(to)?;
        (self.count)(length);
        Ok(length)
    }
}

/// The directory whose records a path holds.
fn directory_of(path: &Path) -> PathBuf {
    let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if whole.is_dir() { whole } else { whole.parent().map(Path::to_owned).unwrap_or(whole) }
}

/// The file with the same rows that is read instead of this one, if it exists. A crash in the middle of compressing a
/// rotated file leaves both, and the compressed one is whole. Sluice never compresses a live file, so a compressed
/// one beside it is somebody's copy.
fn rival(path: &Path) -> Option<PathBuf> {
    let is_rotated = path.file_name().and_then(|name| RotatedName::parse(name.to_str()?)).is_some();
    let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
    match (is_rotated, is_compressed) {
        (true, false) => {
            let mut name = path.as_os_str().to_owned();
            name.push(".gz");
            Some(name.into())
        }
        (false, true) => Some(path.with_extension("")),
        (true, true) | (false, false) => None,
    }
}

/// The kind of a file with a name of Sluice's.
fn kind_of_name(path: &Path) -> Option<RecordKind> {
    let name = path.file_name()?.to_str()?;
    let live = name.strip_suffix(".gz").unwrap_or(name);
    let kinds = [
        (FileName::SHARES, RecordKind::Shares),
        (FileName::TIMING, RecordKind::Timing),
        (FileName::EVENTS, RecordKind::Events),
        (FileName::ALERTS, RecordKind::Alerts),
    ];
    if live == STATE_FILE {
        return Some(RecordKind::State);
    }
    if live == PYTHON_SHARES {
        return Some(RecordKind::Shares);
    }
    let rotated = RotatedName::parse(name).map(|rotated| rotated.file);
    let (_, kind) = kinds.into_iter().find(|(file, _)| live == file.live() || rotated == Some(*file))?;
    Some(kind)
}

/// The kind of a file with another name, by its first bytes.
fn kind_of_content(path: &Path) -> io::Result<RecordKind> {
    let file = File::open(path)?;
    let mut head = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(io::BufReader::new(file)).take(HEAD as u64).read_to_end(&mut head)?;
    } else {
        file.take(HEAD as u64).read_to_end(&mut head)?;
    }
    let kinds: [(&[u8], RecordKind); 5] = [
        (b"timestamp,", RecordKind::Shares),
        (b"pool,job_id,", RecordKind::Timing),
        (b"{\"at\":", RecordKind::Events),
        (b"{\"version\"", RecordKind::State),
        (b"[", RecordKind::Alerts),
    ];
    let found = kinds.into_iter().find(|(begin, _)| head.starts_with(begin));
    found.map(|(_, kind)| kind).ok_or_else(|| io::Error::other("it is none of the files that Sluice writes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_records_in_order_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "shares.csv",
            "shares-2026-11-21.2.csv",
            "shares-2026-11-21.10.csv.gz",
            "shares-2026-11-20.1.csv",
            "shares-2026-11-20.1.csv.gz",
            "shares.csv.partial",
            "shares-2026-11-21.3.csv.gz.part",
            "shares.csv.gz",
            "events.jsonl",
            "state.json",
            "state.json.bad-1",
            "sluice.log",
            "history.json",
        ] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let again = dir.path().join("shares.csv");
        let found = RecordSources::find(&[dir.path().to_owned(), again, dir.path().join("missing.csv")]);
        let names: Vec<&str> =
            found.files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "events.jsonl",
                "state.json",
                "shares-2026-11-20.1.csv.gz",
                "shares-2026-11-21.2.csv",
                "shares-2026-11-21.10.csv.gz",
                "shares.csv",
            ]
        );
        assert_eq!(found.unreadable.len(), 1);
        assert!(found.files.iter().all(|file| file.directory == 0), "one directory, named twice");
        let other = tempfile::tempdir().unwrap();
        let [here, there] = [dir.path(), other.path()].map(|dir| dir.join("shares.csv"));
        fs::write(&there, "x").unwrap();
        let found = RecordSources::find(&[here, there, dir.path().join("events.jsonl")]);
        let directories: Vec<usize> = found.files.iter().map(|file| file.directory).collect();
        assert_eq!(directories, [0, 0, 1]);
    }

    #[test]
    fn a_file_with_another_name_is_known_by_its_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("monday.txt");
        fs::write(&path, "timestamp,miner_addr\n").unwrap();
        assert_eq!(RecordSources::find(std::slice::from_ref(&path)).files[0].kind, RecordKind::Shares);
        fs::write(&path, "hello").unwrap();
        assert!(RecordSources::find(&[path]).unreadable[0].reason.contains("none of the files"));
    }
}
