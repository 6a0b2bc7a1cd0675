//! Helpers for the tests through real sockets: a proxy in this process, and peers whose both ends
//! the test holds.

pub mod allocations;
pub mod binary;
pub mod browser;
pub mod capture;
pub mod certificates;
pub mod job_pool;
pub mod ntp_server;
pub mod own_process;
pub mod pool;
pub mod prometheus;
pub mod random;
pub mod recorded;
pub mod resources;
pub mod shown;
pub mod site;
pub mod socks5_server;
pub mod tls_bridge;

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice::analyzer::{Analyzer, Snapshot};
use sluice::app::{App, AppOptions};
use sluice::config::{Config, Overrides};
use sluice::util::stop::Stop;

/// Long enough for a machine that is busy with other things. Only a test that fails waits so long.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A proxy in this process.
pub struct Proxy {
    app: Option<App>,
    /// The analyzer of a proxy that was started with a queue instead.
    pub late_analyzer: Option<Analyzer>,
}

impl Proxy {
    /// With this configuration text; a `[listen]` on a free port of 127.0.0.1 is put before it unless
    /// it has one.
    pub fn start(text: &str) -> Proxy {
        let listen = "[listen]\nstratum = [\"127.0.0.1:0\"]\n";
        let listen = if text.contains("[listen]") { "" } else { listen };
        let text = format!("{listen}{text}{}", patient_failover(text));
        let config = Config::parse(&text, &Overrides::default()).unwrap_or_else(|e| panic!("{e}"));
        Proxy::with(&config)
    }

    /// In front of these pools, the preferred one first, with `more` configuration.
    pub fn to(pools: &[SocketAddr], more: &str) -> Proxy {
        let pools: String = pools.iter().map(|pool| upstream(*pool)).collect();
        Proxy::start(&format!("{more}{pools}"))
    }

    pub fn with(config: &Config) -> Proxy {
        Proxy::with_options(config, AppOptions::default())
    }

    pub fn with_options(config: &Config, options: AppOptions) -> Proxy {
        let app = App::start(config, options, &Stop::new()).unwrap_or_else(|e| panic!("{e}"));
        Proxy { app: Some(app), late_analyzer: None }
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    pub fn running(&self) -> &Arc<dyn sluice::proxy::Proxy> {
        self.app().proxy()
    }

    /// The newest that the analyzer has published.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.late_analyzer.as_ref().map_or_else(|| self.app().snapshot(), Analyzer::snapshot)
    }

    pub fn address(&self) -> SocketAddr {
        self.app().addresses()[0]
    }

    /// Ends the proxy, and the analyzer, whose last snapshot is returned.
    pub fn shut_down(&mut self) -> Arc<Snapshot> {
        let snapshot = self.app.take().unwrap().shut_down(|_| ());
        self.late_analyzer.take().map_or(snapshot, Analyzer::finish)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Waits until there are `count` sessions.
    pub fn wait_sessions(&self, count: usize) {
        wait_for(&format!("{count} sessions"), || self.running().sessions() == count);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.app.is_some() {
            self.shut_down();
        }
    }
}

/// Times for a test that says nothing about failover, so that a pool is not left because the machine is busy.
pub fn patient_failover(text: &str) -> &'static str {
    if text.contains("[failover]") {
        return "";
    }
    "\n[failover]\nconnect_deadline = \"60s\"\nanswer_timeout = \"30s\"\n"
}

/// An `[[upstream]]` without TLS.
pub fn upstream(address: SocketAddr) -> String {
    format!("[[upstream]]\nurl = \"stratum+tcp://{address}\"\n")
}

/// A pool whose every byte the test sends and reads itself.
pub struct BarePool {
    pub listener: TcpListener,
}

