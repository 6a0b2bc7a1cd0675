//! A connection of a simulated miner. `handshake` has its first messages, `messages` its reactions to
//! the pool's.

mod handshake;
mod messages;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::model::MinerModel;
use super::shared::SimMinerShared;
use super::work::{ConnectionNumber, SimWork};
use crate::sim::lines::{SimLineReader, timed_out};
use crate::stratum::{
    Difficulty, Extranonce1, Extranonce2Size, FieldError, Notify, SubscribeAnswer, VersionMask,
};
use crate::util::stop::Stopped;

/// Longest accepted line of a pool, in bytes.
const MAX_LINE: usize = 1024 * 1024;

/// Time after which a pool that reads nothing counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time without a share or a job after which a NerdMiner suggests its difficulty again.
const NERDMINER_KEEPALIVE: Duration = Duration::from_secs(30);

/// Time after which a NerdMiner processes an incomplete line.
const NERDMINER_LINE_GAP: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    Stopped,
    /// By the pool.
    Closed,
    Io(io::Error),
    /// An answer of the handshake did not arrive in time.
    NoAnswer(&'static str),
    /// The line that should have been the answer was not.
    BadAnswer(&'static str, String),
    /// A job that could not be read, which makes a NerdMiner start again.
    BadJob(FieldError),
    Silent(Duration),
    /// By `client.reconnect`; where to, when the miner follows.
    Reconnect(Option<SocketAddr>),
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionEnd::Stopped => f.write_str("stopped"),
            SessionEnd::Closed => f.write_str("the pool closed the connection"),
            SessionEnd::Io(error) => write!(f, "the connection broke: {error}"),
            SessionEnd::NoAnswer(method) => write!(f, "no answer to {method}"),
            SessionEnd::BadAnswer(method, line) => write!(f, "bad answer to {method}: {line}"),
            SessionEnd::BadJob(error) => write!(f, "bad job: {error}"),
            SessionEnd::Silent(time) => write!(f, "nothing came for {} s", time.as_secs()),
            SessionEnd::Reconnect(_) => f.write_str("the pool asked to reconnect"),
        }
    }
}

impl From<Stopped> for SessionEnd {
    fn from(Stopped: Stopped) -> SessionEnd {
        SessionEnd::Stopped
    }
}

impl From<io::Error> for SessionEnd {
    fn from(error: io::Error) -> SessionEnd {
        SessionEnd::Io(error)
    }
}

/// A connection.
pub(super) struct SimMinerSession<'a> {
    pub shared: &'a SimMinerShared,
    pub habit: MinerModel,
    pub peer: SocketAddr,
    pub lines: SimLineReader<TcpStream>,
    pub connection: ConnectionNumber,
    pub extranonce: Option<(Extranonce1, Extranonce2Size)>,
    pub version_mask: Option<VersionMask>,
    /// The difficulty of the next job.
    pub difficulty: Difficulty,
    pub job: Option<Arc<Notify>>,
    pub jobs: u64,
    pub last_line: Instant,
    pub last_job: Instant,
    pub last_keepalive: Instant,
}

