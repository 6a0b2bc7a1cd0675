//! The socket of a conversation: one pool, one thread, every amount bounded.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::conversation::VerifyClient;
use super::nerdminer_check::MAX_PAUSE;
use super::observations::{Observations, Timestamp};
use super::settings::VerifySettings;
use crate::clock::NtpTime;
use crate::config;
use crate::net::dial::DialTimes;
use crate::net::options::is_timeout;
use crate::net::{Stream, StreamReader};
use crate::stratum::LineReader;
use crate::upstream::route_to;
use crate::util::stop::Stop;

/// The connect timeout. Tor may need as long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout for sending, which is a few hundred bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval between checks for the end of the program.
const STOP_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Caps the bytes and lines of a pool. A job every three seconds for an hour takes 2 MB.
const MAX_BYTES: usize = 16 << 20;
const MAX_LINES: u64 = 50_000;
/// Caps a line, as in aggregate mode (wire reference, section 5.1, 6).
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// The result of watching one pool.
#[derive(Debug)]
pub struct WatchReport {
    /// The start of the watch.
    pub began: NtpTime,
    /// `None` if the connection failed.
    pub dial: Option<DialTimes>,
    /// The time from the connection to the end.
    pub lasted: Duration,
    pub end: WatchEnd,
    pub observations: Observations,
}

/// The reason why a watch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEnd {
    /// The connection failed.
    Unreachable(String),
    /// All checks had what they needed.
    Enough,
    /// The time limit was reached.
    Time,
    /// The pool closed the connection, with the error of the socket, if any.
    Closed(Option<String>),
    /// The pool sent more than the limits allow.
    Flood(String),
    /// The user stopped the check.
    Stopped,
}

impl WatchEnd {
    /// A stable word for machines.
    pub fn as_str(&self) -> &'static str {
        match self {
            WatchEnd::Unreachable(_) => "unreachable",
            WatchEnd::Enough => "enough",
            WatchEnd::Time => "time",
            WatchEnd::Closed(_) => "closed",
            WatchEnd::Flood(_) => "flood",
            WatchEnd::Stopped => "stopped",
        }
    }
}

/// Connects to a pool and watches it. It never waits beyond the limits of the settings.
pub(super) fn watch(pool: &config::UpstreamConfig, settings: &VerifySettings, stop: &Stop) -> WatchReport {
    let began = settings.clock.now();
    // A stop of its own, because stopping it also ends the name resolution.
    let resolving = Stop::new();
    let dialled = route_to(pool, &resolving).map_err(|why| why.to_string()).and_then(|route| {
        let deadline = Instant::now() + CONNECT_TIMEOUT.min(settings.limit.max(Duration::from_secs(1)));
        route.dial_port(route.port, deadline, stop).map_err(|why| why.to_string())
    });
    resolving.stop();
    let (stream, dial) = match dialled {
        Ok(dialled) => dialled,
        Err(why) => {
            let end = if stop.is_stopped() { WatchEnd::Stopped } else { WatchEnd::Unreachable(why) };
            let observations = Observations::default();
            return WatchReport { began, dial: None, lasted: Duration::ZERO, end, observations };
        }
    };
    let start = Instant::now();
    let clock = || Timestamp { since: start.elapsed(), clock: settings.clock.now() };
    let mut conversation = VerifyClient::new(settings, &pool.host, clock());
    let end = converse(stream, &mut conversation, settings.limit, &clock, stop);
    let observations = conversation.into_observations(clock());
    WatchReport { began, dial: Some(dial), lasted: start.elapsed(), end, observations }
}

/// Splits the pool's bytes into lines.
struct PoolLines {
    reader: LineReader,
    /// The time of the newest bytes, since the connection.
    newest: Duration,
    /// The pause in the current line was already reported to the conversation.
    is_pause_known: bool,
}

impl PoolLines {
    /// Advances the time. Some miners take a line as complete when it pauses for too long.
    fn tick(&mut self, conversation: &mut VerifyClient, at: Timestamp) {
        let pause = at.since.saturating_sub(self.newest);
        if pause >= MAX_PAUSE && !self.is_pause_known && !self.reader.unfinished().is_empty() {
            self.is_pause_known = true;
            conversation.take_paused(self.reader.unfinished(), at);
        }
    }
}

fn converse(
    stream: Stream,
    conversation: &mut VerifyClient,
    limit: Duration,
    clock: &impl Fn() -> Timestamp,
    stop: &Stop,
) -> WatchEnd {
    let stream = Arc::new(stream);
    let mut reader = StreamReader::new(stream.clone());
    let mut lines = PoolLines {
        reader: LineReader::up_to(MAX_LINE_BYTES),
        newest: Duration::ZERO,
        is_pause_known: false,
    };
    let end = match read_lines(&stream, (&mut reader, &mut lines), conversation, limit, clock, stop) {
        Ok(end) => end,
        Err(why) => WatchEnd::Closed(Some(why.to_string())),
    };
    let age = clock().since.saturating_sub(lines.newest);
    conversation.take_unfinished(lines.reader.unfinished(), age);
    stream.finish();
    end
}

fn read_lines(
    stream: &Stream,
    (reader, lines): (&mut StreamReader, &mut PoolLines),
    conversation: &mut VerifyClient,
    limit: Duration,
    clock: &impl Fn() -> Timestamp,
    stop: &Stop,
) -> io::Result<WatchEnd> {
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut buffer = vec![0; 16 * 1024];
    let mut bytes = 0;
    loop {
        let now = clock();
        conversation.tick(now);
        lines.tick(conversation, now);
        let outgoing = conversation.take_outgoing();
        if !outgoing.is_empty() {
            stream.send_all(outgoing.as_bytes())?;
        }
        if conversation.is_complete(now) {
            return Ok(WatchEnd::Enough);
        }
        if stop.is_stopped() {
            return Ok(WatchEnd::Stopped);
        }
        let left = limit.saturating_sub(now.since);
        if left.is_zero() {
            return Ok(WatchEnd::Time);
        }
        let next = conversation.next_tick().map(|due| due.saturating_sub(now.since));
        let wait = left
            .min(STOP_POLL_INTERVAL)
            .min(next.filter(|next| !next.is_zero()).unwrap_or(STOP_POLL_INTERVAL));
        // Zero would mean no timeout.
        stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        let length = match reader.recv(&mut buffer) {
            Ok(received) => received.length,
            Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if length == 0 {
            return Ok(WatchEnd::Closed(None));
        }
        let at = clock();
        lines.tick(conversation, at);
        (lines.newest, lines.is_pause_known) = (at.since, false);
        lines.reader.read(&buffer[..length], |line| conversation.take_line(line, at));
        bytes += length;
        let flood = if lines.reader.too_long > 0 {
            conversation.take_overlong();
            "a line of more than 1 MiB"
        } else if bytes > MAX_BYTES {
            "more than 16 MiB"
        } else if conversation.observations().lines > MAX_LINES {
            "more than 50,000 lines"
        } else {
            continue;
        };
        return Ok(WatchEnd::Flood(flood.to_owned()));
    }
}
