//! The simulated pool: one thread that accepts every connection and every share, and sends jobs to all when it is told to.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::clock::Nanos;
use super::lines;

const EVENTS: usize = 256;
const BUFFER: usize = 64 * 1024;

/// An order to the pool's thread.
type Order = [u8; 1];
const SEND_JOB: &Order = b"j";
const SERVE: &Order = b"s";

/// The handle of the pool's thread, which runs as long as the benchmark.
pub struct Pool {
    pub address: SocketAddr,
    orders: UnixStream,
    streams: Sender<TcpStream>,
    broadcasts: Receiver<Broadcast>,
}

/// The times of a job that was sent to all.
#[derive(Debug, Clone, Copy)]
pub struct Broadcast {
    /// Directly before the first write.
    pub began: Nanos,
    /// The time that all writes took.
    pub took: Nanos,
}

impl Pool {
    pub fn start() -> Pool {
        let (listener, address) = super::listen();
        let (orders, incoming) = UnixStream::pair().unwrap();
        let ((sender, broadcasts), (streams, adopted)) = (channel(), channel());
        std::thread::spawn(move || {
            super::run_first();
            Server::new(listener, incoming, sender, adopted).run();
        });
        Pool { address, orders, streams, broadcasts }
    }

    /// Serves a connection that came another way, such as the plain end of one with TLS.
    pub fn serve(&self, stream: TcpStream) {
        self.streams.send(stream).unwrap();
        (&self.orders).write_all(SERVE).unwrap();
    }

    /// Has a new job sent to every miner.
    pub fn send_job(&self) {
        (&self.orders).write_all(SEND_JOB).unwrap();
    }

    /// Waits until the job of [`Pool::send_job`] has been sent.
    pub fn job_sent(&self) -> Broadcast {
        self.broadcasts.recv().unwrap()
    }
}

struct Server {
    epoll: Epoll,
    listener: TcpListener,
    orders: UnixStream,
    broadcasts: Sender<Broadcast>,
    adopted: Receiver<TcpStream>,
    /// By file descriptor.
    connections: Vec<Option<Connection>>,
    accepted: u32,
    jobs: u32,
}

struct Connection {
    stream: TcpStream,
    number: u32,
    /// The received beginning of a line.
    partial: Vec<u8>,
    gets_jobs: bool,
}

impl Server {
    fn new(
        listener: TcpListener,
        orders: UnixStream,
        broadcasts: Sender<Broadcast>,
        adopted: Receiver<TcpStream>,
    ) -> Server {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        listener.set_nonblocking(true).unwrap();
        epoll.add(&listener, readable(listener.as_raw_fd())).unwrap();
        epoll.add(&orders, readable(orders.as_raw_fd())).unwrap();
        Server { epoll, listener, orders, broadcasts, adopted, connections: Vec::new(), accepted: 0, jobs: 1 }
    }

    fn run(mut self) {
        let mut events = [EpollEvent::empty(); EVENTS];
        let mut buffer = vec![0; BUFFER];
        let (listener, orders) = (self.listener.as_raw_fd() as usize, self.orders.as_raw_fd() as usize);
        loop {
            let ready = self.epoll.wait(&mut events, EpollTimeout::NONE).unwrap();
            for event in &events[..ready] {
                match event.data() as usize {
                    fd if fd == listener => self.accept(),
                    fd if fd == orders => {
                        let mut order = Order::default();
                        // The benchmark has ended when its end is closed.
                        if (&self.orders).read_exact(&mut order).is_err() {
                            return;
                        }
                        match &order {
                            SERVE => self.adopted.recv().into_iter().for_each(|stream| self.add(stream)),
                            _ => self.broadcast(),
                        }
                    }
                    fd => self.serve(fd, &mut buffer),
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            self.add(stream);
        }
    }

    fn add(&mut self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        let fd = stream.as_raw_fd();
        self.epoll.add(&stream, readable(fd)).unwrap();
        if self.connections.len() <= fd as usize {
            self.connections.resize_with(fd as usize + 1, || None);
        }
        self.accepted += 1;
        let connection = Connection { stream, number: self.accepted, partial: Vec::new(), gets_jobs: false };
        self.connections[fd as usize] = Some(connection);
    }

    fn broadcast(&mut self) {
        self.jobs += 1;
        let job = lines::notify(self.jobs);
        let began = Nanos::now();
        for connection in self.connections.iter_mut().flatten().filter(|connection| connection.gets_jobs) {
            // A connection that has just ended is noticed when it is read.
            let _ = connection.stream.write_all(job.as_bytes());
        }
        let _ = self.broadcasts.send(Broadcast { began, took: Nanos::now() - began });
    }

    fn serve(&mut self, fd: usize, buffer: &mut [u8]) {
        let Some(connection) = &mut self.connections[fd] else { return };
        let is_open = match connection.stream.read(buffer) {
            Ok(0) => false,
            Ok(length) => connection.answer(&buffer[..length], self.jobs),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        if !is_open {
            self.connections[fd] = None;
        }
    }
}

impl Connection {
    /// Answers all lines that `bytes` complete. False if the connection has ended.
    fn answer(&mut self, bytes: &[u8], job: u32) -> bool {
        let mut answers = String::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if self.partial.is_empty() {
                self.gets_jobs |= answer_line(&rest[..end], self.number, job, &mut answers);
            } else {
                self.partial.extend_from_slice(&rest[..end]);
                let line = std::mem::take(&mut self.partial);
                self.gets_jobs |= answer_line(&line, self.number, job, &mut answers);
            }
            rest = &rest[end + 1..];
        }
        self.partial.extend_from_slice(rest);
        answers.is_empty() || self.stream.write_all(answers.as_bytes()).is_ok()
    }
}

/// Appends the answer. True if the miner is authorized by it.
fn answer_line(line: &[u8], connection: u32, job: u32, answers: &mut String) -> bool {
    let line = std::str::from_utf8(line).unwrap();
    let id = lines::id(line).unwrap_or(0);
    let method = lines::method(line);
    match method {
        Some("subscribe") => answers.push_str(&lines::subscribed(id, connection)),
        _ => answers.push_str(&lines::accepted(id)),
    }
    let is_authorized = method == Some("authorize");
    if is_authorized {
        answers.push_str(&lines::set_difficulty());
        answers.push_str(&lines::notify(job));
    }
    is_authorized
}

fn readable(fd: i32) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN, fd as u64)
}
