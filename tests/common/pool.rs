//! A pool with a name, whose moods the test commands.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::tls_bridge;

/// A port that is taken, but where nobody listens: a connect is refused. Nobody else can get it
/// until [`Port::open`].
pub struct Port(socket2::Socket);

impl Port {
    pub fn reserve() -> Port {
        Port::reserve_at("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    pub fn reserve_at(address: SocketAddr) -> std::io::Result<Port> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
        socket.bind(&address.into())?;
        Ok(Port(socket))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    pub fn open(self) -> TcpListener {
        self.0.listen(1024).unwrap();
        self.0.into()
    }
}

/// A pool's treatment of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers each line with its own name and the line.
    Answer,
    /// Reads, and says nothing until its mood changes.
    Silent,
    /// Answers the proxy's own probes, and closes on everybody else's words.
    Picky,
    /// Closes what it accepts.
    Close,
}

/// Answers `name line` to each `line`. A line that begins with `flood` is answered without end, one
/// that begins with `stall` ends the pool's reading.
pub struct Pool {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    name: &'static str,
    mood: Mutex<Mood>,
    changed: Condvar,
    accepted: AtomicUsize,
    closed: AtomicBool,
    received: Mutex<Vec<u8>>,
    /// The sockets below TLS, too.
    open: Mutex<Vec<TcpStream>>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Pool {
    pub fn start(name: &'static str, mood: Mood) -> Pool {
        Pool::on(TcpListener::bind("127.0.0.1:0").unwrap(), name, mood, None)
    }

    pub fn on(
        listener: TcpListener,
        name: &'static str,
        mood: Mood,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Pool {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            name,
            mood: Mutex::new(mood),
            changed: Condvar::new(),
            accepted: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            received: Mutex::default(),
            open: Mutex::default(),
            tls,
        });
        let accepting = state.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                accepting.receive(stream);
            }
        });
        Pool { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn upstream(&self) -> String {
        super::upstream(self.address)
    }

    /// How many connections there were, probes included.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Everything that was said to it.
    pub fn received(&self) -> String {
        String::from_utf8_lossy(&self.state.received.lock().unwrap()).into_owned()
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
        self.state.changed.notify_all();
    }

    /// From now on connects are refused; what is open stays open.
    pub fn stop_listening(&self) {
        if !self.state.closed.swap(true, Ordering::SeqCst) {
            // Wakes the accept; the listener has gone when this connection is refused or closed.
            let _ = TcpStream::connect(self.address);
            super::wait_for("the end of the listener", || TcpStream::connect(self.address).is_err());
        }
    }

    /// Closes what is open, without a word.
    pub fn drop_connections(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// As a process that is killed: no listener, no connection.
    pub fn kill(&self) {
        self.stop_listening();
        self.drop_connections();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.state.closed.swap(true, Ordering::SeqCst) {
            let _ = TcpStream::connect(self.address);
        }
        self.drop_connections();
    }
}

impl State {
    fn receive(self: &Arc<State>, stream: TcpStream) {
        if *self.mood.lock().unwrap() == Mood::Close {
            self.accepted.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let _ = stream.set_nodelay(true);
        let raw = stream.try_clone().unwrap();
        self.open.lock().unwrap().push(raw);
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let state = self.clone();
        std::thread::spawn(move || match &state.tls {
            Some(config) => state.serve(&tls_bridge::server(config.clone(), stream)),
            None => state.serve(&stream),
        });
    }

    fn serve(&self, mut stream: &TcpStream) {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(1..) = lines.read_until(b'\n', &mut line) {
            self.received.lock().unwrap().extend(&line);
            if line.starts_with(b"stall") {
                super::wait_within(std::time::Duration::from_secs(120), "the end of the stall", &mut || {
                    self.closed.load(Ordering::SeqCst)
                });
                return;
            }
            let is_probe = line.windows(7).any(|word| word == b"sluice/");
            if *self.mood.lock().unwrap() == Mood::Picky && !is_probe {
                break;
            }
            let flood = line.starts_with(b"flood");
            self.wait_for_words();
            let answer = [self.name.as_bytes(), b" ", &line].concat();
            if flood {
                let many = answer.repeat(4096);
                while stream.write_all(&many).is_ok() {}
                break;
            }
            if stream.write_all(&answer).is_err() {
                break;
            }
            line.clear();
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn wait_for_words(&self) {
        let mut mood = self.mood.lock().unwrap();
        while *mood == Mood::Silent {
            mood = self.changed.wait(mood).unwrap();
        }
    }
}

/// Says a line and reads the answer's.
pub fn ask(mut miner: &TcpStream, line: &str) -> String {
    miner.write_all(format!("{line}\n").as_bytes()).unwrap();
    super::read_line(miner)
}

/// Asks who is there.
pub fn served_by(miner: &TcpStream) -> String {
    let question = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}";
    let answer = ask(miner, question);
    let (name, rest) = answer.split_once(' ').unwrap();
    assert_eq!(rest, format!("{question}\n"));
    name.to_owned()
}

/// Whether the connection is open and has nothing to read.
pub fn is_quiet(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    matches!(peeked, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}
