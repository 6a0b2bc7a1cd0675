//! The lock that keeps a second Sluice away from `data_dir`: two that write the same state would each undo
//! what the other kept.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::preflight::EnvironmentError;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;
use crate::util::supervise::service;

/// Empty, and locked while the program runs.
const LOCK_FILE: &str = "lock";

/// How long a lock that somebody has deleted may be missing.
const LOOK: Duration = Duration::from_secs(1);

/// Holds the lock until it is dropped, however the program ends.
#[derive(Debug)]
pub struct DataDirLock {
    held: Arc<Mutex<LockHolder>>,
}

#[derive(Debug)]
struct LockHolder {
    dir: PathBuf,
    /// `None` where files can't be locked, or when another Sluice has the lock.
    lock: Option<Flock<File>>,
    /// The owner knows that it could not be taken again.
    has_failed: bool,
}

impl DataDirLock {
    /// Locks `data_dir`. Where files can't be locked nothing is kept.
    ///
    /// # Errors
    /// [`EnvironmentError::DataDirInUse`].
    pub fn take(data_dir: &Path) -> Result<DataDirLock, EnvironmentError> {
        let lock = match lock(data_dir) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(EnvironmentError::DataDirInUse { dir: data_dir.to_owned() });
            }
            Err(_) => None,
        };
        let held = LockHolder { dir: data_dir.to_owned(), lock, has_failed: false };
        Ok(DataDirLock { held: Arc::new(Mutex::new(held)) })
    }

    /// Starts a thread that takes the lock again when somebody deletes its file, or the whole directory.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn keep(&self, stop: &Stop) -> io::Result<()> {
        // The end of the program waits for this lock's owner, not for the thread.
        let (held, stop) = (Arc::downgrade(&self.held), stop.clone());
        // Without a limit for its heartbeat: a disk may hold it for as long as it likes.
        service("data-dir").start(move || {
            while stop.sleep(LOOK).is_ok() {
                supervise::beat();
                let Some(held) = held.upgrade() else { break };
                held.lock().unwrap_or_else(PoisonError::into_inner).renew();
            }
            Ok::<(), Stopped>(())
        })?;
        Ok(())
    }
}

/// Whether a running Sluice has locked `data_dir`.
pub(super) fn is_taken(data_dir: &Path) -> bool {
    let Ok(file) = File::open(data_dir.join(LOCK_FILE)) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}

impl LockHolder {
    fn renew(&mut self) {
        let Some(held) = &self.lock else { return };
        if is_in_place(held, &self.dir) {
            return;
        }
        match fs::create_dir_all(&self.dir).and_then(|()| lock(&self.dir)) {
            Ok(lock) => {
                log::warn!(
                    "{}: its lock was deleted while Sluice runs; it is made and locked again",
                    self.dir.display()
                );
                (self.lock, self.has_failed) = (Some(lock), false);
            }
            Err(_) if self.has_failed => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.has_failed = true;
                log::error!(
                    "{}: its lock was deleted, and another Sluice has taken the directory since; both write to the \
                     same files now: end one of them",
                    self.dir.display()
                );
            }
            Err(error) => {
                self.has_failed = true;
                log::warn!("{}: its lock was deleted, and can't be made again: {error}", self.dir.display());
            }
        }
    }
}

fn lock(data_dir: &Path) -> io::Result<Flock<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(data_dir.join(LOCK_FILE))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        Errno::EWOULDBLOCK => io::ErrorKind::WouldBlock.into(),
        error => error.into(),
    })
}

/// Whether the name still leads to the file that is locked.
fn is_in_place(held: &File, data_dir: &Path) -> bool {
    let (Ok(there), Ok(ours)) = (fs::metadata(data_dir.join(LOCK_FILE)), held.metadata()) else {
        return false;
    };
    (there.dev(), there.ino()) == (ours.dev(), ours.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_dir_is_one_program_s() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDirLock::take(dir.path()).unwrap();
        let said = DataDirLock::take(dir.path()).unwrap_err().to_string();
        assert!(said.contains("another Sluice") && said.contains("--data-dir"), "{said}");
        drop(first);
        assert!(DataDirLock::take(dir.path()).is_ok());
    }

    #[test]
    fn a_lock_that_is_deleted_is_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        fs::create_dir(&data_dir).unwrap();
        let lock = DataDirLock::take(&data_dir).unwrap();
        fs::remove_dir_all(&data_dir).unwrap();
        lock.held.lock().unwrap().renew();
        assert!(DataDirLock::take(&data_dir).is_err());
    }
}
