//! The private socket of the inner server: only this user can reach it, in a directory that lives as
//! long as the server.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;

/// 128 random bits as hex. The hasher's keys come from the system's random number generator.
pub(super) fn random_name() -> String {
    let half = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", half(), half())
}

#[cfg(unix)]
pub(super) use unix::{ListenerAddress, PrivateDirectory, check_free_fds};

#[cfg(unix)]
mod unix {
    use super::{PathBuf, io, random_name};
    use std::fs::{self, DirBuilder};
    use std::os::unix::fs::DirBuilderExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    /// Checks that descriptors are left for both ends of a connection. Without them the inner server
    /// would die instead of rejecting it. Another thread may still take them in between.
    pub(in super::super) fn check_free_fds() -> io::Result<()> {
        let _four = (UnixStream::pair()?, UnixStream::pair()?);
        Ok(())
    }

    /// A directory that only this user may enter. Removed when dropped.
    #[derive(Debug)]
    pub(in super::super) struct PrivateDirectory(PathBuf);

    /// The path of a listener.
    #[derive(Debug, Clone)]
    pub(in super::super) struct ListenerAddress(PathBuf);

    impl PrivateDirectory {
        /// Creates the directory in the service's runtime directory, the user's, or the temporary one.
        pub(in super::super) fn new() -> io::Result<PrivateDirectory> {
            let own = |name: &str| {
                let value = std::env::var_os(name)?;
                let first = std::env::split_paths(&value).next()?;
                first.is_absolute().then_some(first)
            };
            let places = [own("RUNTIME_DIRECTORY"), own("XDG_RUNTIME_DIR"), Some(std::env::temp_dir())];
            let mut result = Err(io::ErrorKind::NotFound.into());
            for place in places.into_iter().flatten() {
                let path = place.join(format!("sluice-{}-{}", std::process::id(), random_name()));
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

        /// Opens a new listener under this number.
        pub(in super::super) fn listen(
            &self,
            number: u64,
        ) -> io::Result<(tiny_http::Listener, ListenerAddress)> {
            // Cleaners of temporary files, and the end of a login, delete the directory.
            if !self.0.exists() {
                DirBuilder::new().mode(0o700).create(&self.0)?;
            }
            let path = self.0.join(number.to_string());
            let listener = UnixListener::bind(&path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
            Ok((listener.into(), ListenerAddress(path)))
        }

        #[cfg(test)]
        pub(in super::super) fn path(&self) -> &std::path::Path {
            &self.0
        }

        pub(in super::super) fn remove(&self) {
            // If it fails, an empty directory or a dead socket remains.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl Drop for PrivateDirectory {
        fn drop(&mut self) {
            self.remove();
        }
    }

    impl ListenerAddress {
        pub(in super::super) fn connect(&self) -> io::Result<UnixStream> {
            UnixStream::connect(&self.0)
        }
    }
}

#[cfg(not(unix))]
pub(super) use loopback::{ListenerAddress, PrivateDirectory, check_free_fds};

/// The replacement on systems without Unix sockets: a loopback port, which only the key protects.
#[cfg(not(unix))]
mod loopback {
    use super::io;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    pub(in super::super) fn check_free_fds() -> io::Result<()> {
        Ok(())
    }

    #[derive(Debug)]
    pub(in super::super) struct PrivateDirectory;

    #[derive(Debug, Clone)]
    pub(in super::super) struct ListenerAddress(SocketAddr);

    impl PrivateDirectory {
        pub(in super::super) fn new() -> io::Result<PrivateDirectory> {
            Ok(PrivateDirectory)
        }

        pub(in super::super) fn listen(
            &self,
            _number: u64,
        ) -> io::Result<(tiny_http::Listener, ListenerAddress)> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            Ok((listener.into(), ListenerAddress(address)))
        }

        pub(in super::super) fn remove(&self) {}
    }

    impl ListenerAddress {
        pub(in super::super) fn connect(&self) -> io::Result<TcpStream> {
            TcpStream::connect(self.0)
        }
    }
}
