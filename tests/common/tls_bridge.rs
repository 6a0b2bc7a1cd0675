//! A TLS peer as a plain socket: one thread per connection stands between, with rustls used in the
//! one-threaded way that its documentation shows, and so unlike the code under test. A half-close on
//! one side becomes a `close_notify` on the other, and back.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::DEADLINE;

/// The plain end of a TLS server's connection.
pub fn server(config: Arc<ServerConfig>, socket: TcpStream) -> TcpStream {
    bridge(ServerConnection::new(config).unwrap().into(), socket)
}

/// The plain end of a TLS client's connection.
pub fn client(config: Arc<ClientConfig>, name: &str, socket: TcpStream) -> TcpStream {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    bridge(ClientConnection::new(config, name).unwrap().into(), socket)
}

fn bridge(connection: Connection, socket: TcpStream) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let outside = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (inside, _) = listener.accept().unwrap();
    outside.set_read_timeout(Some(DEADLINE)).unwrap();
    outside.set_nodelay(true).unwrap();
    std::thread::spawn(move || {
        // What goes wrong shows as an early end at the test's socket.
        let _ = run(connection, &socket, &inside);
        let _ = inside.shutdown(Shutdown::Both);
        let _ = socket.shutdown(Shutdown::Both);
    });
    outside
}

fn run(mut tls: Connection, mut socket: &TcpStream, mut plain: &TcpStream) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    plain.set_nonblocking(true)?;
    let mut to_plain: Vec<u8> = Vec::new();
    let (mut plain_ended, mut tls_ended, mut told_plain) = (false, false, false);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if tls_ended && to_plain.is_empty() && !told_plain {
            plain.shutdown(Shutdown::Write)?;
            told_plain = true;
        }
        let is_over = plain_ended || tls.is_handshaking();
        if is_over && told_plain && !tls.wants_write() {
            return Ok(());
        }
        let wants = |read: bool, write: bool| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, read);
            flags.set(PollFlags::POLLOUT, write);
            flags
        };
        let room = to_plain.len() < 1 << 20;
        let take_plain = !plain_ended && !tls.is_handshaking() && !tls.wants_write();
        let mut entries = [
            PollFd::new(socket.as_fd(), wants(room && !tls_ended && tls.wants_read(), tls.wants_write())),
            PollFd::new(plain.as_fd(), wants(take_plain, !to_plain.is_empty())),
        ];
        // A socket whose peer has gone is always ready.
        let first = usize::from(tls_ended && !tls.wants_write());
        poll(&mut entries[first..], PollTimeout::try_from(DEADLINE).unwrap())?;
        while tls.wants_write() {
            match tls.write_tls(&mut socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if room && !tls_ended {
            match tls.read_tls(&mut socket) {
                Ok(0) => tls_ended = true,
                Ok(_) => {
                    let state = tls.process_new_packets().map_err(io::Error::other)?;
                    let start = to_plain.len();
                    to_plain.resize(start + state.plaintext_bytes_to_read(), 0);
                    tls.reader().read_exact(&mut to_plain[start..])?;
                    tls_ended |= state.peer_has_closed();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if !to_plain.is_empty() {
            match plain.write(&to_plain) {
                Ok(written) => drop(to_plain.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if take_plain {
            match plain.read(&mut buffer) {
                Ok(0) => {
                    plain_ended = true;
                    tls.send_close_notify();
                }
                Ok(length) => {
                    let mut rest = &buffer[..length];
                    tls.set_buffer_limit(None);
                    while !rest.is_empty() {
                        let taken = tls.writer().write(rest)?;
                        rest = &rest[taken..];
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
