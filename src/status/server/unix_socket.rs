//! The private socket of the inner server: only this user can reach it, in a directory that lives as
//! long as the server.

use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use crate::util::files::directory_of_variable;

/// 128 random bits as hex. The hasher's keys come from the system's random number generator.
pub(super) fn random_name() -> String {
    let half = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", half(), half())
}

/// Checks that descriptors are left for both ends of a connection. Without them the inner server
/// would die instead of rejecting it. Another thread may still take them in between.
pub(super) fn check_free_fds() -> io::Result<()> {
    let _four = (UnixStream::pair()?, UnixStream::pair()?);
    Ok(())
}

/// A directory that only this user may enter. Removed when dropped.
#[derive(Debug)]
pub(super) struct PrivateDirectory(pub(super) PathBuf);

impl PrivateDirectory {
    /// Creates the directory in the service's runtime directory, the user's, the temporary one, or the one for shared
    /// memory: a container whose root is read-only may have no other that can be written.
    pub(super) fn new() -> io::Result<PrivateDirectory> {
        let parents = [
            directory_of_variable("RUNTIME_DIRECTORY"),
            directory_of_variable("XDG_RUNTIME_DIR"),
            Some(std::env::temp_dir()),
            Some(PathBuf::from("/dev/shm")),
        ];
        let mut result = Err(io::ErrorKind::NotFound.into());
        for parent in parents.into_iter().flatten() {
            let path = parent.join(format!("sluice-{}-{}", std::process::id(), random_name()));
            // Fails if the path exists, so nobody can have prepared it.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(PrivateDirectory(path)),
                Err(error) => {
                    let text = format!("can't make the directory {}: {error}", path.display());
                    result = Err(io::Error::new(error.kind(), text));
                }
            }
        }
        result
    }

    /// Opens a new listener under this number. Returns it with its path.
    pub(super) fn listen(&self, number: u64) -> io::Result<(UnixListener, PathBuf)> {
        // Cleaners of temporary files, and the end of a login, delete the directory.
        if !self.0.exists() {
            DirBuilder::new().mode(0o700).create(&self.0)?;
        }
        let path = self.0.join(number.to_string());
        let listener = UnixListener::bind(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok((listener, path))
    }

    pub(super) fn remove(&self) {
        // If it fails, an empty directory or a dead socket remains.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        self.remove();
    }
}
