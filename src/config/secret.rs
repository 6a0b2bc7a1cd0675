//! Secrets that must not reach a log, a page or `Debug` output, and the files that hold them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Caps the size of a secret's file. A URL with a token has a few hundred bytes.
const MAX_FILE: u64 = 16 * 1024;

/// A password or token. Prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for the code that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads the text of a secret's file, without the line ends behind it.
pub(super) fn read_file(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("this is not a regular file"));
    }
    let mut text = String::new();
    if File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)? as u64 > MAX_FILE {
        return Err(io::Error::other("this file is larger than 16 KiB, so it holds no secret"));
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_without_its_line_end_and_only_if_it_is_a_short_text() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let read = |content: &[u8]| {
            std::fs::write(&file, content).unwrap();
            read_file(&file)
        };
        assert_eq!(read(b" hunter2 \r\n\n").unwrap(), " hunter2 ");
        assert_eq!(read(b"").unwrap(), "");
        assert!(read(b"\xff").is_err());
        assert!(read(&vec![b'x'; 16 * 1024]).is_ok());
        assert!(read(&vec![b'x'; 16 * 1024 + 1]).is_err());
        assert!(read_file(directory.path()).is_err());
        assert!(read_file(&directory.path().join("gone")).is_err());
    }

    #[test]
    fn is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }
}
