//! The two forwarding paths: read, send, stamp, copy, next. No lock, no parsing, no logging and no allocation
//! but the copy's.

use std::io;

use super::half_close::DirectionEnd;
use crate::net::options::is_timeout;
use crate::net::splice::Splicer;
use crate::net::{ReadBuffer, Stamp, Stream, StreamReader};
use crate::proxy::{OnTimeout, Watch};
use crate::tap::{CopiedBytes, Tap};
use crate::util::budget::Budget;

/// Forwards through a buffer until one side ends.
pub(super) fn copy(
    from: &mut StreamReader,
    to: &Stream,
    buffer: &mut ReadBuffer,
    tap: &mut Tap,
    watch: &mut impl Watch,
) -> DirectionEnd {
    // `is_enough` is never true.
    copy_until(from, to, buffer, tap, watch, |_| false).unwrap_or(DirectionEnd::SourceBroken)
}

/// Forwards as [`copy`] does, until `is_enough` returns `true` for bytes that were sent on: `None` then.
pub(super) fn copy_until(
    from: &mut StreamReader,
    to: &Stream,
    buffer: &mut ReadBuffer,
    tap: &mut Tap,
    watch: &mut impl Watch,
    mut is_enough: impl FnMut(&[u8]) -> bool,
) -> Option<DirectionEnd> {
    loop {
        let received = match from.recv(buffer.as_mut_slice()) {
            Ok(received) if received.length == 0 => return Some(DirectionEnd::Finished),
            Ok(received) => received,
            Err(error) => match handle_error(&error, watch) {
                OnTimeout::Wait => continue,
                OnTimeout::End => return Some(DirectionEnd::SourceBroken),
            },
        };
        let bytes = buffer.filled(received.length);
        tap.about_to_send();
        if to.send_all(bytes).is_err() {
            return Some(DirectionEnd::DestinationBroken);
        }
        tap.forwarded(bytes, received.readable_at, Stamp::now());
        if watch.on_bytes() == OnTimeout::End {
            return Some(DirectionEnd::SourceBroken);
        }
        if is_enough(bytes) {
            return None;
        }
        buffer.grow_after(received.length);
    }
}

/// Forwards through a pipe until one side ends.
///
/// # Errors
/// [`SpliceRefused`] when a side is not plain TCP, or when there are no pipes. The caller copies then.
pub(super) fn splice(
    from: &Stream,
    to: &Stream,
    size: usize,
    pipes: &Budget,
    tap: &mut Tap,
    watch: &mut impl Watch,
) -> Result<DirectionEnd, SpliceRefused> {
    let (Some(from), Some(to)) = (from.plain(), to.plain()) else {
        return Err(SpliceRefused::Tls);
    };
    let _reserved = pipes.reserve(if tap.is_open() { 2 } else { 1 }).ok_or(SpliceRefused::Budget)?;
    let mut splicer = Splicer::new(size, tap.is_open()).map_err(SpliceRefused::Pipe)?;
    loop {
        let length = match splicer.take(from) {
            Ok(0) => return Ok(DirectionEnd::Finished),
            Ok(length) => length,
            Err(error) => match handle_error(&error, watch) {
                OnTimeout::Wait => continue,
                OnTimeout::End => return Ok(DirectionEnd::SourceBroken),
            },
        };
        // The kernel gives splice no receive stamp; the return of the call is the next best.
        let readable_at = Stamp::now();
        let duplicated = splicer.duplicate(length).unwrap_or(0);
        tap.about_to_send();
        if splicer.give(to, length).is_err() {
            return Ok(DirectionEnd::DestinationBroken);
        }
        let sent_at = Stamp::now();
        // A part that was duplicated must leave the second pipe, too, but is not used.
        let mut copy = CopiedBytes::of_length(duplicated);
        let is_whole = splicer.copy(&mut copy).is_ok() && duplicated == length;
        let copy = is_whole.then_some(copy);
        tap.spliced(length, copy, readable_at, sent_at);
        if watch.on_bytes() == OnTimeout::End {
            return Ok(DirectionEnd::SourceBroken);
        }
    }
}

/// The reason that the splice path is not possible.
#[derive(Debug)]
pub(super) enum SpliceRefused {
    /// One side speaks TLS.
    Tls,
    /// The file descriptors are needed for miners.
    Budget,
    /// No pipe: the user's share of pipe memory is used up.
    Pipe(io::Error),
}

fn handle_error(error: &io::Error, watch: &mut impl Watch) -> OnTimeout {
    if is_timeout(error) {
        return watch.on_timeout();
    }
    watch.on_error(error);
    OnTimeout::End
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::time::Duration;

    use socket2::SockRef;

    use super::*;
    use crate::tap::{Conversation, Direction, SessionId};

    #[derive(Default)]
    struct RecordingWatch {
        timeouts: usize,
        errors: Vec<io::ErrorKind>,
    }

    impl Watch for RecordingWatch {
        fn on_timeout(&mut self) -> OnTimeout {
            self.timeouts += 1;
            OnTimeout::Wait
        }

        fn on_error(&mut self, error: &io::Error) {
            self.errors.push(error.kind());
        }
    }

    /// A peer that reads nothing until the kernel gives it up, as it does with one whose packets are lost.
    #[test]
    fn a_connection_closed_by_the_kernel_is_no_read_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_far, peer) = listener.accept().unwrap();
        SockRef::from(&near).set_tcp_user_timeout(Some(Duration::from_millis(50))).unwrap();
        // It fills the window, which stays closed.
        near.set_nonblocking(true).unwrap();
        while (&near).write(&[0; 65_536]).is_ok() {}
        near.set_nonblocking(false).unwrap();
        let from = Arc::new(Stream::Plain(near));
        from.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (mut reader, mut watch) = (StreamReader::new(from.clone()), RecordingWatch::default());
        let conversation = Arc::new(Conversation::new(SessionId(1), peer, Stamp::now()));
        let mut tap = Tap::new(None, conversation, Direction::Down);
        let end = copy(&mut reader, &from, &mut ReadBuffer::new(64, 64), &mut tap, &mut watch);
        assert_eq!((end, watch.timeouts), (DirectionEnd::SourceBroken, 0));
        assert_eq!(watch.errors, [io::ErrorKind::TimedOut]);
    }
}
