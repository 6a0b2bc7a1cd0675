//! Points in time, and the kernel's timestamps of received bytes.

use std::io::{self, IoSliceMut};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

/// Nanoseconds since 1970 by the system's clock, which is also the clock of the kernel's receive
/// timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp(u64);

impl Stamp {
    pub fn now() -> Stamp {
        Stamp::from(SystemTime::now())
    }

    /// Nanoseconds since 1970.
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// A stamp of `nanos` nanoseconds since 1970.
    pub fn from_nanos(nanos: u64) -> Stamp {
        Stamp(nanos)
    }

    /// The stamp moved by `nanos`, clamped to the range of a stamp.
    pub fn shifted(self, nanos: i64) -> Stamp {
        Stamp(self.0.saturating_add_signed(nanos))
    }

    /// The time from `earlier` to this stamp; `None` if the clock was set back in between.
    pub fn since(self, earlier: Stamp) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }
}

impl From<SystemTime> for Stamp {
    fn from(time: SystemTime) -> Stamp {
        let nanos = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Stamp(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Reads from one socket, with the time at which the bytes became readable.
#[derive(Debug)]
pub struct StampedReader {
    /// Buffer for the kernel's control message; `None` if the socket has no timestamps.
    control: Option<Vec<u8>>,
}

impl StampedReader {
    /// Enables the kernel's receive timestamps (`SO_TIMESTAMPNS`). If there are none, the time after the
    /// read is used.
    pub fn new(socket: &TcpStream) -> StampedReader {
        let kernel_stamps = setsockopt(socket, sockopt::ReceiveTimestampns, &true).is_ok();
        StampedReader { control: kernel_stamps.then(|| nix::cmsg_space!(TimeSpec)) }
    }

    /// Calls `recv` once. Returns how many bytes, and when the last of them had arrived.
    ///
    /// # Errors
    /// The socket's; a timeout is `WouldBlock`. An interrupted call is repeated.
    pub fn recv(&mut self, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Stamp)> {
        loop {
            match self.recv_once(socket, buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn recv_once(&mut self, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Stamp)> {
        let Some(control) = &mut self.control else {
            let length = io::Read::read(&mut &*socket, buffer)?;
            return Ok((length, Stamp::now()));
        };
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(control), MsgFlags::empty())?;
        let mut stamp = None;
        if let Ok(messages) = message.cmsgs() {
            for message in messages {
                if let ControlMessageOwned::ScmTimestampns(time) = message {
                    stamp = Some(Stamp::from(UNIX_EPOCH + Duration::from(time)));
                }
            }
        }
        Ok((message.bytes, stamp.unwrap_or_else(Stamp::now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn the_kernels_stamp_is_earlier_than_the_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        let mut reader = StampedReader::new(&receiver);
        let pause = Duration::from_millis(20);
        // The kernel begins to stamp a moment after it was asked to; the first packets may have none.
        let has_stamp = (0..100).any(|_| {
            let before = Stamp::now();
            sender.write_all(b"hello").unwrap();
            let mut buffer = [0; 16];
            while receiver.peek(&mut buffer).unwrap() < 5 {}
            // The bytes wait; a stamp taken by the read would include this wait.
            std::thread::sleep(pause);
            let (length, stamp) = reader.recv(&receiver, &mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"hello");
            stamp >= before && Stamp::now().since(stamp).unwrap() >= pause
        });
        assert!(has_stamp);
    }

    #[test]
    fn a_clock_set_back_gives_no_duration() {
        assert_eq!(Stamp::from_nanos(1).since(Stamp::from_nanos(2)), None);
        assert_eq!(Stamp::from_nanos(5).since(Stamp::from_nanos(2)), Some(Duration::from_nanos(3)));
    }
}
