//! A real SOCKS5 server (RFC 1928, 1929) for the tests. Every host name leads to one target, so that
//! a name nobody can resolve here shows that the proxy was the one to resolve it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A client's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub host: String,
    pub port: u16,
    pub login: Option<(String, String)>,
}

pub struct Socks5Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Socks5Server {
    /// Leads everybody to `target`; asks for `login` if there is one.
    pub fn start(target: SocketAddr, login: Option<(&str, &str)>) -> Socks5Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Socks5Server::on(listener, target, login, Duration::ZERO)
    }

    /// As [`Socks5Server::start`]; every connect takes as long as `delay`.
    pub fn on(
        listener: TcpListener,
        target: SocketAddr,
        login: Option<(&str, &str)>,
        delay: Duration,
    ) -> Socks5Server {
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (login, seen) = (login.clone(), seen.clone());
                std::thread::spawn(move || serve(client, target, login.as_ref(), delay, &seen));
            }
        });
        Socks5Server { address, asked }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut client: TcpStream,
    target: SocketAddr,
    login: Option<&(String, String)>,
    delay: Duration,
    seen: &Mutex<Vec<Asked>>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let [5, count] = take::<2>(&mut client)? else {
        return Ok(());
    };
    let mut methods = vec![0; count.into()];
    client.read_exact(&mut methods)?;
    let method = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        return client.write_all(&[5, 0xff]);
    }
    client.write_all(&[5, method])?;
    let mut given = None;
    if let Some(login) = login {
        let [1] = take::<1>(&mut client)? else {
            return Ok(());
        };
        let found = (text(&mut client)?, text(&mut client)?);
        if found != *login {
            return client.write_all(&[1, 1]);
        }
        given = Some(found);
        client.write_all(&[1, 0])?;
    }
    let [5, 1, 0, kind] = take::<4>(&mut client)? else {
        return Ok(());
    };
    let host = match kind {
        1 => IpAddr::from(Ipv4Addr::from(take::<4>(&mut client)?)).to_string(),
        4 => IpAddr::from(Ipv6Addr::from(take::<16>(&mut client)?)).to_string(),
        _ => text(&mut client)?,
    };
    let port = u16::from_be_bytes(take::<2>(&mut client)?);
    seen.lock().unwrap().push(Asked { host, port, login: given });
    std::thread::sleep(delay);
    let Ok(pool) = TcpStream::connect(target) else {
        return client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
    };
    pool.set_nodelay(true)?;
    // Byte by byte, as a slow proxy may; with a name as the bound address, as some do.
    for byte in [5, 0, 0, 3, 4, b'h', b'e', b'r', b'e', 0, 0] {
        client.write_all(&[byte])?;
    }
    let (mut from_client, mut to_pool) = (client.try_clone()?, pool.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_pool);
        let _ = to_pool.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut &pool, &mut client);
    client.shutdown(Shutdown::Write)
}

fn take<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(client: &mut TcpStream) -> io::Result<String> {
    let [length] = take::<1>(client)?;
    let mut bytes = vec![0; length.into()];
    client.read_exact(&mut bytes)?;
    Ok(String::from_utf8(bytes).unwrap())
}