impl BarePool {
    pub fn start() -> BarePool {
        BarePool { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub fn upstream(&self) -> String {
        upstream(self.address())
    }

    /// The next connection, or the test fails.
    pub fn accept(&self) -> TcpStream {
        let stream = self.accept_within(DEADLINE).expect("nobody connected to the pool");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The next connection of a miner that has spoken, or the test fails. Probes of the pool are turned away.
    pub fn accept_miner(&self) -> TcpStream {
        accept_past_probes(|| self.accept())
    }

    /// The next connection, if there is one in time.
    pub fn accept_within(&self, time: Duration) -> Option<TcpStream> {
        let socket = socket2::SockRef::from(&self.listener);
        socket.set_read_timeout(Some(time)).unwrap();
        self.listener.accept().ok().map(|(stream, _)| stream)
    }
}

/// The first connection whose peer says that it is no probe. A pool that has failed is probed again and again, so the
/// deadline of each connection alone would never be missed.
pub fn accept_past_probes(accept: impl Fn() -> TcpStream) -> TcpStream {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        let (stream, mut first) = (accept(), [0; 512]);
        let length = stream.peek(&mut first).unwrap();
        if !first[..length].windows(7).any(|word| word == b"sluice/") {
            return stream;
        }
    }
    panic!("no miner connected to the pool, only probes did");
}

/// A port of 127.0.0.1 where nobody listens, and that no other test is given.
pub fn refusing_address() -> SocketAddr {
    let port = pool::Port::reserve();
    let address = port.address();
    Box::leak(Box::new(port));
    address
}

/// A listener that completes no further handshake: its backlog is full, so a connect just hangs, as
/// towards an address that swallows packets.
pub struct Unroutable {
    listener: TcpListener,
    _fillers: Vec<TcpStream>,
}

impl Unroutable {
    pub fn start() -> Unroutable {
        Unroutable::at("127.0.0.1:0".parse().unwrap())
    }

    pub fn at(address: SocketAddr) -> Unroutable {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, Some(socket2::Protocol::TCP))
                .unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(0).unwrap();
        let listener: TcpListener = socket.into();
        let address = listener.local_addr().unwrap();
        let mut fillers = Vec::new();
        // As many as are taken; then the kernel drops what else comes.
        while let Ok(filler) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            fillers.push(filler);
        }
        Unroutable { listener, _fillers: fillers }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

/// Waits for a condition, with a deadline.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    wait_within(DEADLINE, what, &mut condition);
}

/// Waits for a condition, with this deadline.
pub fn wait_within(time: Duration, what: &str, condition: &mut impl FnMut() -> bool) {
    let deadline = Instant::now() + time;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Checks again and again, for this time, that the condition holds.
pub fn holds_for(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        assert!(condition(), "no longer: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A share, for the tests to which its content does not matter.
pub fn submit(worker: &str, id: impl Display, nonce: u32) -> String {
    let params = format!("[\"{worker}\",\"1\",\"00\",\"5\",\"{nonce:08x}\"]");
    format!("{{\"id\":{id},\"method\":\"mining.submit\",\"params\":{params}}}\n")
}

/// The pool's answer to a request that it grants.
pub fn accepted(id: impl Display) -> String {
    format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n")
}

/// Reads one line.
pub fn read_line(stream: &TcpStream) -> String {
    let mut line = String::new();
    let mut byte = [0];
    let mut stream = stream;
    while !line.ends_with('\n') {
        stream.read_exact(&mut byte).unwrap_or_else(|e| panic!("after {line:?}: {e}"));
        line.push(char::from(byte[0]));
    }
    line
}

/// Reads exactly `expected`.
pub fn expect(mut stream: &TcpStream, expected: &[u8]) {
    let mut found = vec![0; expected.len()];
    stream.read_exact(&mut found).unwrap_or_else(|error| {
        panic!("waiting for {}: {error}", expected.escape_ascii());
    });
    assert_eq!(found.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

/// Expects the end of the stream.
pub fn expect_end(mut stream: &TcpStream) {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(0) => {}
        Ok(_) => panic!("more came: {}", byte.escape_ascii()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection did not end: {error}"),
    }
}

/// Sends `request` from one end and sees it arrive at the other, and back.
pub fn round_trip(miner: &TcpStream, pool: &TcpStream, text: &str) {
    exchange(miner, pool, text, text);
}

/// The miner sends a request, and the pool answers when it has it.
pub fn exchange(mut miner: &TcpStream, mut pool: &TcpStream, request: &str, answer: &str) {
    miner.write_all(request.as_bytes()).unwrap();
    expect(pool, request.as_bytes());
    pool.write_all(answer.as_bytes()).unwrap();
    expect(miner, answer.as_bytes());
}

pub fn half_close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}

/// A pool for any number of miners that answers each line with the same line, until dropped.
pub struct EchoPool {
    address: SocketAddr,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl EchoPool {
    pub fn start() -> EchoPool {
        EchoPool::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub fn on(listener: TcpListener) -> EchoPool {
        use std::sync::atomic::Ordering;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let address = listener.local_addr().unwrap();
        let stopped = stop.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let thread = std::thread::Builder::new().stack_size(64 * 1024);
                let _ = thread.spawn(move || echo(&stream));
            }
        });
        EchoPool { address, stop }
    }

    pub fn upstream(&self) -> String {
        upstream(self.address)
    }
}

impl Drop for EchoPool {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn echo(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut lines = BufReader::with_capacity(512, stream);
    let mut line = Vec::new();
    while let Ok(1..) = lines.read_until(b'\n', &mut line) {
        if (&*stream).write_all(&line).is_err() {
            return;
        }
        line.clear();
    }
}
