//! The threads of a simulated pool: an acceptor, a timer, and two for each client.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::SimPoolWorld;
use super::outbox::{WAITING, send_all};
use super::session::SimPoolSession;
use crate::sim::lines::SimLineReader;
use crate::util::stop::{Stop, Stopped};
use crate::util::thread::{SERVICE_STACK, SESSION_STACK, spawn};

/// Longest accepted line of a client, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// More connections than this are closed at once.
const MAX_CONNECTIONS: usize = 1024;

/// Pause after a failed accept, for example because no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Longest time that stopping waits for the clients' threads.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// A pool that listens.
#[derive(Debug)]
pub(super) struct SimPoolServer {
    address: SocketAddr,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl SimPoolServer {
    /// Listens at `address`.
    ///
    /// # Errors
    /// When the address is in use, or there is no room for a thread.
    pub fn start(world: &Arc<SimPoolWorld>, address: SocketAddr) -> io::Result<SimPoolServer> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stop = Stop::new();
        let mut server = SimPoolServer { address, stop: stop.clone(), threads: Vec::new() };
        let (acceptor, timer) = (Arc::clone(world), Arc::clone(world));
        let stopped = stop.clone();
        server.threads.push(spawn("pool-timer", SERVICE_STACK, move || {
            // An end that was asked for is nothing to log.
            keep_time(&timer, &stopped).or(Ok::<(), Stopped>(()))
        })?);
        let thread = spawn("pool-accept", SERVICE_STACK, move || accept(&acceptor, &listener, &stop));
        match thread {
            Ok(thread) => server.threads.push(thread),
            Err(error) => {
                server.stop.stop();
                return Err(error);
            }
        }
        Ok(server)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and every connection, and waits for the threads.
    pub fn stop(self, world: &SimPoolWorld) {
        self.stop.stop();
        // The acceptor is blocked in accept; a connection wakes it.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        for thread in self.threads {
            // What it ended with is logged where it was started.
            let _ = thread.join();
        }
        world.close_all();
        world.stats.wait_until(Instant::now() + STOP_PATIENCE, |stats| stats.connections_now == 0);
    }
}

fn accept(world: &Arc<SimPoolWorld>, listener: &TcpListener, stop: &Stop) -> Result<(), Stopped> {
    for stream in listener.incoming() {
        if stop.is_stopped() {
            break;
        }
        let started = match stream {
            Ok(stream) => serve(world, stream),
            Err(error) => Err(error),
        };
        if let Err(error) = started {
            log::warn!("simulated pool: a connection could not be taken: {error}");
            if stop.sleep(ACCEPT_PAUSE).is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Starts the two threads of a client.
fn serve(world: &Arc<SimPoolWorld>, stream: TcpStream) -> io::Result<()> {
    let now = world.stats.update(|stats| {
        stats.connections_ever += 1;
        stats.connections_now
    });
    if world.misbehaviour().close_on_accept || now >= MAX_CONNECTIONS {
        return Ok(());
    }
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(world.options.write_timeout))?;
    let (outbox, outgoing) = crossbeam_channel::bounded(WAITING);
    let (reading, writing) = (stream.try_clone()?, stream.try_clone()?);
    let session = world.add_session(stream, outbox);
    let id = session.id.0;
    let registered = SimSessionGuard { world: Arc::clone(world), session };

    spawn(format!("{id}-pool-write"), SESSION_STACK, move || send_all(writing, &outgoing))?;
    spawn(format!("{id}-pool-read"), SESSION_STACK, move || read(&registered, reading))?;
    Ok(())
}

/// Registers a session; dropping it removes the session, however its thread ends.
struct SimSessionGuard {
    world: Arc<SimPoolWorld>,
    session: Arc<SimPoolSession>,
}

impl Drop for SimSessionGuard {
    fn drop(&mut self) {
        self.session.close();
        self.world.remove_session(self.session.id);
    }
}

fn read(registered: &SimSessionGuard, stream: TcpStream) -> io::Result<()> {
    let SimSessionGuard { world, session } = registered;
    let mut lines = SimLineReader::new(stream, MAX_LINE);
    loop {
        let line = match lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(error),
            // A connection that breaks is an everyday thing.
            Err(error) => {
                log::debug!("simulated pool: connection {} ended: {error}", session.id.0);
                return Ok(());
            }
        };
        world.stats.update(|stats| stats.lines_received += 1);
        session.handle(world, &line);
    }
}

/// Makes new jobs for the same block at the interval of the options.
fn keep_time(world: &SimPoolWorld, stop: &Stop) -> Result<(), Stopped> {
    let Some(interval) = world.options.refresh_interval else { return Ok(()) };
    loop {
        stop.sleep(interval.max(Duration::from_millis(1)))?;
        world.refresh();
    }
}
