//! Lines of a byte stream.

use std::io::{self, Read};
use std::time::Instant;

/// Reads lines of a bounded length. A read that times out loses nothing: what has come of the next
/// line is kept.
#[derive(Debug)]
pub(super) struct SimLineReader<R> {
    stream: R,
    /// Bytes that have been read; those before `taken` were given out.
    buffer: Vec<u8>,
    taken: usize,
    max: usize,
    last_read: Instant,
}

impl<R: Read> SimLineReader<R> {
    /// `max` is the longest line in bytes.
    pub fn new(stream: R, max: usize) -> SimLineReader<R> {
        SimLineReader { stream, buffer: Vec::new(), taken: 0, max, last_read: Instant::now() }
    }

    /// The next line without its end; `None` when the stream ends.
    ///
    /// # Errors
    /// Errors of the stream, and [`io::ErrorKind::InvalidData`] for a line that is too long.
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.complete_line() {
                return Ok(Some(line));
            }
            if self.buffer.len() - self.taken > self.max {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a line of more than {} bytes", self.max),
                ));
            }
            let mut chunk = [0; 4096];
            let length = match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if length == 0 {
                return Ok(None);
            }
            self.last_read = Instant::now();
            self.buffer.drain(..self.taken);
            self.taken = 0;
            self.buffer.extend_from_slice(&chunk[..length]);
        }
    }

    /// Takes the received part of an incomplete line.
    pub fn take_partial(&mut self) -> Option<Vec<u8>> {
        let partial = self.buffer.split_off(self.taken);
        self.buffer.clear();
        self.taken = 0;
        if partial.is_empty() { None } else { Some(partial) }
    }

    /// When the last byte arrived.
    pub fn last_read(&self) -> Instant {
        self.last_read
    }

    /// The stream, for its options.
    pub fn stream(&self) -> &R {
        &self.stream
    }

    fn complete_line(&mut self) -> Option<Vec<u8>> {
        let rest = &self.buffer[self.taken..];
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest[..end].to_vec();
        self.taken += end + 1;
        Some(line)
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
