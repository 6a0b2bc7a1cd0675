//! A pool that says exactly what the test wants it to say.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::common::{DEADLINE, wait_for};

/// A difficulty that every hash reaches.
const NONE: &str = "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1e-12]}\n";
/// Stands for the request's id in an answer.
pub const ID: &str = "$ID";

/// Messages that a pool sends by itself. Any bytes; [`ID`] stands for the id of the request.
#[derive(Clone)]
pub struct Script {
    /// The answer to `mining.subscribe`, with whatever comes before and behind it.
    pub subscribed: Vec<u8>,
    /// The answer to `mining.authorize`, with whatever comes before and behind it.
    pub authorized: Vec<u8>,
}

impl Script {
    /// 4 bytes of each extranonce, and these lines behind the answer to authorize.
    pub fn saying(lines: &[u8]) -> Script {
        let subscribed = format!("{{\"id\":{ID},\"result\":{SUBSCRIBED},\"error\":null}}\n");
        let authorized = format!("{{\"id\":{ID},\"result\":true,\"error\":null}}\n{NONE}");
        Script { subscribed: subscribed.into_bytes(), authorized: [authorized.as_bytes(), lines].concat() }
    }
}

/// The extranonce1 of [`SUBSCRIBED`].
pub const EXTRANONCE1: &str = "08000002";

/// The result of `mining.subscribe` for 4 bytes of each extranonce.
pub const SUBSCRIBED: &str = "[[[\"mining.notify\",\"s\"]],\"08000002\",4]";

/// Listens until it is dropped.
pub struct Pool {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Arc<Connection>>>>,
}

/// The pool's end of a connection.
pub struct Connection {
    stream: Mutex<TcpStream>,
    /// How many bytes were sent.
    sent: AtomicU64,
    /// The submits that came.
    pub submits: AtomicU64,
    pub authorizes: AtomicU64,
}

impl Pool {
    pub fn start(script: Script) -> Pool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::clone(&connections);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if Arc::strong_count(&accepted) == 1 {
                    return;
                }
                let connection = Arc::new(Connection::new(&stream));
                accepted.lock().unwrap().push(Arc::clone(&connection));
                let script = script.clone();
                // It ends with the client's end of the connection.
                thread::spawn(move || connection.serve(stream, &script));
            }
        });
        Pool { address, connections }
    }

    pub fn url(&self) -> String {
        format!("stratum+tcp://{}", self.address)
    }

    pub fn upstream(&self) -> String {
        format!("[[upstream]]\nurl = \"{}\"\n", self.url())
    }

    /// How often somebody has authorized.
    pub fn authorizes(&self) -> u64 {
        let connections = self.connections.lock().unwrap();
        connections.iter().map(|one| one.authorizes.load(Ordering::SeqCst)).sum()
    }

    /// The first connection on which somebody has authorized.
    pub fn connection(&self) -> Arc<Connection> {
        let mut found = None;
        wait_for("a connection to the pool", || {
            let connections = self.connections.lock().unwrap();
            found = connections.iter().find(|one| one.authorizes.load(Ordering::SeqCst) > 0).cloned();
            found.is_some()
        });
        found.unwrap()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.connections.lock().unwrap().clear();
        self.connections = Arc::default();
        // Wakes the accept.
        let _ = TcpStream::connect(self.address);
    }
}

impl Connection {
    fn new(stream: &TcpStream) -> Connection {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Connection {
            stream: Mutex::new(stream.try_clone().unwrap()),
            sent: AtomicU64::new(0),
            submits: AtomicU64::new(0),
            authorizes: AtomicU64::new(0),
        }
    }

    /// Sends these bytes. The other end may have gone.
    pub fn say(&self, bytes: &[u8]) {
        let mut stream = self.stream.lock().unwrap();
        if stream.write_all(bytes).is_ok() {
            self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        }
    }

    /// Ends it.
    pub fn end(&self) {
        let _ = self.stream.lock().unwrap().shutdown(Shutdown::Both);
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    fn serve(&self, stream: TcpStream, script: &Script) {
        for line in BufReader::new(&stream).lines().map_while(Result::ok) {
            let Ok(request) = serde_json::from_str::<Value>(&line) else { continue };
            let id = request["id"].to_string();
            match request["method"].as_str() {
                Some("mining.subscribe") => self.say(&with_id(&script.subscribed, &id)),
                Some("mining.authorize") => {
                    self.say(&with_id(&script.authorized, &id));
                    self.authorizes.fetch_add(1, Ordering::SeqCst);
                }
                Some("mining.submit") => {
                    self.say(format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n").as_bytes());
                    self.submits.fetch_add(1, Ordering::SeqCst);
                }
                Some("mining.configure") => self.say(
                    format!("{{\"id\":{id},\"result\":{{\"version-rolling\":false}},\"error\":null}}\n")
                        .as_bytes(),
                ),
                _ => {}
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Puts the request's id in its place.
fn with_id(bytes: &[u8], id: &str) -> Vec<u8> {
    let mut rest = bytes;
    let mut whole = Vec::with_capacity(bytes.len());
    while let Some(place) = rest.windows(ID.len()).position(|part| part == ID.as_bytes()) {
        whole.extend_from_slice(&rest[..place]);
        whole.extend_from_slice(id.as_bytes());
        rest = &rest[place + ID.len()..];
    }
    whole.extend_from_slice(rest);
    whole
}
