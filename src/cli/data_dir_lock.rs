//! The lock that keeps a second Sluice out of `data_dir`: two processes would overwrite each other's state.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use parking_lot::Mutex;

use crate::util::files::is_at_path;
use crate::util::os_error::describe;
use crate::util::stop::Stop;
use crate::util::supervise::{self, service};

/// An empty file that is locked while the program runs.
const LOCK_FILE: &str = "lock";

/// The interval of checks of the lock file: somebody may delete it.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The held lock. It is released when this is dropped, and however the process ends.
#[derive(Debug)]
pub struct DataDirLock(Arc<Mutex<LockState>>);

#[derive(Debug)]
struct LockState {
    dir: PathBuf,
    /// `None` if the file system has no locks.
    lock: Option<Flock<File>>,
    /// The failure to lock again was already logged.
    has_failed: bool,
}

impl DataDirLock {
    /// Locks `data_dir`. On a file system without locks this does nothing.
    ///
    /// # Errors
    /// Another Sluice has locked it.
    pub fn take(data_dir: &Path) -> Result<DataDirLock, String> {
        let lock = match lock(data_dir) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(in_use(data_dir)),
            Err(_) => None,
        };
        let state = LockState { dir: data_dir.to_owned(), lock, has_failed: false };
        Ok(DataDirLock(Arc::new(Mutex::new(state))))
    }

    /// Starts a thread that locks again if somebody deletes the lock file or the whole directory.
    pub fn keep_locked(&self, stop: &Stop) -> io::Result<()> {
        // A weak reference: dropping the lock releases it without waiting for the thread.
        let (state, stop) = (Arc::downgrade(&self.0), stop.clone());
        // Without a heartbeat limit: a disk may block it for any time.
        service("data-dir").start(move || {
            while stop.sleep(CHECK_INTERVAL).is_ok() {
                supervise::beat();
                let Some(state) = state.upgrade() else { break };
                state.lock().renew();
            }
        })?;
        Ok(())
    }
}

/// True if a running Sluice has locked `data_dir`.
pub(super) fn is_locked(data_dir: &Path) -> bool {
    let Ok(file) = File::open(data_dir.join(LOCK_FILE)) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}

/// The fault of a second Sluice with the same `data_dir`.
pub(super) fn in_use(data_dir: &Path) -> String {
    format!(
        "data_dir: another Sluice writes to {}; stop that one, or choose another directory with --data-dir",
        data_dir.display()
    )
}

impl LockState {
    fn renew(&mut self) {
        let Some(held) = &self.lock else { return };
        if is_at_path(held, &self.dir.join(LOCK_FILE)) {
            return;
        }
        let dir = self.dir.display();
        match fs::create_dir_all(&self.dir).and_then(|()| lock(&self.dir)) {
            Ok(lock) => {
                log::warn!("{dir}: its lock was deleted while Sluice runs; it is made and locked again");
                (self.lock, self.has_failed) = (Some(lock), false);
            }
            Err(_) if self.has_failed => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.has_failed = true;
                log::error!(
                    "{dir}: its lock was deleted, and another Sluice has locked the directory since. Both write to the \
                     same files now: stop one of them"
                );
            }
            Err(error) => {
                self.has_failed = true;
                let why = describe(&error);
                log::warn!(
                    "{dir}: its lock was deleted and can't be made again: {why}; another Sluice could use the directory now"
                );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_can_t_lock_the_data_dir() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDirLock::take(dir.path()).unwrap();
        let message = DataDirLock::take(dir.path()).unwrap_err();
        assert!(message.contains("another Sluice") && message.contains("--data-dir"), "{message}");
        drop(first);
        assert!(DataDirLock::take(dir.path()).is_ok());
    }

    #[test]
    fn a_deleted_lock_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        fs::create_dir(&data_dir).unwrap();
        let lock = DataDirLock::take(&data_dir).unwrap();
        fs::remove_dir_all(&data_dir).unwrap();
        lock.0.lock().renew();
        assert!(DataDirLock::take(&data_dir).is_err());
    }
}
