//! A visitor whose every byte the test writes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::common::DEADLINE;

/// An HTTP answer.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answered {
    /// Reads a whole answer to the end of the connection; `None` when there is none.
    pub fn read(mut stream: &TcpStream) -> Option<Answered> {
        let mut bytes = Vec::new();
        // What came before a reset counts.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let body = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        Some(Answered { status, head, body })
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    prepared(TcpStream::connect(address).unwrap())
}

/// From 127.0.1.`number`: somebody else for the server.
pub fn connect_from(number: u8, address: SocketAddr) -> TcpStream {
    prepared(try_connect_from(number, address).unwrap())
}

pub fn try_connect_from(number: u8, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 1, number), 0)).into())?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}

fn prepared(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends `text`, each `\n` as CRLF, and reads what is answered.
pub fn ask(address: SocketAddr, text: &str) -> Answered {
    ask_bytes(address, text.replace('\n', "\r\n").as_bytes())
}

pub fn ask_bytes(address: SocketAddr, bytes: &[u8]) -> Answered {
    let mut stream = connect(address);
    // It may be refused before all is sent.
    let _ = stream.write_all(bytes);
    Answered::read(&stream)
        .unwrap_or_else(|| panic!("no answer to {:.200}", bytes.escape_ascii().to_string()))
}

/// A usual visit.
pub fn get(address: SocketAddr, path: &str) -> Answered {
    ask(address, &format!("GET {path} HTTP/1.1\nHost: {address}\n\n"))
}

/// The page as everybody expects it.
pub fn is_well(address: SocketAddr) {
    let answered = get(address, "/");
    assert_eq!((answered.status, answered.body.as_slice()), (200, &b"hello"[..]), "{answered:?}");
}

/// Whether a usual visit succeeds now, from an address of its own.
pub fn gets_through(address: SocketAddr) -> bool {
    let Ok(stream) = try_connect_from(200, address).map(prepared) else {
        return false;
    };
    let _ = (&stream).write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes());
    Answered::read(&stream).is_some_and(|answered| answered.status == 200 && answered.body == b"hello")
}