impl SimMinerSession<'_> {
    /// Mines over a new connection until it ends.
    pub fn run(shared: &SimMinerShared, stream: TcpStream, peer: SocketAddr) -> SessionEnd {
        let started = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)))
            .and_then(|()| stream.try_clone());
        let writing = match started {
            Ok(writing) => writing,
            Err(error) => return SessionEnd::Io(error),
        };
        let connection = shared.connect(writing);
        let now = Instant::now();
        let mut session = SimMinerSession {
            shared,
            habit: shared.options.model,
            peer,
            lines: SimLineReader::new(stream, MAX_LINE),
            connection,
            extranonce: None,
            version_mask: None,
            difficulty: Difficulty::ONE,
            job: None,
            jobs: 0,
            last_line: now,
            last_job: now,
            last_keepalive: now,
        };
        let end = match handshake::open(&mut session).and_then(|()| session.mine()) {
            Ok(never) => match never {},
            Err(end) => end,
        };
        shared.disconnect(end.to_string());
        end
    }

    /// The next line that is not empty; `None` when `deadline` passes before.
    pub fn read_line(&mut self, deadline: Option<Instant>) -> Result<Option<Vec<u8>>, SessionEnd> {
        loop {
            self.shared.stop.check()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // Zero would mean no limit to the socket.
            let timeout = left.map(|left| left.max(Duration::from_millis(1)));
            self.lines.stream().set_read_timeout(timeout)?;
            match self.lines.next_line() {
                Ok(Some(line)) if line.trim_ascii().is_empty() => {}
                Ok(Some(line)) => {
                    self.last_line = Instant::now();
                    return Ok(Some(line));
                }
                Ok(None) => {
                    self.shared.stop.check()?;
                    return Err(SessionEnd::Closed);
                }
                Err(error) if timed_out(&error) => {
                    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Ok(self.cut_line());
                    }
                }
                Err(error) => {
                    self.shared.stop.check()?;
                    return Err(SessionEnd::Io(error));
                }
            }
        }
    }

    /// Sends a request and gives its id.
    pub fn request(&mut self, method: &str, params: &serde_json::Value) -> Result<u64, SessionEnd> {
        let sent = self.shared.with_wire(|wire| wire.request(method, params));
        Ok(sent.ok_or(SessionEnd::Closed)??)
    }

    /// Sends a line, or several, as they are.
    pub fn send(&mut self, lines: &str) -> Result<(), SessionEnd> {
        let sent = self.shared.with_wire(|wire| wire.send(lines));
        Ok(sent.ok_or(SessionEnd::Closed)??)
    }

    /// Takes over what the answer to subscribe says.
    pub fn subscribed(&mut self, answer: SubscribeAnswer) {
        self.shared.stats.update(|stats| {
            stats.subscribed = true;
            stats.extranonce1 = Some(answer.extranonce1.clone());
        });
        self.extranonce = Some((answer.extranonce1, answer.extranonce2_size));
        // Of a pool that sends its first job before the answer.
        self.set_work();
    }

    /// Takes over what the answer to authorize says.
    pub fn authorized(&mut self, accepted: bool) {
        self.shared.stats.update(|stats| stats.authorized = accepted);
    }

    /// Takes over the mask the pool grants.
    pub fn set_version_mask(&mut self, mask: Option<VersionMask>) {
        self.version_mask = mask.filter(|mask| !mask.is_empty());
    }

    /// Suggests a difficulty, if this miner does.
    pub fn suggest_difficulty(&mut self) -> Result<(), SessionEnd> {
        if let Some(of_model) = self.habit.suggested_difficulty() {
            let difficulty = self.shared.options.suggested_difficulty.map_or(of_model, |own| json!(own));
            self.request("mining.suggest_difficulty", &json!([difficulty]))?;
        }
        Ok(())
    }

    /// Mines after the handshake, until the session ends.
    fn mine(&mut self) -> Result<std::convert::Infallible, SessionEnd> {
        loop {
            let deadline = self.next_deadline();
            match self.read_line(deadline)? {
                Some(line) => handshake::handle_line(self, &line)?,
                None => self.act_on_time()?,
            }
        }
    }

    /// The received part of a line after a timeout, if this miner processes incomplete lines.
    fn cut_line(&mut self) -> Option<Vec<u8>> {
        let cuts =
            self.habit == MinerModel::NerdMiner && self.lines.last_read.elapsed() >= NERDMINER_LINE_GAP;
        if cuts { self.lines.take_partial() } else { None }
    }

    fn silence(&self) -> Option<(Instant, Duration)> {
        let timeout = self.shared.options.silence_timeout.or(self.habit.silence_timeout())?;
        let since = if self.habit == MinerModel::NerdMiner { self.last_job } else { self.last_line };
        Some((since + timeout, timeout))
    }

    fn keepalive(&self) -> Option<Instant> {
        if self.habit != MinerModel::NerdMiner {
            return None;
        }
        let last_submit = self.shared.with_wire(|wire| wire.last_submit)?;
        Some(last_submit.max(self.last_job).max(self.last_keepalive) + NERDMINER_KEEPALIVE)
    }

    fn next_deadline(&self) -> Option<Instant> {
        // A NerdMiner looks around at least so often, to find half a line.
        let look = (self.habit == MinerModel::NerdMiner).then(|| Instant::now() + NERDMINER_LINE_GAP);
        [self.silence().map(|(due, _)| due), self.keepalive(), look].into_iter().flatten().min()
    }

    fn act_on_time(&mut self) -> Result<(), SessionEnd> {
        let now = Instant::now();
        if let Some((due, timeout)) = self.silence() {
            if due <= now {
                return Err(SessionEnd::Silent(timeout));
            }
        }
        if self.keepalive().is_some_and(|due| due <= now) {
            self.last_keepalive = now;
            self.suggest_difficulty()?;
        }
        Ok(())
    }

    /// Gives the hashing thread the newest job with all that holds for it.
    pub fn set_work(&mut self) {
        let (Some(job), Some((extranonce1, extranonce2_size))) = (&self.job, &self.extranonce) else {
            return;
        };
        let rolls = matches!(self.habit, MinerModel::Bitaxe | MinerModel::Cgminer);
        self.shared.set_work(Some(SimWork {
            job: Arc::clone(job),
            extranonce1: extranonce1.clone(),
            extranonce2_size: *extranonce2_size,
            version_mask: self.version_mask.filter(|_| rolls),
            difficulty: self.difficulty,
            connection: self.connection,
            number: self.jobs,
        }));
    }
}
