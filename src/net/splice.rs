//! Forwarding without copies in user space: `splice(2)` from socket to pipe to socket, and `tee(2)`
//! into a second pipe for the analyzer's copy.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice, tee};
use nix::unistd::{pipe2, read};

/// A pipe between two sockets, and a second one for the copy.
#[derive(Debug)]
pub struct Splicer {
    through: Pipe,
    beside: Option<Pipe>,
    size: usize,
}

impl Splicer {
    /// Creates a pipe for `size` bytes (rounded up by the kernel), and a second one if `with_copy`.
    ///
    /// # Errors
    /// Out of descriptors, or beyond the user's share of pipe memory (`fs.pipe-user-pages-soft`).
    pub fn new(size: usize, with_copy: bool) -> io::Result<Splicer> {
        let beside = if with_copy { Some(Pipe::new(size)?) } else { None };
        Ok(Splicer { through: Pipe::new(size)?, beside, size })
    }

    /// Waits for bytes on `from` and moves them into the pipe. Returns how many; 0 at the end.
    ///
    /// # Errors
    /// An error of the socket. Its read timeout is `WouldBlock`.
    pub fn take(&mut self, from: &TcpStream) -> io::Result<usize> {
        let taken =
            again(|| splice(from, None, &self.through.write, None, self.size, SpliceFFlags::empty()))?;
        Ok(taken)
    }

    /// Duplicates the `length` bytes in the pipe for [`Splicer::copy`]. Returns how many it could.
    ///
    /// # Errors
    /// An error of the kernel.
    pub fn duplicate(&mut self, length: usize) -> io::Result<usize> {
        match &self.beside {
            None => Ok(0),
            Some(beside) => {
                let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
                Ok(again(|| tee(&self.through.read, &beside.write, length, flags))?)
            }
        }
    }

    /// Sends the `length` bytes in the pipe.
    ///
    /// # Errors
    /// An error of the socket.
    pub fn give(&mut self, to: &TcpStream, mut length: usize) -> io::Result<()> {
        while length > 0 {
            let moved = again(|| splice(&self.through.read, None, to, None, length, SpliceFFlags::empty()))?;
            if moved == 0 {
                return Err(io::Error::new(io::ErrorKind::WriteZero, "splice moved nothing"));
            }
            length -= moved;
        }
        Ok(())
    }

    /// Reads as many duplicated bytes as `bytes` holds, after the original ones were sent.
    ///
    /// # Errors
    /// An error of the pipe.
    pub fn copy(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        if let Some(beside) = &self.beside {
            while filled < bytes.len() {
                match again(|| read(&beside.read, &mut bytes[filled..]))? {
                    0 => break,
                    count => filled += count,
                }
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    fn new(size: usize) -> io::Result<Pipe> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        // The default of 64 KiB would use up an unprivileged user's share after 1,024 pipes.
        let size = i32::try_from(size).unwrap_or(i32::MAX);
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(size))?;
        Ok(Pipe { read, write })
    }
}

/// Repeats a call that a signal interrupted.
fn again<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_pass_and_their_copy_is_the_same() {
        let ((mut miner, inside), (outside, mut pool)) = (pair(), pair());
        let mut splicer = Splicer::new(16 * 1024, true).unwrap();
        miner.write_all(b"{\"id\":1}\n").unwrap();
        let length = splicer.take(&inside).unwrap();
        assert_eq!(splicer.duplicate(length).unwrap(), length);
        splicer.give(&outside, length).unwrap();
        let mut copy = [0; 9];
        splicer.copy(&mut copy).unwrap();
        assert_eq!(&copy, b"{\"id\":1}\n");
        let mut arrived = [0; 9];
        pool.read_exact(&mut arrived).unwrap();
        assert_eq!(&arrived, b"{\"id\":1}\n");
        drop(miner);
        assert_eq!(splicer.take(&inside).unwrap(), 0);
    }

    #[test]
    fn a_read_timeout_is_honoured() {
        let (_miner, inside) = pair();
        inside.set_read_timeout(Some(std::time::Duration::from_millis(5))).unwrap();
        let error = Splicer::new(4096, false).unwrap().take(&inside).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
