//! The bounded queue of lines to a client, and the thread that sends them, so that a client that does
//! not read delays no other.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

/// Caps the lines queued for a client.
pub(super) const WAITING: usize = 4096;

/// A line on its way out, its end included.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub line: String,
    /// Not to be sent before; lines without it are not held up.
    pub due: Option<Instant>,
    /// Close the connection afterwards.
    pub last: bool,
}

impl Outgoing {
    pub fn now(line: String) -> Outgoing {
        Outgoing { line, due: None, last: false }
    }

    pub fn after(line: String, delay: Duration) -> Outgoing {
        Outgoing { due: Some(Instant::now() + delay), ..Outgoing::now(line) }
    }
}

/// Sends what is queued until the queue's other end is gone.
///
/// # Errors
/// When the client does not take a line within the stream's write timeout, or is gone. The
/// connection is closed then.
pub(super) fn send_all(mut stream: TcpStream, outgoing: &Receiver<Outgoing>) -> io::Result<()> {
    let result = send_until_closed(&mut stream, outgoing);
    // The reading thread notices and ends the session; that the stream is gone already is no matter.
    let _ = stream.shutdown(Shutdown::Both);
    match result {
        Err(error) if is_disconnect(&error) => Ok(()),
        other => other,
    }
}

fn send_until_closed(stream: &mut TcpStream, outgoing: &Receiver<Outgoing>) -> io::Result<()> {
    // Few at a time: answers that are late on purpose.
    let mut waiting: Vec<(Instant, Outgoing)> = Vec::new();
    loop {
        let next = waiting
            .iter()
            .enumerate()
            .min_by_key(|(_, (due, _))| *due)
            .map(|(index, (due, _))| (index, *due));
        let received = match next {
            None => outgoing.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((_, due)) => outgoing.recv_deadline(due),
        };
        let item = match (received, next) {
            (Ok(item), _) => match item.due {
                Some(due) => {
                    waiting.push((due, item));
                    continue;
                }
                None => item,
            },
            (Err(RecvTimeoutError::Timeout), Some((index, _))) => waiting.remove(index).1,
            (Err(_), _) => return Ok(()),
        };
        stream.write_all(item.line.as_bytes())?;
        if item.last {
            return Ok(());
        }
    }
}

/// True if the client is simply gone.
fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}
