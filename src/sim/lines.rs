//! Lines of a byte stream.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Instant;

/// Reads lines of a bounded length. A read that times out loses nothing: what has come of the next
/// line is kept.
#[derive(Debug)]
pub(super) struct SimLineReader<R> {
    stream: BufReader<R>,
    /// The received part of the next line.
    partial: Vec<u8>,
    max: usize,
    /// When the last byte arrived.
    pub last_read: Instant,
}

impl<R: Read> SimLineReader<R> {
    /// `max` is the longest line in bytes.
    pub fn new(stream: R, max: usize) -> SimLineReader<R> {
        SimLineReader { stream: BufReader::new(stream), partial: Vec::new(), max, last_read: Instant::now() }
    }

    /// The next line without its end; `None` when the stream ends.
    ///
    /// # Errors
    /// Errors of the stream, and [`io::ErrorKind::InvalidData`] for a line that is too long.
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let received = match self.stream.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if received.is_empty() {
                return Ok(None);
            }
            self.last_read = Instant::now();
            let end = received.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(received.len());
            self.partial.extend_from_slice(&received[..length]);
            self.stream.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.partial)));
            }
            if self.partial.len() > self.max {
                let reason = format!("a line of more than {} bytes", self.max);
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
    }

    /// Takes the received part of an incomplete line.
    pub fn take_partial(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.partial)).filter(|partial| !partial.is_empty())
    }

    /// The stream, for its options.
    pub fn stream(&self) -> &R {
        self.stream.get_ref()
    }
}

/// True if a read or write ended because its time was up.
pub(super) fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_come_in() {
        struct Drip(Vec<u8>);
        impl Read for Drip {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.0.is_empty() {
                    return Ok(0);
                }
                buffer[0] = self.0.remove(0);
                Ok(1)
            }
        }
        for text in [&b"one\r\n\ntwo\nrest"[..]] {
            let mut whole = SimLineReader::new(text, 100);
            let mut drip = SimLineReader::new(Drip(text.to_vec()), 100);
            for expected in [Some(&b"one\r"[..]), Some(b""), Some(b"two"), None] {
                assert_eq!(whole.next_line().unwrap().as_deref(), expected);
                assert_eq!(drip.next_line().unwrap().as_deref(), expected);
            }
            assert_eq!(whole.take_partial().as_deref(), Some(&b"rest"[..]));
            assert_eq!(drip.take_partial().as_deref(), Some(&b"rest"[..]));
            assert_eq!(whole.take_partial(), None);
        }
    }

    #[test]
    fn an_endless_line_is_an_error() {
        let mut lines = SimLineReader::new(io::repeat(b'x'), 10_000);
        assert_eq!(lines.next_line().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
