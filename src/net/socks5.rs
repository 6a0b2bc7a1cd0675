//! The client's half of SOCKS5 (RFC 1928) with user and password (RFC 1929), on a connected socket
//! and under one deadline. Names are resolved by the proxy, so that `.onion` works and no name
//! server here learns of the pool.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Instant;

use super::options::time_left;
use crate::util::os_error::describe;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;

/// User and password for the proxy. `Debug` hides the password.
#[derive(Clone)]
pub struct ProxyLogin {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for ProxyLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, ***)", self.user)
    }
}

/// The reason why the proxy did not connect us.
#[derive(Debug)]
pub enum Socks5Error {
    Io(io::Error),
    /// The proxy's answer is not SOCKS5.
    NotSocks5(u8),
    /// The proxy accepts none of the offered login methods.
    NoMethod,
    /// The proxy rejected user and password.
    Login,
    /// A name, user or password longer than the protocol's 255 bytes.
    TooLong(&'static str),
    /// The reply code of a rejection (RFC 1928, section 6; Tor's own codes begin at 0xf0).
    Refused(u8),
}

impl fmt::Display for Socks5Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Socks5Error::Io(error) => f.write_str(&describe(error)),
            Socks5Error::NotSocks5(byte) => write!(f, "it does not speak SOCKS5 (first byte {byte:#04x})"),
            Socks5Error::NoMethod => f.write_str("it wants another way to log in; set user and password"),
            Socks5Error::Login => f.write_str("it refused the user and password"),
            Socks5Error::TooLong(what) => write!(f, "the {what} is longer than 255 bytes"),
            Socks5Error::Refused(code) => write!(f, "it refused with {code:#04x} ({})", reply_text(*code)),
        }
    }
}

impl std::error::Error for Socks5Error {}

impl From<io::Error> for Socks5Error {
    fn from(error: io::Error) -> Socks5Error {
        Socks5Error::Io(error)
    }
}

/// Requests a connection to `host:port` from the proxy on socket `proxy`. Afterwards the socket carries
/// the connection's bytes and has no timeouts.
///
/// # Errors
/// [`Socks5Error`]; `TimedOut` inside `Io` at the deadline, even if the proxy sends single bytes.
pub fn connect(
    proxy: &TcpStream,
    host: &str,
    port: u16,
    login: Option<&ProxyLogin>,
    deadline: Instant,
) -> Result<(), Socks5Error> {
    log_in(proxy, login, deadline)?;
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => request.extend([&[1], &address.octets()[..]].concat()),
        Ok(IpAddr::V6(address)) => request.extend([&[4], &address.octets()[..]].concat()),
        Err(_) => {
            request.push(3);
            push_text(&mut request, host, "host name")?;
        }
    }
    request.extend(port.to_be_bytes());
    send(proxy, &request, deadline)?;
    read_reply(proxy, deadline)?;
    proxy.set_read_timeout(None)?;
    proxy.set_write_timeout(None)?;
    Ok(())
}

fn log_in(proxy: &TcpStream, login: Option<&ProxyLogin>, deadline: Instant) -> Result<(), Socks5Error> {
    let offer: &[u8] = match login {
        None => &[VERSION, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_PASSWORD],
    };
    send(proxy, offer, deadline)?;
    let [version, method] = receive(proxy, deadline)?;
    if version != VERSION {
        return Err(Socks5Error::NotSocks5(version));
    }
    match (method, login) {
        (NO_AUTHENTICATION, _) => Ok(()),
        (USER_PASSWORD, Some(ProxyLogin { user, password })) => {
            let mut request = vec![1];
            push_text(&mut request, user, "user name")?;
            push_text(&mut request, password, "password")?;
            send(proxy, &request, deadline)?;
            match receive(proxy, deadline)? {
                [_, 0] => Ok(()),
                [_, _] => Err(Socks5Error::Login),
            }
        }
        _ => Err(Socks5Error::NoMethod),
    }
}

/// Reads the reply with the proxy's address exactly, and no byte of the connection after it.
fn read_reply(proxy: &TcpStream, deadline: Instant) -> Result<(), Socks5Error> {
    let [version, code, _reserved, kind] = receive(proxy, deadline)?;
    if version != VERSION {
        return Err(Socks5Error::NotSocks5(version));
    }
    if code != 0 {
        return Err(Socks5Error::Refused(code));
    }
    let address_length = match kind {
        1 => 4,
        4 => 16,
        3 => {
            let [length] = receive(proxy, deadline)?;
            usize::from(length)
        }
        other => return Err(Socks5Error::NotSocks5(other)),
    };
    let mut address_and_port = vec![0; address_length + 2];
    receive_into(proxy, &mut address_and_port, deadline)?;
    Ok(())
}

fn push_text(request: &mut Vec<u8>, text: &str, what: &'static str) -> Result<(), Socks5Error> {
    let length = u8::try_from(text.len()).map_err(|_| Socks5Error::TooLong(what))?;
    request.push(length);
    request.extend(text.as_bytes());
    Ok(())
}

fn send(mut proxy: &TcpStream, bytes: &[u8], deadline: Instant) -> io::Result<()> {
    proxy.set_write_timeout(Some(time_left(deadline)?))?;
    proxy.write_all(bytes)
}

fn receive<const N: usize>(proxy: &TcpStream, deadline: Instant) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    receive_into(proxy, &mut bytes, deadline)?;
    Ok(bytes)
}

fn receive_into(mut proxy: &TcpStream, mut bytes: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        // Set anew for each read, so that a proxy that sends single bytes can't extend the deadline.
        proxy.set_read_timeout(Some(time_left(deadline)?))?;
        match proxy.read(bytes) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")),
            Ok(length) => bytes = &mut bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn reply_text(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        0xf0 => "Tor: onion service not found",
        0xf1 => "Tor: onion service descriptor is invalid",
        0xf2 => "Tor: introduction failed",
        0xf3 => "Tor: rendezvous failed",
        0xf4 => "Tor: client authorization missing",
        0xf5 => "Tor: wrong client authorization",
        0xf6 => "Tor: invalid onion address",
        0xf7 => "Tor: introduction timed out",
        _ => "unknown code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_print() {
        let login = ProxyLogin { user: "me".into(), password: "secret".into() };
        assert_eq!(format!("{login:?}"), "Login(me, ***)");
    }
}
