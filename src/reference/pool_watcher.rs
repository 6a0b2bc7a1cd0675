//! The thread that watches one pool: the socket around a [`ReferenceClient`], with every amount and time bounded.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::{PoolEvent, ReferenceClient};
use super::status::ReferenceStatus;
use super::timings::{ReferenceTimings, backoff};
use super::tip::{Tip, TipPublisher};
use crate::net::dial::Route;
use crate::net::options::is_timeout;
use crate::net::{Stamp, Stream, StreamReader};
use crate::stratum::LineReader;
use crate::util::backoff::jittered;
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;

/// Tor may take this long to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Sluice sends a few hundred bytes; a pool that does not take them in this time does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval of checks for time-outs, due tips and the end of the program.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The same limit as for the pools that are mined on (wire reference, sections 5.1 and 6).
const MAX_LINE: usize = 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);
/// Bytes read from one pool in a second; the largest job has 34 KB. A faster pool is read more slowly.
const MAX_BYTES_PER_SECOND: usize = 256 * 1024;
/// A pool that sends messages but no job for this many silence time-outs has failed too: it no longer shows its
/// tip.
const JOBLESS_TIMEOUTS: u32 = 10;

#[derive(Debug)]
pub(super) struct PoolWatcher<T> {
    pub(super) route: Route,
    pub(super) user: Option<String>,
    pub(super) status: Arc<ReferenceStatus>,
    pub(super) publisher: TipPublisher<T>,
    pub(super) timings: ReferenceTimings,
}

/// The state of one connection to the pool.
struct WatchedConnection {
    client: ReferenceClient,
    has_job: bool,
    /// Why the newest job is unusable.
    job_error: Option<String>,
    /// An unusable job was already logged as a warning.
    has_warned: bool,
    /// When the newest message came; before the first job, when the connection began.
    last_message_at: Instant,
    last_job_at: Instant,
    end_reason: Option<String>,
}

impl<T: Fn(Tip)> PoolWatcher<T> {
    /// Watches the pool until `stop`.
    pub(super) fn run(&mut self, stop: &Stop) -> Result<(), Stopped> {
        let mut retries = backoff(self.timings.min_backoff, self.timings.max_backoff);
        loop {
            supervise::beat();
            let began = Instant::now();
            let why = self.watch_once(stop);
            stop.check()?;
            self.publisher.clear();
            self.status.set_failed(why);
            if began.elapsed() >= self.timings.stable_after {
                retries.reset();
            }
            stop.sleep(jittered(retries.next_pause(), 1.0, 1.25))?;
        }
    }

    /// Connects and watches until the connection ends. Returns the reason.
    fn watch_once(&mut self, stop: &Stop) -> String {
        let stream = match self.route.dial(Instant::now() + CONNECT_TIMEOUT, stop) {
            Ok(stream) => Arc::new(stream),
            Err(why) => return why.to_string(),
        };
        let mut connection = WatchedConnection::new(self.user.as_deref());
        let end = self.read_messages(&stream, &mut connection, stop);
        // Nothing that the pool may still send is of interest.
        stream.abort();
        let end = end.unwrap_or_else(|why| format!("the connection broke: {}", describe(&why)));
        match (connection.has_job, connection.client.user_error(), connection.job_error) {
            (false, Some(user_error), _) => format!("{end}; {user_error}"),
            (_, _, Some(job_error)) => format!("{end}; its newest job can't be read: {job_error}"),
            _ => end,
        }
    }

    fn read_messages(
        &mut self,
        stream: &Arc<Stream>,
        connection: &mut WatchedConnection,
        stop: &Stop,
    ) -> io::Result<String> {
        let silence_timeout = self.timings.silence_timeout;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        stream.set_read_timeout(Some(CHECK_INTERVAL.min(silence_timeout)))?;
        let mut reader = StreamReader::new(stream.clone());
        let mut lines = LineReader::up_to(MAX_LINE);
        let mut buffer = vec![0; 16 * 1024];
        let (mut second, mut bytes) = (Instant::now(), 0);
        loop {
            let outgoing = connection.client.take_outgoing();
            if !outgoing.is_empty() {
                stream.send_all(outgoing.as_bytes())?;
            }
            if stop.is_stopped() {
                return Ok(String::from("stopped"));
            }
            let now = Instant::now();
            self.publisher.publish_due(now);
            if now.saturating_duration_since(connection.last_message_at) >= silence_timeout {
                let what = if connection.has_job { "nothing" } else { "no job" };
                return Ok(format!("it has sent {what} for {silence_timeout:.0?}"));
            }
            let jobless_timeout = silence_timeout.saturating_mul(JOBLESS_TIMEOUTS);
            if now.saturating_duration_since(connection.last_job_at) >= jobless_timeout {
                return Ok(format!("it sends messages, but has sent no job for {jobless_timeout:.0?}"));
            }
            let received = match reader.recv(&mut buffer) {
                Ok(received) => received,
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if received.length == 0 {
                let when = if connection.has_job { "" } else { " before its first job" };
                return Ok(format!("it closed the connection{when}"));
            }
            bytes += received.length;
            let spent = second.elapsed();
            if spent >= SECOND {
                (second, bytes) = (Instant::now(), received.length);
            } else if bytes > MAX_BYTES_PER_SECOND && stop.sleep(SECOND - spent).is_err() {
                return Ok(String::from("stopped"));
            }
            lines.read(&buffer[..received.length], |line| {
                self.take_line(connection, line, received.readable_at);
            });
            if let Some(why) = connection.end_reason.take() {
                return Ok(why);
            }
            if lines.too_long > 0 {
                return Ok(String::from("it sent a line of more than 1 MiB, which no pool does"));
            }
        }
    }

    fn take_line(&mut self, connection: &mut WatchedConnection, line: &[u8], at: Stamp) {
        match connection.client.take_line(line) {
            PoolEvent::Unreadable => {}
            PoolEvent::OtherMessage => {
                if connection.has_job {
                    connection.last_message_at = Instant::now();
                }
            }
            PoolEvent::NoJobs(why) => {
                connection.end_reason.get_or_insert(why);
            }
            PoolEvent::UnusableJob(why) => {
                // The pool may have moved on to another block: its former tip is no longer known to hold.
                self.publisher.clear();
                self.status.clear_tip(format!("its newest job can't be read: {why}"), !connection.has_warned);
                connection.has_warned = true;
                connection.job_error = Some(why);
                if connection.has_job {
                    connection.last_message_at = Instant::now();
                }
            }
            PoolEvent::Job { height, prevhash, nbits } => {
                self.publisher.set_tip(Tip { source: self.status.name(), height, prevhash, nbits, at });
                let now = Instant::now();
                (connection.has_job, connection.job_error) = (true, None);
                (connection.last_job_at, connection.last_message_at) = (now, now);
                self.status.set_connected(None);
            }
        }
    }
}

impl WatchedConnection {
    fn new(user: Option<&str>) -> WatchedConnection {
        let now = Instant::now();
        WatchedConnection {
            client: ReferenceClient::new(user),
            has_job: false,
            job_error: None,
            has_warned: false,
            last_message_at: now,
            last_job_at: now,
            end_reason: None,
        }
    }
}
