//! Reads on before a socket is closed. With unread bytes in it the kernel would send a reset, which destroys
//! what the peer has not read yet.

use std::time::{Duration, Instant};

use crate::net::StreamReader;
use crate::net::options::time_left;

/// The time for which a peer is read on.
const LINGER: Duration = Duration::from_secs(2);

const LINGER_BUFFER: usize = 4096;

/// Reads and discards until the peer closes, for a bounded time.
pub fn linger(reader: &mut StreamReader) {
    let mut buffer = vec![0; LINGER_BUFFER];
    let deadline = Instant::now() + LINGER;
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
