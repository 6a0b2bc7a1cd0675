//! Reads and writes with a deadline, on TCP and Unix sockets.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use socket2::SockRef;

use crate::net::options::time_left;

/// Reads the available bytes, and waits for them until `deadline`.
///
/// # Errors
/// [`ErrorKind::TimedOut`] at the deadline, else the system's error.
pub(super) fn read<S: AsFd>(socket: &S, buffer: &mut [u8], deadline: Instant) -> io::Result<usize>
where
    for<'a> &'a S: Read,
{
    loop {
        SockRef::from(socket).set_read_timeout(Some(time_left(deadline)?))?;
        let mut reader = socket;
        match reader.read(buffer) {
            Err(error) if is_passing(&error) => {}
            result => return result,
        }
    }
}

/// Writes all bytes until `deadline`.
///
/// # Errors
/// [`ErrorKind::TimedOut`] at the deadline, even if some bytes were written, else the system's error.
pub(super) fn write_all<S: AsFd>(socket: &S, mut bytes: &[u8], deadline: Instant) -> io::Result<()>
where
    for<'a> &'a S: Write,
{
    while !bytes.is_empty() {
        SockRef::from(socket).set_write_timeout(Some(time_left(deadline)?))?;
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

/// Recognises errors after which the operation is retried. The clock decides whether time is up.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
