//! A TLS session that is read by one thread while another writes.
//!
//! Three rules keep the two threads independent:
//! - while a thread waits for the network, it holds no lock that the other waits for;
//! - the writer holds `outgoing` from encryption to the end of the send, so that records leave in
//!   the order in which they were made; the reader only ever *tries* that lock, for the rare answer
//!   of its own (a key update);
//! - lock order: `outgoing`, then `connection`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use parking_lot::Mutex;
use rustls::Connection;

use super::options::time_left;
use super::stamp::{Stamp, StampedReader};

/// Bytes read from the socket at once: at most a TLS record with its overhead.
const RAW_BUFFER: usize = 16 * 1024 + 512;

/// An established TLS session over TCP.
#[derive(Debug)]
pub struct TlsStream {
    socket: TcpStream,
    connection: Mutex<Connection>,
    outgoing: Mutex<Vec<u8>>,
}

impl TlsStream {
    /// Performs the handshake on `socket`, as client or server, and clears the socket's timeouts.
    ///
    /// # Errors
    /// `TimedOut` at the deadline, `InvalidData` with rustls's reason if either side rejects the other,
    /// else the socket's error.
    pub fn handshake(socket: TcpStream, mut connection: Connection, deadline: Instant) -> io::Result<Self> {
        while connection.is_handshaking() {
            while connection.wants_write() {
                socket.set_write_timeout(Some(time_left(deadline)?))?;
                connection.write_tls(&mut &socket)?;
            }
            if connection.is_handshaking() && connection.wants_read() {
                socket.set_read_timeout(Some(time_left(deadline)?))?;
                if connection.read_tls(&mut &socket)? == 0 {
                    let closed = "closed during the TLS handshake";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, closed));
                }
                if let Err(error) = connection.process_new_packets() {
                    // Sends the alert with the reason.
                    let _ = connection.write_tls(&mut &socket);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
        }
        while connection.wants_write() {
            socket.set_write_timeout(Some(time_left(deadline)?))?;
            connection.write_tls(&mut &socket)?;
        }
        socket.set_read_timeout(None)?;
        socket.set_write_timeout(None)?;
        Ok(TlsStream { socket, connection: Mutex::new(connection), outgoing: Mutex::default() })
    }

    /// The underlying socket, for its options and addresses.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Encrypts and sends all of `bytes`.
    ///
    /// # Errors
    /// The socket's.
    pub fn send_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        while !bytes.is_empty() {
            {
                let mut connection = self.connection.lock();
                let taken = connection.writer().write(bytes)?;
                bytes = &bytes[taken..];
                write_records(&mut connection, &mut outgoing)?;
            }
            self.flush(&mut outgoing)?;
        }
        // Records that the reader has queued meanwhile.
        write_records(&mut self.connection.lock(), &mut outgoing)?;
        self.flush(&mut outgoing)
    }

    /// Sends `close_notify` and closes this direction.
    ///
    /// # Errors
    /// The socket's.
    pub fn finish(&self) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        {
            let mut connection = self.connection.lock();
            connection.send_close_notify();
            write_records(&mut connection, &mut outgoing)?;
        }
        self.flush(&mut outgoing)?;
        self.socket.shutdown(Shutdown::Write)
    }

    /// Processes received records without waiting (the socket is non-blocking), such as session tickets.
    /// `false` after the end or an error.
    pub(super) fn is_alive(&self) -> bool {
        let mut connection = self.connection.lock();
        loop {
            match connection.read_tls(&mut &self.socket) {
                Ok(0) => return false,
                Ok(_) => match connection.process_new_packets() {
                    Ok(state) if state.peer_has_closed() => return false,
                    Ok(_) => {}
                    Err(_) => return false,
                },
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    fn flush(&self, outgoing: &mut Vec<u8>) -> io::Result<()> {
        let sent = (&self.socket).write_all(outgoing);
        outgoing.clear();
        sent
    }

    /// Sends the session's own records, unless a writer is active, which then sends them.
    fn answer(&self) -> io::Result<()> {
        let Some(mut outgoing) = self.outgoing.try_lock() else { return Ok(()) };
        write_records(&mut self.connection.lock(), &mut outgoing)?;
        self.flush(&mut outgoing)
    }
}

/// The reading end of a [`TlsStream`], with received bytes that are not decrypted yet.
#[derive(Debug)]
pub struct TlsReader {
    stamped: StampedReader,
    raw: Vec<u8>,
    start: usize,
    end: usize,
    /// When the bytes in `raw` arrived.
    stamp: Stamp,
    /// The end of the session, returned once all decrypted bytes were read.
    failed: Option<io::Error>,
}

impl TlsReader {
    pub fn new(stream: &TlsStream) -> TlsReader {
        let stamped = StampedReader::new(&stream.socket);
        TlsReader { stamped, raw: vec![0; RAW_BUFFER], start: 0, end: 0, stamp: Stamp::now(), failed: None }
    }

    /// Reads decrypted bytes into `buffer`; 0 if the peer has closed, with or without `close_notify`.
    ///
    /// # Errors
    /// The socket's; `InvalidData` when a record does not decrypt.
    pub fn recv(&mut self, stream: &TlsStream, buffer: &mut [u8]) -> io::Result<(usize, Stamp)> {
        loop {
            let wants_write = {
                let mut connection = stream.connection.lock();
                match connection.reader().read(buffer) {
                    Ok(length) => return Ok((length, self.stamp)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if let Some(error) = self.failed.take() {
                            return Err(error);
                        }
                    }
                    // Pools end with a bare FIN more often than with close_notify.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok((0, self.stamp)),
                    Err(error) => return Err(error),
                }
                if self.start < self.end {
                    self.start += connection.read_tls(&mut &self.raw[self.start..self.end])?;
                    // Bytes decrypted before a bad record or an alert are delivered first.
                    self.failed = connection
                        .process_new_packets()
                        .err()
                        .map(|error| io::Error::new(io::ErrorKind::InvalidData, error));
                }
                connection.wants_write()
            };
            if wants_write {
                stream.answer()?;
            }
            if self.failed.is_none() && self.start == self.end && stream.connection.lock().wants_read() {
                self.fill(stream)?;
            }
        }
    }

    /// Waits for the network, without any lock.
    fn fill(&mut self, stream: &TlsStream) -> io::Result<()> {
        let (length, stamp) = self.stamped.recv(&stream.socket, &mut self.raw)?;
        (self.start, self.end, self.stamp) = (0, length, stamp);
        if length == 0 {
            // Passes the end to the session, so that its reader reports it too.
            stream.connection.lock().read_tls(&mut io::empty())?;
        }
        Ok(())
    }
}

fn write_records(connection: &mut Connection, outgoing: &mut Vec<u8>) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(outgoing)?;
    }
    Ok(())
}
