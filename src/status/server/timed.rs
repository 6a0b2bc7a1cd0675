//! Reads and writes that end at a deadline, on TCP and Unix sockets alike.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use socket2::SockRef;

/// Reads what is there, waiting until `deadline` at most.
///
/// # Errors
/// [`ErrorKind::TimedOut`] at the deadline; else the system's.
pub(super) fn read<S: AsFd>(socket: &S, buffer: &mut [u8], deadline: Instant) -> io::Result<usize>
where
    for<'a> &'a S: Read,
{
    loop {
        SockRef::from(socket).set_read_timeout(Some(left(deadline)?))?;
        let mut reader = socket;
        match reader.read(buffer) {
            Err(error) if is_passing(&error) => {}
            result => return result,
        }
    }
}

/// Writes everything until `deadline`.
///
/// # Errors
/// [`ErrorKind::TimedOut`] at the deadline, however much was written; else the system's.
pub(super) fn write_all<S: AsFd>(socket: &S, mut bytes: &[u8], deadline: Instant) -> io::Result<()>
where
    for<'a> &'a S: Write,
{
    while !bytes.is_empty() {
        SockRef::from(socket).set_write_timeout(Some(left(deadline)?))?;
        let mut writer = socket;
        match writer.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is left, never zero (which would mean without end).
fn left(deadline: Instant) -> io::Result<std::time::Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A time-out of the socket's own is looked at again by the clock.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
