//! One connection, plain or TLS, with one reading and one writing thread.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::stamp::{Stamp, StampedReader};
use super::tls_stream::{TlsReader, TlsStream};

/// A connection. All methods take `&self`; at most one thread sends and one receives.
#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Sends all of `bytes`; returns once the kernel has the last of them.
    ///
    /// # Errors
    /// The socket's.
    pub fn send_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => (&*socket).write_all(bytes),
            Stream::Tls(tls) => tls.send_all(bytes),
        }
    }

    /// Closes the sending direction: the peer reads all sent bytes, then the end.
    pub fn finish(&self) {
        // The peer may have closed the connection already.
        let _ = match self {
            Stream::Plain(socket) => socket.shutdown(Shutdown::Write),
            Stream::Tls(tls) => tls.finish(),
        };
    }

    /// Wakes the reader, which still gets the received bytes, then the end.
    pub fn stop_reading(&self) {
        let _ = self.socket().shutdown(Shutdown::Read);
    }

    /// Closes both directions at once and wakes all waiting threads.
    pub fn abort(&self) {
        let _ = self.socket().shutdown(Shutdown::Both);
    }

    /// Sets the timeout of reads from the next one on; `None` is for ever.
    ///
    /// # Errors
    /// The socket's.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket().set_read_timeout(timeout)
    }

    /// Sets the timeout of sends from the next one on; `None` is for ever.
    ///
    /// # Errors
    /// The socket's.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket().set_write_timeout(timeout)
    }

    /// True if the peer has not closed yet. For a connection that no thread reads or writes at the moment;
    /// received bytes stay readable.
    pub fn is_alive(&self) -> bool {
        let socket = self.socket();
        if socket.set_nonblocking(true).is_err() {
            return false;
        }
        let alive = match self {
            Stream::Plain(socket) => match socket.peek(&mut [0]) {
                Ok(length) => length > 0,
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            },
            Stream::Tls(tls) => tls.is_alive(),
        };
        alive && socket.set_nonblocking(false).is_ok()
    }

    /// The TCP socket, also below TLS.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => tls.socket(),
        }
    }

    /// The socket if it carries the bytes unencrypted.
    pub fn plain(&self) -> Option<&TcpStream> {
        match self {
            Stream::Plain(socket) => Some(socket),
            Stream::Tls(_) => None,
        }
    }
}

/// The result of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// 0: the peer has closed its sending direction.
    pub length: usize,
    /// When the bytes became readable.
    pub readable_at: Stamp,
}

/// The one reader of a [`Stream`].
#[derive(Debug)]
pub struct StreamReader {
    stream: Arc<Stream>,
    state: StreamState,
}

#[derive(Debug)]
enum StreamState {
    Plain(StampedReader),
    Tls(Box<TlsReader>),
}

impl StreamReader {
    pub fn new(stream: Arc<Stream>) -> StreamReader {
        let state = match &*stream {
            Stream::Plain(socket) => StreamState::Plain(StampedReader::new(socket)),
            Stream::Tls(tls) => StreamState::Tls(Box::new(TlsReader::new(tls))),
        };
        StreamReader { stream, state }
    }

    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Waits for bytes and returns those received, which may end within a line.
    ///
    /// # Errors
    /// The socket's; a read timeout is `WouldBlock`.
    pub fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let (length, readable_at) = match (&mut self.state, &*self.stream) {
            (StreamState::Plain(reader), Stream::Plain(socket)) => reader.recv(socket, buffer)?,
            (StreamState::Tls(reader), Stream::Tls(tls)) => reader.recv(tls, buffer)?,
            // `new` makes the two alike.
            _ => return Err(io::Error::other("a reader of another kind of stream")),
        };
        Ok(Received { length, readable_at })
    }
}
