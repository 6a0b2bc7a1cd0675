//! Reading from a peer: the time limits of a direction while its thread waits in a read, and reading on before a
//! socket is closed.

use std::io;
use std::time::{Duration, Instant};

use crate::net::StreamReader;
use crate::net::options::time_left;

/// The time for which a peer is read on.
const MAX_LINGER_TIME: Duration = Duration::from_secs(2);

const LINGER_BUFFER_SIZE: usize = 4096;

/// The reaction to a read timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// Read on, with the timeout that is set by now.
    Wait,
    /// End the session.
    End,
}

/// Watches over one direction, beside its bytes.
pub trait Watch {
    /// A read timeout has expired.
    fn on_timeout(&mut self) -> OnTimeout;

    /// The time that the next bytes may take, if the watch sets the read timeouts itself. `None`: no limit.
    fn read_timeout(&mut self) -> Option<Duration> {
        None
    }

    /// The connection that is read has failed, otherwise than by a read timeout.
    fn on_error(&mut self, _error: &io::Error) {}

    /// Bytes were forwarded. On the hot path: nothing slow here.
    fn on_bytes(&mut self) -> OnTimeout {
        OnTimeout::Wait
    }
}

/// Reads and discards until the peer closes, for a bounded time. With unread bytes in a closed socket the kernel
/// would send a reset, which destroys what the peer has not read yet.
pub fn linger(reader: &mut StreamReader) {
    let mut buffer = vec![0; LINGER_BUFFER_SIZE];
    let deadline = Instant::now() + MAX_LINGER_TIME;
    let stream = reader.stream().clone();
    while let Ok(left) = time_left(deadline) {
        if stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match reader.recv(&mut buffer) {
            Ok(received) if received.length > 0 => {}
            _ => return,
        }
    }
}
